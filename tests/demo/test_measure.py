"""Tests for sofw.demo.measure and sofw.demo.report."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.demo.audio import Comparison
from sofw.demo.measure import ON_ITS_WAY, Journey, Measured, Passage, Voice, journey
from sofw.demo.report import good, report

CLEAR = Comparison(0.9999, 12.0, ())
FAST = Journey(200, 0, 0.0004, 0.002)


def stream(count: int, late: float = 0.0) -> list[Passage]:
    """Packets of one stream, 20 ms apart, from second 0."""
    return [(7, number, number * 0.02 + late) for number in range(count)]


def call(path: Journey = FAST, sound: Comparison = CLEAR, setup: float = 0.021) -> Measured:
    """A call whose first direction is as given."""
    voices = (Voice("alice", "olga", path, sound), Voice("olga", "alice", FAST, CLEAR))
    return Measured("alice", "olga", setup, voices)


class JourneyTests(SynchronousTestCase):
    """Following packets."""

    def test_all_arrive(self) -> None:
        """Nothing is lost, and each packet's delay is its own."""
        found = journey(stream(100), stream(100, 0.005), 10.0)
        self.assertEqual((found.sent, found.lost), (100, 0))
        self.assertAlmostEqual(found.usual, 0.005)
        self.assertAlmostEqual(found.worst, 0.005)

    def test_some_are_lost(self) -> None:
        """Each packet that did not arrive counts, whatever arrived instead of it."""
        heard = [passage for passage in stream(100) if passage[1] % 10]
        found = journey(stream(100), [*heard, (8, 0, 0.0), (7, 200, 0.0)], 10.0)
        self.assertEqual((found.sent, found.lost), (100, 10))

    def test_some_are_late(self) -> None:
        """The worst of a hundred is told beside the usual one."""
        heard = stream(98, 0.001) + stream(100, 0.3)[98:]
        found = journey(stream(100), heard, 10.0)
        self.assertAlmostEqual(found.usual, 0.001)
        self.assertAlmostEqual(found.worst, 0.3)

    def test_on_the_way(self) -> None:
        """What left a moment ago is not asked for."""
        found = journey(stream(100), stream(80), 79.5 * 0.02 + ON_ITS_WAY)
        self.assertEqual((found.sent, found.lost), (80, 0))

    def test_silence(self) -> None:
        """A phone that sent nothing, or was not heard at all, is not good."""
        self.assertEqual(journey([], [], 10.0), Journey(0, 0, 0.0, 0.0))
        self.assertEqual(journey(stream(10), [], 10.0), Journey(10, 10, 0.0, 0.0))
        self.assertFalse(journey([], [], 10.0).good)
        self.assertFalse(journey(stream(10), [], 10.0).good)


class ReportTests(SynchronousTestCase):
    """The table at the end, and the verdict."""

    def test_good(self) -> None:
        """Every measure stands there, per call, and none has failed."""
        calls = [call(), call(setup=0.5)]
        self.assertTrue(good(calls, 1.5, []))
        self.assertEqual(
            report(calls, 1.5, []).splitlines(),
            [
                "MEASURED                          alice calls olga  alice calls olga  needed",
                "set-up                            0.021 s           0.500 s           2 s",
                "alice to olga: heard like spoken  0.9999            0.9999            0.98",
                "  packets lost                    0 of 200          0 of 200          1%",
                "  delay, usual / worst of 100     0.4 / 2.0 ms      0.4 / 2.0 ms      100 ms",
                "olga to alice: heard like spoken  0.9999            0.9999            0.98",
                "  packets lost                    0 of 200          0 of 200          1%",
                "  delay, usual / worst of 100     0.4 / 2.0 ms      0.4 / 2.0 ms      100 ms",
                "tunnel, there and back            1.5 ms",
                "left behind after the calls       nothing                             nothing",
            ],
        )

    def test_failures(self) -> None:
        """Each fault alone fails the whole, and its line and no other says so."""
        cases = (
            ("set-up", call(setup=2.5), 1.5, []),
            ("alice to olga", call(sound=Comparison(0.5, 0.0, ())), 1.5, []),
            ("alice to olga", call(sound=Comparison(0.99, 0.0, ((40, 20),))), 1.5, []),
            ("  packets lost", call(Journey(200, 3, 0.001, 0.002)), 1.5, []),
            ("  packets lost", call(Journey(0, 0, 0.0, 0.0)), 1.5, []),
            ("  delay", call(Journey(200, 0, 0.001, 0.2)), 1.5, []),
            ("tunnel", call(), None, []),
            ("left behind", call(), 1.5, ["1 rows"]),
        )
        for name, bad, round_trip, left in cases:
            calls = [call(), bad]
            failed = [line for line in report(calls, round_trip, left).splitlines() if "FAILED" in line]
            self.assertEqual(len(failed), 1, name)
            self.assertTrue(failed[0].startswith(name), failed)
            self.assertFalse(good(calls, round_trip, left), name)

    def test_no_calls(self) -> None:
        """Nothing measured is nothing proven."""
        self.assertFalse(good([], 1.5, []))
