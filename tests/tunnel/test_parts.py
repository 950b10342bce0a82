"""Tests of lanes that are cut into parts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.tunnel.parts import MAX_AHEAD, Ordered, PartError


class OrderedTests(SynchronousTestCase):
    """Putting parts right."""

    @settings(deadline=None)
    @given(st.permutations(range(1, 30)), st.lists(st.integers(1, 29)))
    def test_any_order(self, numbers: list[int], again: list[int]) -> None:
        """In whatever order parts come, and how often: each leaves once and in order, as soon as it can."""
        order: Ordered[int] = Ordered()
        left: list[int] = []
        seen: set[int] = set()
        for number in [each for pair in zip(numbers, again + numbers, strict=False) for each in pair]:
            self.assertEqual(order.is_new(number), number not in seen)
            left += order.put(number, number)
            seen.add(number)
            self.assertEqual(left, list(range(1, len(left) + 1)))
            self.assertNotIn(len(left) + 1, seen)
        self.assertEqual(left, list(range(1, 30)))

    def test_too_far_ahead(self) -> None:
        """What waits is bounded; part 0 and those before have gone long ago."""
        order: Ordered[str] = Ordered()
        self.assertEqual([order.put(number, "x") for number in (0, -1)], [[], []])
        self.assertEqual(order.put(MAX_AHEAD, "x"), [])
        self.assertRaises(PartError, order.put, MAX_AHEAD + 1, "x")
        self.assertEqual(order.put(1, "a"), ["a"])
        self.assertEqual(order.put(MAX_AHEAD + 1, "y"), [])
