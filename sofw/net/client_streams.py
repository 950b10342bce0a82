"""HRAC's lanes that stream: the body of a POST and the answer to a GET, neither of which ever ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.web.client import ResponseDone
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from sofw.net.http_wire import Answer, content_type, explain, read_body
from sofw.net.lane import ReceivingLane, SendingLane
from sofw.net.opening import HEADERS, Opening
from sofw.tunnel.probing import padding
from sofw.tunnel.rungs import Purpose, Upward

#: The Content-Length of a body that is not to end: what a proxy can count in 31 bits. When it is full,
#: after a day with one call, new lanes are opened.
HUGE = 2**31 - 1


class StreamUp:
    """The upward stream."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._wire = opening.wire()
        self._chunked = opening.rung.up is Upward.CHUNKED
        self._request: Deferred[Any] | None = None

    def start(self) -> None:
        """Send the headers; the body follows at once."""
        body = Upload(UNKNOWN_LENGTH if self._chunked else HUGE, self._started)
        self._request = self._wire.request("POST", self._opening.path(Purpose.UP), HEADERS, body)
        # A lane's request is never answered, unless somebody refuses it.
        self._request.addCallback(partial(refused, self._opening))
        self._request.addErrback(partial(failed, self._opening))

    def close(self) -> None:
        """Give the request up."""
        if self._request is not None:
            self._request.cancel()

    def _started(self, _consumer: Any) -> SendingLane:
        lane: SendingLane
        if self._chunked:
            lane = SendingLane(self._wire.transport, True, self._opening.end.pump)
        else:
            lane = _MeasuredLane(self._wire.transport, self._opening)
        if self._opening.open:
            if self._opening.rung.pad:
                lane.write(padding(self._opening.rung.pad))
            self._opening.end.sending_opened(lane)
        return lane


class _MeasuredLane(SendingLane):
    """A body that has said how long it is."""

    def __init__(self, transport: Any, opening: Opening) -> None:
        super().__init__(transport, False, opening.end.pump)
        self._opening = opening
        self._room = HUGE

    def write(self, data: bytes) -> None:
        """Send one piece, if there is room for it."""
        self._room -= len(data)
        if self._room >= 0:
            super().write(data)
        else:
            self._opening.lost("The upward request is full")


class StreamDown:
    """The downward stream."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._wire = opening.wire()
        self._request: Deferred[Any] | None = None

    def start(self) -> None:
        """Send the request."""
        path = self._opening.path(Purpose.DOWN)
        self._request = self._wire.request("GET", path, {"Cache-Control": "no-store"})
        self._request.addCallback(self._answered).addErrback(partial(failed, self._opening))

    def close(self) -> None:
        """Give the request up."""
        if self._request is not None:
            self._request.cancel()

    def _answered(self, response: Any) -> Deferred[None] | None:
        if not self._opening.open:
            return None
        if response.code != 200 or content_type(response) != HEADERS["Content-Type"]:
            # Login pages of hotels and the like answer 200 to everything.
            return refused(self._opening, response)
        self._opening.end.receiving_opened()
        lane = ReceivingLane(self._wire.transport, self._received)
        response.deliverBody(_Download(lane.piece, self._opening.lost))
        return None

    def _received(self, data: bytes) -> None:
        if self._opening.open:
            self._opening.end.received(data)


def refused(opening: Opening, response: Any) -> Deferred[None]:
    """Read what somebody says in place of frames."""
    body: Deferred[Any] = read_body(response)
    return body.addCallback(lambda text: opening.refused(Answer(response.code, text)))


def failed(opening: Opening, failure: Any) -> None:
    """A request has failed."""
    opening.lost(explain(failure.value))


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
class Upload:
    """A body without end, of unknown or of huge length.

    `started(consumer)` is called when the headers are written; it may return a lane, which is told what
    Twisted says of the transport.
    """

    def __init__(self, length: Any, started: Callable[[Any], SendingLane | None]) -> None:
        self.length = length
        self._started = started
        self._lane: SendingLane | None = None

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Twisted: the headers are written."""
        self._lane = self._started(consumer)
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
