"""The SIP sockets of a half: one for each of its transports."""

from __future__ import annotations

from typing import Any

from sofw.address import Transport
from sofw.net.sip_stream import Closed, Received, SipStreams
from sofw.net.sip_udp import SipUdp
from sofw.net.tls import Tls
from sofw.service.config import SipConfig

Sockets = dict[Transport, SipUdp | SipStreams]


def sip_sockets(
    reactor: Any, leg: str, sip: SipConfig, tls: Tls | None, received: Received, closed: Closed
) -> Sockets:
    """Those that the configuration names, not yet listening."""

    def socket(transport: Transport) -> SipUdp | SipStreams:
        if transport is Transport.UDP:
            return SipUdp(leg, received)
        return SipStreams(reactor, leg, received, closed, tls if transport is Transport.TLS else None)

    return {transport: socket(transport) for transport in sip.transports}


def listen(reactor: Any, sockets: Sockets, sip: SipConfig) -> None:
    """Bind all of them. Raises PortInUse."""
    for transport, socket in sockets.items():
        if isinstance(socket, SipUdp):
            socket.listen(reactor, sip.listen, sip.port)
        else:
            socket.listen(sip.listen, sip.tls_port if transport is Transport.TLS else sip.port)


def refused(sockets: Sockets) -> dict[str, int]:
    """For `sofw status`: connections that brought no whole messages, and those that came to no TLS."""
    streams = [socket for socket in sockets.values() if isinstance(socket, SipStreams)]
    counts = {"unframed": sum(socket.lost_framing for socket in streams)} if streams else {}
    tls = sockets.get(Transport.TLS)
    return counts | ({"tls_refused": tls.refused} if isinstance(tls, SipStreams) else {})
