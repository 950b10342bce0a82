"""Tests of what probes are made of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.tunnel.frame import DataType, Decoder
from sofw.tunnel.probing import TICK, padding, read_report, report_body, streamed

#: When four ticks arrived, and whether that is a stream.
ARRIVALS: list[tuple[list[float], bool]] = [
    ([], False),
    ([7.0], False),
    ([7.0, 7.1, 7.2], False),
    ([7.0, 7.1, 7.2, 7.3], True),
    ([7.0, 7.17, 7.13, 7.37], True),
    ([7.0, 7.1, 7.3, 7.3], True),  # one strays
    ([7.0, 7.305, 7.405, 7.505], False),  # HAProxy: 205 ms late after the first
    ([7.0, 7.3, 7.3, 7.3], False),  # let go at the end, but for the first
    ([7.3, 7.3, 7.3, 7.3], False),  # gathered
    ([7.0, 7.1, 7.2, 7.3, 7.4], False),
]

WRONG_REPORTS = [
    b"",
    b"{}",
    b"[]",
    b"<html>",
    b'{"arrived":[]}',
    b'{"arrived":{"x":[0,0.1,0.2,0.3]}}',
    b'{"arrived":{"1":7}}',
    b'{"arrived":{"1":[null]}}',
    b"[" * 5000,
]


class ProbingTests(SynchronousTestCase):
    """Ticks, padding and reports."""

    def test_streamed(self) -> None:
        """Ticks that come as they were sent are a stream."""
        for arrivals, expected in ARRIVALS:
            self.assertEqual(streamed(arrivals), expected, arrivals)

    def test_report(self) -> None:
        """A report says which probes streamed."""
        report = report_body({1: [7.0, 7.1, 7.2, 7.3], 2: [], 5: [1.0, 1.1, 1.2, 1.3]})
        self.assertEqual(read_report(report), {1, 5})

    def test_wrong_reports(self) -> None:
        """Anything else says that nothing did."""
        for body in WRONG_REPORTS:
            self.assertEqual(read_report(body), frozenset(), body)

    @settings(deadline=None)
    @given(st.sampled_from([12, 13, 2048, 16384, 65535, 65536, 65546, 65547, 65558, 131072]))
    def test_padding(self, length: int) -> None:
        """Padding is so long, and whole frames."""
        frames = Decoder().feed(padding(length) + TICK, lambda *_: None)
        self.assertEqual(len(padding(length)), length)
        kinds = [frame.type for frame in frames]
        self.assertEqual(kinds, [DataType.PAD] * (len(kinds) - 1) + [DataType.DUMMY])

    def test_no_padding(self) -> None:
        """No padding is nothing."""
        self.assertEqual(padding(0), b"")
