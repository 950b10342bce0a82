"""Tests for sofw.sip.timers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.timers import Timers

#: name: (seconds over UDP, seconds over TCP), RFC 3261 table 4 and RFC 6026 §7.
TABLE_4 = {
    "A": (0.5, 0.0),
    "B": (32.0, 32.0),
    "D": (32.0, 0.0),
    "E": (0.5, 0.0),
    "F": (32.0, 32.0),
    "G": (0.5, 0.0),
    "H": (32.0, 32.0),
    "I": (5.0, 0.0),
    "J": (32.0, 0.0),
    "K": (5.0, 0.0),
    "L": (32.0, 32.0),
    "M": (32.0, 32.0),
}


class TimersTests(SynchronousTestCase):
    """The lengths of the timers."""

    def test_table(self) -> None:
        """Every timer has the length of the RFC's table, for both sorts of transport."""
        found = {name: (Timers().seconds(name, False), Timers().seconds(name, True)) for name in TABLE_4}
        self.assertEqual(found, TABLE_4)

    def test_scaled(self) -> None:
        """T1 scales what depends on it, but Timer D is never under 32 s (§17.1.1.2)."""
        timers = Timers(t1=0.1)
        self.assertAlmostEqual(timers.seconds("B", False), 6.4)
        self.assertEqual(timers.seconds("D", False), 32.0)
        self.assertEqual(timers.seconds("K", False), 5.0)

    def test_timer_c(self) -> None:
        """Timer C is longer than three minutes (§16.6 step 11)."""
        self.assertGreater(Timers().c, 180)

    def test_trying(self) -> None:
        """A 100 to a non-INVITE request is due when the sender repeats every T2 (RFC 4320 §4.1)."""
        for t1, t2, due in ((0.5, 4.0, 3.5), (1.0, 4.0, 3.0), (4.0, 4.0, 0.0), (0.5, 3.0, 3.5)):
            self.assertEqual(Timers(t1=t1, t2=t2).trying, due)
