"""HRAC's side of the probes: what of HTTP passes on the way to HRAS (sofw.tunnel.probing)."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.web.iweb import UNKNOWN_LENGTH

from sofw.net.client_streams import HUGE, Upload
from sofw.net.http_wire import HttpWire, Route, content_type
from sofw.net.opening import HEADERS
from sofw.tunnel.exchange import lane_path
from sofw.tunnel.frame import DataType, Decoder, FrameError
from sofw.tunnel.probing import ASK_AFTER, INTERVAL, LIMIT, TICK, TICKS, padding, read_report, streamed
from sofw.tunnel.proof import SessionKey
from sofw.tunnel.rungs import LADDER, METHODS, Downward, Findings, Purpose, Rung, Upward, streams_up


class Probes:
    """One run of all probes, side by side."""

    def __init__(self, reactor: Any, route: Route, key: SessionKey, run: int) -> None:
        self._reactor = reactor
        self._route = route
        self._key = key
        self._run = run
        self._wires: list[HttpWire] = []
        self._requests: list[Deferred[Any]] = []
        self._reports = count(1)
        self._trials = {number: rung for number, rung in enumerate(LADDER, 1) if streams_up(rung)}

    async def run(self) -> Findings | None:
        """What passes; None when nothing does. Takes half a second, and LIMIT seconds at the most."""
        began = self._reactor.seconds()
        try:
            ticks = self._start_ticks()
            for number, rung in self._trials.items():
                self._start_trial(number, rung)
            short = self._wire()
            first = Deferred.fromCoroutine(self._report(short, ASK_AFTER))
            await deferLater(self._reactor, ASK_AFTER)
            await first
            left = LIMIT - (self._reactor.seconds() - began)
            report = await self._report(short, max(0.0, left))
            left = LIMIT - (self._reactor.seconds() - began)
            await ticks.wait(self._reactor, max(0.0, left))
        finally:
            self._stop()
        if report is None and not ticks.times:
            return None
        streaming = read_report(report or b"")
        up = frozenset(rung for number, rung in self._trials.items() if number in streaming)
        # Since the first of the two answers there was time to notice that its connection was closed.
        return Findings(ticks.found(), up, persistent=short.connections == 1)

    def _start_ticks(self) -> _Ticks:
        ticks = _Ticks(self._reactor)
        request = self._request(Purpose.TICKS, 0, {"Cache-Control": "no-store"})
        request.addCallback(ticks.answered).addErrback(lambda _failure: ticks.end())
        return ticks

    def _start_trial(self, number: int, rung: Rung) -> None:
        length = UNKNOWN_LENGTH if rung.up is Upward.CHUNKED else HUGE
        body = Upload(length, partial(self._tick, padding(rung.pad)))
        self._request(Purpose.TRY, number, HEADERS, body).addErrback(lambda _failure: None)

    def _tick(self, before: bytes, consumer: Any, count: int = 1) -> None:
        if self._wires:
            consumer.write(before + TICK)
            if count < TICKS:
                self._reactor.callLater(INTERVAL, self._tick, b"", consumer, count + 1)

    async def _report(self, wire: HttpWire, limit: float) -> bytes | None:
        path = self._path(Purpose.REPORT, next(self._reports))
        try:
            answer = await wire.exchange("GET", path, {"Cache-Control": "no-store"}, None, limit)
        except CancelledError:
            raise
        except Exception:
            # Whatever it was, it says that a short request did not pass in time.
            return None
        return answer.body if answer.status == 200 else None

    def _request(self, purpose: Purpose, part: int, headers: Any, body: Any = None) -> Deferred[Any]:
        sent = self._wire().request(METHODS[purpose], self._path(purpose, part), headers, body)
        self._requests.append(sent)
        return sent

    def _path(self, purpose: Purpose, part: int) -> str:
        return lane_path(self._key.lane(purpose, self._run, part))

    def _wire(self) -> HttpWire:
        self._wires.append(HttpWire(self._reactor, self._route))
        return self._wires[-1]

    def _stop(self) -> None:
        wires, self._wires = self._wires, []
        for request in self._requests:
            request.cancel()
        for wire in wires:
            wire.close()


class _Ticks(Protocol):
    """The answer to the downward probe."""

    def __init__(self, reactor: Any) -> None:
        self.times: list[float] = []
        self._reactor = reactor
        self._decoder = Decoder()
        self._ended: Deferred[None] = Deferred()

    def answered(self, response: Any) -> None:
        """The headers are there."""
        if response.code == 200 and content_type(response) == HEADERS["Content-Type"]:
            response.deliverBody(self)
        else:
            self.end()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: a piece of the body."""
        try:
            frames = self._decoder.feed(data, lambda *_media: None)
        except FrameError:
            self.times.clear()
            return
        self.times += [self._reactor.seconds() for frame in frames if frame.type == DataType.DUMMY]

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """Twisted: the answer has ended."""
        self.end()

    def end(self) -> None:
        """Nothing more will come."""
        if not self._ended.called:
            self._ended.callback(None)

    async def wait(self, reactor: Any, limit: float) -> None:
        """Until the answer has ended, or for so long."""
        if not self._ended.called:
            timer = reactor.callLater(limit, self.end)
            await self._ended
            if timer.active():
                timer.cancel()

    def found(self) -> frozenset[Downward]:
        """What the ticks tell: whether an answer streams, and whether one that lasts passes at all."""
        if streamed(self.times):
            return frozenset({Downward.STREAM, Downward.HELD})
        return frozenset({Downward.HELD} if len(self.times) == TICKS else ())
