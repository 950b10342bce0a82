"""HRAS's side of the probes: ticks down, ticks up, and the report of what has come (sofw.tunnel.probing)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.server import NOT_DONE_YET

from sofw.net.http_answers import carry_frames
from sofw.tunnel.exchange import ExchangeError
from sofw.tunnel.frame import DataType, Decoder, FrameError
from sofw.tunnel.probing import DOWN_PAD, INTERVAL, MAX_TRIAL, MAX_TRIALS, TICK, TICKS, padding, report_body


class Probes:
    """The probes of one session; a new run (by its number) forgets the one before."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._run = 0
        self._arrived: dict[int, list[float]] = {}

    def ticks(self, request: Any) -> int:
        """HTTP: the downward probe."""
        carry_frames(request)
        request.write(padding(DOWN_PAD))
        gone: list[Any] = []
        request.notifyFinish().addBoth(gone.append)
        self._tick(request, gone, 1)
        return NOT_DONE_YET

    def trial(self, run: int, part: int) -> Trial:
        """HTTP: an upward probe begins; raises ExchangeError."""
        if run > self._run:
            self._run, self._arrived = run, {}
        if run < self._run or part in self._arrived or len(self._arrived) >= MAX_TRIALS:
            raise ExchangeError("There are enough probes", 403)
        times: list[float] = []
        self._arrived[part] = times
        return Trial(lambda: times.append(round(self._reactor.seconds(), 3)))

    def report(self, run: int) -> bytes:
        """HTTP: when the ticks of the upward probes came."""
        return report_body(self._arrived if run == self._run else {})

    def _tick(self, request: Any, gone: list[Any], number: int) -> None:
        if gone:
            return
        request.write(TICK)
        if number == TICKS:
            request.finish()
        else:
            self._reactor.callLater(INTERVAL, self._tick, request, gone, number + 1)


class Trial:
    """The body of an upward probe: padding and ticks. What is no frame, or too much, counts no more."""

    def __init__(self, arrived: Callable[[], object]) -> None:
        self._arrived = arrived
        self._decoder = Decoder()
        self._room = MAX_TRIAL
        self._ticks = 0

    def piece(self, data: bytes) -> None:
        """A piece of the body."""
        self._room -= len(data)
        if self._room < 0:
            return
        try:
            frames = self._decoder.feed(data, lambda *_media: None)
        except FrameError:
            self._room = 0
            return
        for frame in frames:
            if frame.type == DataType.DUMMY and self._ticks < TICKS:
                self._ticks += 1
                self._arrived()
