"""The frozen values that name a place on the network; used as keys everywhere."""

from __future__ import annotations

from enum import Enum
from ipaddress import ip_address

from attrs import frozen

from sofw.errors import RemoteError

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

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 literal."""
        return ":" in self.host


@frozen
class Flow:
    """Where a SIP message came from and where answers go.

    Two sites may use the same private addresses, so the leg is part of the key.
    `port` is the local port of the half that owns the socket.
    """

    leg: str
    transport: Transport
    remote: Address
    port: int

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
    """Read `host:port`, `[v6]:port` or, with a default port, just a host.

    Raises RemoteError when the port is missing or not in 0-65535.
    """
    host, port = _split_port(text)
    if port == "" and default_port is not None:
        return Address(host, default_port)
    if not host or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise RemoteError(f"{text!r} is not an address of the form host:port")
    return Address(host, int(port))


def _split_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    host, _, port = text.partition(":")
    return host, port
