"""Tests of the rungs and of the pauses between attempts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.tunnel.backoff import Backoff
from sofw.tunnel.rungs import LADDER, Direction, direction_of


class RungTests(SynchronousTestCase):
    """The ladder."""

    def test_both_ways(self) -> None:
        """Every rung carries frames both ways."""
        for rung in LADDER:
            self.assertEqual({lane.direction for lane in rung.lanes}, set(Direction), rung.name)

    def test_methods(self) -> None:
        """HRAS tells by the method which way a lane goes."""
        cases = {"GET": Direction.DOWN, "POST": Direction.UP, "PUT": None, "get": None}
        self.assertEqual({method: direction_of(method) for method in cases}, cases)


class BackoffTests(SynchronousTestCase):
    """The pauses."""

    def test_growth(self) -> None:
        """Pauses double until the longest, and stay there for ever."""
        backoff = Backoff(0.5, 5.0)
        pauses = [backoff.delay(failures, 0.5) for failures in (1, 2, 3, 4, 5, 10**6)]
        self.assertEqual(pauses, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0])

    def test_jitter(self) -> None:
        """Chance moves a pause by a quarter either way."""
        backoff = Backoff(4.0, 60.0)
        self.assertEqual([backoff.delay(1, chance) for chance in (0.0, 0.5, 1.0)], [3.0, 4.0, 5.0])
