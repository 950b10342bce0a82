"""Names to addresses: the part of RFC 3263 this version needs, A and AAAA through the reactor's resolver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IResolutionReceiver
from zope.interface import implementer

from sofw.address import is_ip

Found = Callable[[list[str]], None]


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects the addresses of one look-up."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._hosts: list[str] = []

    def resolutionBegan(self, resolutionInProgress: object) -> None:
        """Twisted: the look-up began."""

    def addressResolved(self, address: Any) -> None:
        """Twisted: one address."""
        self._hosts.append(address.host)

    def resolutionComplete(self) -> None:
        """Twisted: that was all."""
        self._found(list(dict.fromkeys(self._hosts)))


def resolve(reactor: Any, host: str, found: Found) -> None:
    """Tell `found` the IP addresses of a host, best first; none when there are none."""
    if is_ip(host):
        found([host])
    elif reactor.nameResolver is None or not _is_name(host):
        found([])
    else:
        reactor.nameResolver.resolveHostName(_Receiver(found), host)


def _is_name(host: str) -> bool:
    """Whether this can be a host name; Twisted never answers for one that Python cannot encode."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False
