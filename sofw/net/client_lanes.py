"""HRAC's lanes: what a rung needs, opened together and lost together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from sofw.net.client_parts import HeldDown, Polls, PostsUp
from sofw.net.client_streams import StreamDown, StreamUp
from sofw.net.http_wire import Answer, HttpWire, Route
from sofw.net.opening import Carrier, Opening
from sofw.net.tunnel_end import TunnelEnd
from sofw.tunnel.exchange import REPLACED, lane_path, read_refusal
from sofw.tunnel.proof import SessionKey
from sofw.tunnel.rungs import Downward, Purpose, Rung, Upward

#: What a request is answered when HRAS does not know its session (any more).
_NO_SESSION = frozenset({403, 404, REPLACED})

_UPWARD: dict[Upward, Callable[[Opening], Carrier]] = {
    Upward.CHUNKED: StreamUp,
    Upward.LENGTH: StreamUp,
    Upward.POSTS: PostsUp,
    Upward.POLLS: Polls,
}
#: Polls carry both ways by themselves.
_DOWNWARD: dict[Downward, Callable[[Opening], Carrier]] = {
    Downward.STREAM: StreamDown,
    Downward.HELD: HeldDown,
}


class ClientLanes:
    """The lanes of one opening; `done` fires when they are lost."""

    def __init__(
        self, reactor: Any, route: Route, end: TunnelEnd, key: SessionKey, number: int, rung: Rung
    ) -> None:
        self.done: Deferred[None] = Deferred(lambda _done: self.close())
        self.reactor = reactor
        self.end = end
        self.rung = rung
        self.open = True
        self._route = route
        self._key = key
        self._number = number
        self._wires: list[HttpWire] = []
        self._carriers = [_UPWARD[rung.up](self)]
        if rung.down in _DOWNWARD:
            self._carriers.append(_DOWNWARD[rung.down](self))

    def __len__(self) -> int:
        """How many connections there are."""
        return sum(wire.transport is not None for wire in self._wires)

    def start(self) -> None:
        """Send the requests."""
        for carrier in self._carriers:
            if self.open:
                carrier.start()

    def close(self) -> None:
        """Close all connections; what still comes of them is of no interest."""
        if not self.open:
            return
        self.open = False
        for carrier in self._carriers:
            carrier.close()
        for wire in self._wires:
            wire.close()
        if not self.done.called:
            self.done.callback(None)

    def wire(self) -> HttpWire:
        """A new connection, closed with the rest."""
        self._wires.append(HttpWire(self.reactor, self._route, self.rung.persistent))
        return self._wires[-1]

    def path(self, purpose: Purpose, part: int = 0) -> str:
        """The path of a request."""
        return lane_path(self._key.lane(purpose, self._number, part))

    def lost(self, reason: str) -> None:
        """Something is lost, and with it all."""
        if self.open:
            self.end.lost(reason)
            self.close()

    def refused(self, answer: Answer) -> None:
        """A request was not answered as HRAS answers it: no session any more, or somebody else spoke."""
        reason = read_refusal(answer.body)
        if reason is not None and answer.status in _NO_SESSION and self.open:
            self.end.replaced = answer.status == REPLACED
            self.end.close(reason)
        self.lost(f"A request was answered {answer.status}")
