"""HRAC's lanes that are cut into short requests: POSTs in any order, held GETs, polls at intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from sofw.net.http_wire import HttpWire, explain
from sofw.net.opening import HEADERS, Opening
from sofw.tunnel.frame import Frame
from sofw.tunnel.parts import Ordered, PartError
from sofw.tunnel.rungs import METHODS, Purpose

#: How many short requests may be on their way at a time: on a line with 80 ms there and back voice
#: still leaves every 20 ms.
CONNECTIONS = 4
#: How many held requests wait at HRAS: while the answer to one is on its way, the next can be answered.
HELD = 2
#: Seconds between polls while something is going on, and when nothing has been for a while.
FASTEST, SLOWEST = 0.02, 2.0
#: By how much the pause grows with each poll that brings nothing.
_GROWTH = 1.5


class Parts:
    """The requests of one lane, numbered as they leave."""

    def __init__(self, opening: Opening, purpose: Purpose, connections: int) -> None:
        self.free = [opening.wire() for _ in range(connections)]
        self._opening = opening
        self._purpose = purpose
        self._number = 0
        self._asked: set[Deferred[None]] = set()

    def send(self, data: bytes | None, done: Callable[[int, bytes], None]) -> None:
        """Send a part on a free connection; `done(number, body)` when it is answered."""
        wire = self.free.pop()
        self._number += 1
        asked = Deferred.fromCoroutine(self._exchange(wire, self._number, data, done))
        self._asked.add(asked)
        asked.addErrback(self._failed).addBoth(lambda _done: self._asked.discard(asked))

    def close(self) -> None:
        """Give all requests up."""
        for asked in list(self._asked):
            asked.cancel()

    async def _exchange(
        self, wire: HttpWire, number: int, data: bytes | None, done: Callable[[int, bytes], None]
    ) -> None:
        path = self._opening.path(self._purpose, number)
        answer = await wire.exchange(METHODS[self._purpose], path, HEADERS, data)
        if not self._opening.open:
            return
        if answer.status != 200 or answer.type != HEADERS["Content-Type"]:
            self._opening.refused(answer)
            return
        self.free.append(wire)
        done(number, answer.body)

    def _failed(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self._opening.lost(explain(failure.value))


class Inbox:
    """Frames that come in parts: handed over in the parts' order, media as it comes."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._order: Ordered[list[Frame]] = Ordered()

    def take(self, number: int, body: bytes) -> None:
        """A part has come."""
        frames = self._opening.end.decode(body)
        try:
            ready = self._order.put(number, frames)
        except PartError as error:
            self._opening.lost(str(error))
            return
        for each in ready:
            if self._opening.open:
                self._opening.end.deliver(each)


class PostsUp:
    """Frames go up in short requests, as many at a time as there are connections; the sender of an end."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._parts = Parts(opening, Purpose.UP, CONNECTIONS)

    @property
    def writable(self) -> bool:
        """Whether a connection is free."""
        return bool(self._parts.free)

    def start(self) -> None:
        """Be there."""
        self._opening.end.sending_opened(self)

    def write(self, data: bytes) -> None:
        """Send a part."""
        self._parts.send(data, self._answered)

    def close(self) -> None:
        """Give all requests up."""
        self._parts.close()

    def _answered(self, _number: int, _body: bytes) -> None:
        self._opening.end.pump()


class HeldDown:
    """Frames come down in the answers to requests that HRAS holds until it has some."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._parts = Parts(opening, Purpose.DOWN, HELD)
        self._inbox = Inbox(opening)

    def start(self) -> None:
        """Ask."""
        self._opening.end.receiving_opened()
        for _ in range(HELD):
            self._ask()

    def close(self) -> None:
        """Give all requests up."""
        self._parts.close()

    def _ask(self) -> None:
        self._parts.send(None, self._answered)

    def _answered(self, number: int, body: bytes) -> None:
        self._ask()
        self._inbox.take(number, body)


class Polls:
    """Frames go up in requests at intervals and come down in the answers; the sender of an end.

    A frame that must leave waits for the shortest interval at the most. The interval grows while nothing
    comes and no call is up.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._parts = Parts(opening, Purpose.BOTH, CONNECTIONS)
        self._inbox = Inbox(opening)
        self._rested = True
        self._interval = FASTEST
        self._timer: Any = None

    @property
    def writable(self) -> bool:
        """Whether the pause is over, and a connection free."""
        return self._rested and bool(self._parts.free)

    def start(self) -> None:
        """The first poll."""
        self._opening.end.receiving_opened()
        self._opening.end.sending_opened(self)
        self._ask()

    def write(self, data: bytes) -> None:
        """Poll now, with some frames."""
        self._rested = False
        self._wait(FASTEST, self._rest_over)
        self._parts.send(data, self._answered)

    def close(self) -> None:
        """Poll no more."""
        self._cancel()
        self._parts.close()

    def _ask(self) -> None:
        """Poll now, even with nothing to say."""
        if self.writable:
            self.write(b"")

    def _rest_over(self) -> None:
        self._rested = True
        self._opening.end.pump()
        if self._opening.open and self.writable:
            self._wait(self._interval - FASTEST, self._ask)

    def _answered(self, number: int, body: bytes) -> None:
        slower = min(self._interval * _GROWTH, SLOWEST)
        self._interval = FASTEST if body or self._opening.end.busy else slower
        self._inbox.take(number, body)
        if self._opening.open and self._rested:
            self._rest_over()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._cancel()
        self._timer = self._opening.reactor.callLater(max(0.0, seconds), then)

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
