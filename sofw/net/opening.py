"""What the parts of HRAC's lanes share: one opening, and the face of what carries one direction of it."""

from __future__ import annotations

from typing import Any, Protocol

from sofw.net.http_wire import Answer, HttpWire
from sofw.net.tunnel_end import TunnelEnd
from sofw.tunnel.rungs import STREAM_HEADERS, Purpose, Rung

#: What every request that carries frames, or asks for some, says of itself.
HEADERS = dict(STREAM_HEADERS)


class Opening(Protocol):
    """Lanes that were opened together and are lost together."""

    reactor: Any
    end: TunnelEnd
    rung: Rung

    @property
    def open(self) -> bool:
        """Whether they are not lost yet; otherwise what still comes of them is of no interest."""

    def wire(self) -> HttpWire:
        """A new connection, closed when the lanes are."""

    def path(self, purpose: Purpose, part: int = 0) -> str:
        """The path of a request."""

    def lost(self, reason: str) -> None:
        """Something of them is lost, and with it all."""

    def refused(self, answer: Answer) -> None:
        """A request was not answered as HRAS answers it."""


class Carrier(Protocol):
    """Carries frames one way, or both."""

    def start(self) -> None:
        """Send the first request."""

    def close(self) -> None:
        """Send no more; the connections are closed by the opening."""
