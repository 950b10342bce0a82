"""The two halves as twistd commands."""

from twisted.application.service import ServiceMaker

hras = ServiceMaker(
    "SoFW outside half",
    "sofw.service.hras",
    "SIP over FireWall: the half outside, which phones and tunnels reach.",
    "sofw-hras",
)
hrac = ServiceMaker(
    "SoFW inside half",
    "sofw.service.hrac",
    "SIP over FireWall: the half inside, which opens the tunnel.",
    "sofw-hrac",
)
