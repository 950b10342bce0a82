"""HRAS's lanes: streams, short requests in any order, held answers and polls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.server import NOT_DONE_YET

from sofw.net.http_answers import carry_frames, reply
from sofw.net.lane import ReceivingLane, SendingLane
from sofw.net.tunnel_end import TunnelEnd
from sofw.tunnel.exchange import ExchangeError
from sofw.tunnel.frame import Frame
from sofw.tunnel.parts import MAX_AHEAD, Ordered, PartError
from sofw.tunnel.probing import DOWN_PAD, padding

#: Seconds until a held request is answered for want of anything to say: below what proxies allow.
HOLD = 25.0
#: The status for a part of lanes that are closed, or that came before: the site must open new lanes.
GONE = 410

_TWICE = "This part was answered before"


class StreamLane:
    """A request whose body, or the answer to it, never ends; open until either side has enough of it."""

    def __init__(self, end: TunnelEnd, transport: Any) -> None:
        self._end = end
        self._transport = transport
        self._open = True

    def start_receiving(self) -> Callable[[bytes], None]:
        """The body of the POST begins; returns who is to be called with its parts."""
        self._end.receiving_opened()
        return ReceivingLane(self._transport, self._received).piece

    def answer(self, part: int, request: Any) -> int:
        """HTTP: the GET, to be answered without end."""
        carry_frames(request)
        request.notifyFinish().addBoth(lambda _gone: self.lost("The downward connection is lost"))
        request.write(padding(DOWN_PAD))
        lane = SendingLane(self._transport, bool(request.chunked), self._end.pump)
        request.registerProducer(lane, True)
        self._end.sending_opened(lane)
        return NOT_DONE_YET

    def lost(self, reason: str) -> None:
        """The connection is gone, or the request is complete."""
        if self._open:
            self._open = False
            self._end.lost(reason)

    def close(self) -> None:
        """Close the connection; what still comes of it is of no interest."""
        if self._open:
            self._open = False
            self._transport.abortConnection()

    def _received(self, data: bytes) -> None:
        if self._open:
            self._end.received(data)


class PostsLane:
    """Frames that come up in short requests."""

    def __init__(self, end: TunnelEnd) -> None:
        self._end = end
        self._order: Ordered[list[Frame]] = Ordered()
        self._open = True
        end.receiving_opened()

    def answer(self, part: int, request: Any) -> bytes:
        """HTTP: a part; the answer is empty."""
        carry_frames(request)
        if not self._order.is_new(part):
            return b""
        frames = self._end.decode(request.content.getvalue())
        try:
            ready = self._order.put(part, frames)
        except PartError as error:
            self._end.lost(str(error))
            return b""
        for each in ready:
            # Delivering may close the lanes, and then the rest comes again on the next ones.
            if self._open:
                self._end.deliver(each)
        return b""

    def close(self) -> None:
        """Take nothing any more."""
        self._open = False


class HeldLane:
    """Frames that go down in the answers to held requests, in the order of their parts.

    A request that finds nothing to take is answered empty after HOLD seconds.
    """

    def __init__(self, reactor: Any, end: TunnelEnd) -> None:
        self._reactor = reactor
        self._end = end
        self._next = 1
        self._waiting: dict[int, Any] = {}
        self._timer: Any = None
        self._opened = False
        self._open = True

    @property
    def writable(self) -> bool:
        """Whether the request whose turn it is has come."""
        return self._next in self._waiting

    def write(self, data: bytes) -> None:
        """Answer it."""
        request = self._waiting.pop(self._next)
        self._next += 1
        self._arm()
        reply(request, data)

    def answer(self, part: int, request: Any) -> int:
        """HTTP: a request to be answered when there is something."""
        if part < self._next or part in self._waiting or part - self._next >= MAX_AHEAD:
            # What answered the first of two may be lost, and then it must be sent again on new lanes.
            raise ExchangeError(_TWICE, GONE)
        self._waiting[part] = request
        request.notifyFinish().addErrback(lambda _gone: self._lost(part))
        self._offer()
        return NOT_DONE_YET

    def close(self) -> None:
        """Answer nothing any more, and close the connections of what waits."""
        self._open = False
        _abort(self._waiting)
        self._arm()

    def _offer(self) -> None:
        """Let the end write, if the turn has come."""
        if not self.writable:
            return
        self._arm()
        if self._opened:
            self._end.pump()
        else:
            self._opened = True
            self._end.sending_opened(self)

    def _arm(self) -> None:
        """Time the request whose turn it is."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._open and self.writable:
            self._timer = self._reactor.callLater(HOLD, self.write, b"")

    def _lost(self, part: int) -> None:
        if self._waiting.pop(part, None) is not None and self._open:
            self._end.lost("A held request is lost")


class PollsLane:
    """Short requests that bring frames up and take frames down, answered at once and in their order."""

    def __init__(self, end: TunnelEnd) -> None:
        self._end = end
        self._order: Ordered[tuple[int, list[Frame]]] = Ordered()
        self._waiting: dict[int, Any] = {}
        self._request: Any = None
        self._opened = False
        self._open = True
        end.receiving_opened()

    @property
    def writable(self) -> bool:
        """Whether it is a request's turn to be answered."""
        return self._request is not None

    def write(self, data: bytes) -> None:
        """Answer it."""
        request, self._request = self._request, None
        reply(request, data)

    def answer(self, part: int, request: Any) -> int:
        """HTTP: a poll; it is answered in its turn, with all there is then."""
        if not self._order.is_new(part):
            raise ExchangeError(_TWICE, GONE)
        self._waiting[part] = request
        request.notifyFinish().addErrback(lambda _gone: self._lost(part))
        try:
            ready = self._order.put(part, (part, self._end.decode(request.content.getvalue())))
        except PartError as error:
            self._end.lost(str(error))
            return NOT_DONE_YET
        for turn in ready:
            self._turn(*turn)
        return NOT_DONE_YET

    def close(self) -> None:
        """Answer nothing any more, and close the connections of what waits."""
        self._open = False
        self._request = None
        _abort(self._waiting)

    def _turn(self, part: int, frames: list[Frame]) -> None:
        if self._open and not self._opened:
            self._opened = True
            self._end.sending_opened(self)
        if self._open:
            self._end.deliver(frames)
        if self._open:
            # The answer takes along what the frames have caused.
            self._request = self._waiting.pop(part)
            self._end.pump()
        if self.writable:
            self.write(b"")

    def _lost(self, part: int) -> None:
        if self._waiting.pop(part, None) is not None and self._open:
            self._end.lost("A poll is lost")


def _abort(waiting: dict[int, Any]) -> None:
    requests = list(waiting.values())
    waiting.clear()
    for request in requests:
        request.channel.transport.abortConnection()
