"""The frozen values that name a place on the network; used as keys everywhere."""

from __future__ import annotations

import re
from enum import Enum
from ipaddress import ip_address

from attrs import frozen

from sofw.errors import RemoteError

#: A host in brackets or without a colon, and maybe a port; or an IPv6 literal as it is.
_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?"
    r"|(?P<bare>[^:\[\]]*:[^:\[\]]*:[^\[\]]*)"
)

#: The leg of the HRAS's own sockets; every other leg is named by its site's id.
OUTSIDE = "outside"


class Transport(Enum):
    """How a SIP message travels; the value is its name in a Via (RFC 3261 §18)."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"

    @property
    def reliable(self) -> bool:
        """Whether the transport itself repeats what was lost (RFC 3261 §17)."""
        return self is not Transport.UDP


@frozen(order=True)
class Address:
    """An IP address (text, IPv6 without brackets) or host name, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@frozen
class Flow:
    """Where a SIP message came from and where answers go.

    Two sites may use the same private addresses, so the leg is part of the key.
    `port` is the local port of the half that owns the socket. `domain` is the one that a server we connect
    to by TLS must speak for; "" when it connected to us, or when its address says who it must be.
    """

    leg: str
    transport: Transport
    remote: Address
    port: int
    domain: str = ""

    def __str__(self) -> str:
        return f"{self.leg}/{self.transport.value.lower()}/{self.remote}"


def bracketed(host: str) -> str:
    """The host as it stands in a URI or Via: IPv6 literals in brackets."""
    return f"[{host}]" if ":" in host else host


def is_ip(host: str) -> bool:
    """Whether the host is an IPv4 or IPv6 literal (no brackets)."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def parse_address(text: str, default_port: int | None = None) -> Address:
    """Read `host:port`, `[v6]:port` or, with a default port, just a host (IPv6 with or without brackets).

    Raises RemoteError when it is none of these, or the port is missing or above 65535.
    """
    found = _ADDRESS.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else default_port
    if found is None or port is None or port > 65535:
        raise RemoteError(f"{text!r} is not an address of the form host:port")
    return Address(found["v6"] or found["name"] or found["bare"], port)
