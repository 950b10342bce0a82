"""HRAC's lanes: the requests of a rung, opened together and lost together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.web.client import ResponseDone
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from sofw.net.http_wire import HttpWire, Route, explain, read_body
from sofw.net.lane import ReceivingLane, SendingLane
from sofw.net.tunnel_end import TunnelEnd
from sofw.tunnel.exchange import REPLACED, lane_path, read_refusal
from sofw.tunnel.proof import SessionKey
from sofw.tunnel.rungs import STREAM_HEADERS, STREAMS, Direction, LaneKind

_HEADERS = dict(STREAM_HEADERS)
#: What a request is answered when HRAS does not know its session (any more).
_NO_SESSION = frozenset({403, 404, REPLACED})


class ClientLanes:
    """The lanes of one opening; `done` fires when they are lost."""

    def __init__(self, reactor: Any, route: Route, end: TunnelEnd, key: SessionKey, number: int) -> None:
        self.done: Deferred[None] = Deferred(lambda _done: self.close())
        self._end = end
        self._key = key
        self._number = number
        self._open = True
        self._requests: list[Deferred[Any]] = []
        self._wires = {lane.direction: HttpWire(reactor, route) for lane in STREAMS.lanes}

    def __len__(self) -> int:
        """How many lanes have a connection."""
        return sum(wire.transport is not None for wire in self._wires.values())

    def start(self) -> None:
        """Send the requests."""
        for kind in STREAMS.lanes:
            if not self._open:
                return
            if kind.direction is Direction.UP:
                self._request(kind, _HEADERS, _Upload(self._upload_started)).addCallbacks(
                    self._answered, self._failed
                )
            else:
                self._request(kind, {"Cache-Control": "no-store"}).addCallbacks(self._download, self._failed)

    def close(self) -> None:
        """Close both connections; what still comes of them is of no interest."""
        if not self._open:
            return
        self._open = False
        for request in self._requests:
            request.cancel()
        for wire in self._wires.values():
            wire.close()
        if not self.done.called:
            self.done.callback(None)

    def _request(self, kind: LaneKind, headers: dict[str, str], body: Any = None) -> Deferred[Any]:
        path = lane_path(self._key.lane(self._number, kind.direction))
        request = self._wires[kind.direction].request(kind.method, path, headers, body)
        self._requests.append(request)
        return request

    def _upload_started(self) -> SendingLane:
        lane = SendingLane(self._wires[Direction.UP].transport, True, self._end.pump)
        if self._open:
            self._end.sending_opened(lane)
        return lane

    def _answered(self, response: Any) -> None:
        """A lane's request is never answered so, unless somebody refuses it."""
        Deferred.fromCoroutine(self._refused(response)).addErrback(self._failed)

    async def _refused(self, response: Any) -> None:
        reason = read_refusal(await read_body(response))
        if reason is not None and response.code in _NO_SESSION and self._open:
            self._end.replaced = response.code == REPLACED
            self._end.close(reason)
        self._lost(f"A lane's request was answered {response.code}")

    def _download(self, response: Any) -> None:
        if not self._open:
            return
        if response.code != 200 or response.headers.getRawHeaders("content-type") != [
            _HEADERS["Content-Type"]
        ]:
            # Login pages of hotels and the like answer 200 to everything.
            self._answered(response)
            return
        self._end.receiving_opened()
        lane = ReceivingLane(self._wires[Direction.DOWN].transport, self._received)
        response.deliverBody(_Download(lane.piece, self._lost))

    def _received(self, data: bytes) -> None:
        if self._open:
            self._end.received(data)

    def _failed(self, failure: Any) -> None:
        self._lost(explain(failure.value))

    def _lost(self, reason: str) -> None:
        if self._open:
            self._end.lost(reason)
            self.close()


class _Download(Protocol):
    """The answer that streams down."""

    def __init__(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self._received = received
        self._lost = lost

    def dataReceived(self, data: bytes) -> None:
        """Twisted: a piece of the answer."""
        self._received(data)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """Twisted: the answer has ended."""
        ended = reason.check(ResponseDone)
        self._lost("The downward answer has ended" if ended else explain(reason.value))


@implementer(IBodyProducer)
class _Upload:
    """A body without end: leaves the writing to a lane, and tells it what Twisted says of the transport."""

    length = UNKNOWN_LENGTH

    def __init__(self, started: Callable[[], SendingLane]) -> None:
        self._started = started
        self._lane: SendingLane | None = None

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Twisted: the headers are written."""
        self._lane = self._started()
        return Deferred()

    def pauseProducing(self) -> None:
        """Twisted: the transport takes no more for now."""
        if self._lane is not None:
            self._lane.pauseProducing()

    def resumeProducing(self) -> None:
        """Twisted: the transport has sent all it had."""
        if self._lane is not None:
            self._lane.resumeProducing()

    def stopProducing(self) -> None:
        """Twisted: the connection is lost."""
        if self._lane is not None:
            self._lane.stopProducing()
