"""When the collector is let loose, by a clock."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sofw.service.garbage import LOOK, PATIENCE, GarbageCollection


class GarbageCollectionTests(SynchronousTestCase):
    """A collection is due at every look, but while calls are up only once an hour."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.busy = False
        self.collected: list[float] = []
        collection = GarbageCollection(
            self.clock, lambda: self.busy, lambda: self.collected.append(self.clock.seconds())
        )
        collection.start()

    def test_idle(self) -> None:
        """Without calls, at every look."""
        self.clock.pump([LOOK] * 3)
        self.assertEqual(self.collected, [LOOK, 2 * LOOK, 3 * LOOK])

    def test_busy(self) -> None:
        """With calls, when patience ends, and then anew."""
        self.busy = True
        self.clock.pump([LOOK] * (2 * PATIENCE))
        self.assertEqual(self.collected, [PATIENCE * LOOK, 2 * PATIENCE * LOOK])

    def test_first_quiet_moment(self) -> None:
        """It is done as soon as the last call has ended."""
        self.busy = True
        self.clock.pump([LOOK] * 5)
        self.busy = False
        self.clock.advance(LOOK)
        self.assertEqual(self.collected, [6 * LOOK])
