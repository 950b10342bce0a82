"""The connections to HRAS's web site: how many there may be, and how long one may take to ask.

Anybody can connect, and a connection that says a byte a minute costs as much as a tunnel. So there is a
limit in all and for each source, and a request has a time to be complete. Lanes take as long as they like.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.web.http import HTTPChannel

#: Seconds for the headers of a request from its first byte (or from the connection on), and for its body.
ASK_LIMIT = 10.0
#: Who has one IPv6 address has the whole network of this prefix (RFC 6177).
_IPV6_PREFIX = 64


class Visitors:
    """Counts connections: at most `most` at a time, `most_per_source` of them from one address.

    `refused` and `slow` count those that were turned away, and those that took too long to ask.
    """

    def __init__(self, most: int = 4000, most_per_source: int = 500) -> None:
        self.refused = self.slow = 0
        self._most = most
        self._most_per_source = most_per_source
        self._sources: Counter[str] = Counter()
        self._count = 0

    def admit(self, host: str) -> bool:
        """Whether one more may come from there; it must be told when it is gone."""
        source = _source(host)
        if self._count >= self._most or self._sources[source] >= self._most_per_source:
            self.refused += 1
            return False
        self._count += 1
        self._sources[source] += 1
        return True

    def gone(self, host: str) -> None:
        """One of those that were admitted is gone."""
        source = _source(host)
        self._count -= 1
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    def status(self) -> dict[str, object]:
        """For the operator."""
        return {
            "connections": self._count,
            "sources": len(self._sources),
            "refused": self.refused,
            "slow": self.slow,
        }


class VisitorChannel(HTTPChannel):
    """A connection of a visitor, who has a limited time for each request."""

    visitors: Visitors
    host: str
    transport: Any
    _limit: Any = None

    def connectionMade(self) -> None:
        """Twisted: it begins."""
        super().connectionMade()
        self.hurry()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: a read. The first bytes of a later request start its time."""
        if self._limit is None and not self.requests:
            self.hurry()
        super().dataReceived(data)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """Twisted: it has ended."""
        self.relax()
        self.visitors.gone(self.host)
        super().connectionLost(reason)

    def hurry(self) -> None:
        """From now on the visitor has its time to finish what it is saying."""
        self.relax()
        self._limit = self.callLater(ASK_LIMIT, self._late)

    def relax(self) -> None:
        """The visitor has said it."""
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        self._limit = None

    def _late(self) -> None:
        self.visitors.slow += 1
        self.transport.abortConnection()


def _source(host: str) -> str:
    address = ip_address(host.partition("%")[0])
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or ip_network((address, _IPV6_PREFIX), strict=False))
