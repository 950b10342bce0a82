"""Tests of the token bucket."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.tunnel.bucket import Bucket


class BucketTests(SynchronousTestCase):
    """What passes, and when."""

    def test_take(self) -> None:
        """Three at once, then one every two seconds; time that is saved up counts to the depth only."""
        bucket = Bucket(0.5, 3)
        self.assertEqual([bucket.take(0) for _ in range(4)], [True, True, True, False])
        self.assertEqual([bucket.take(at) for at in (1.9, 2.0, 3.0, 4.0)], [False, True, False, True])
        self.assertEqual([bucket.take(1000) for _ in range(4)], [True, True, True, False])

    def test_overdraw(self) -> None:
        """What is too big passes whole, and the next one waits as long as it should."""
        bucket = Bucket(1000, 100)
        bucket.spend(1600, 0)
        self.assertAlmostEqual(bucket.wait(0), 1.501)
        self.assertAlmostEqual(bucket.wait(1), 0.501)
        self.assertEqual(bucket.wait(1.6), 0)

    def test_no_ceiling(self) -> None:
        """A rate of 0 lets everything pass at once."""
        bucket = Bucket(0, 0)
        bucket.spend(1e9, 0)
        self.assertEqual((bucket.wait(0), bucket.take(0)), (0, True))

    @given(st.lists(st.floats(0, 2), max_size=60), st.floats(0.1, 10), st.integers(1, 5))
    @settings(deadline=None)
    def test_rate(self, pauses: list[float], rate: float, depth: int) -> None:
        """However it is asked, no more passes than the depth and the rate over that time."""
        bucket, now, passed = Bucket(rate, depth), 0.0, 0
        for pause in pauses:
            now += pause
            passed += bucket.take(now)
        self.assertLessEqual(passed, depth + now * rate + 1e-6)

    def test_clock_steps_back(self) -> None:
        """A clock that is set back neither gives nor takes."""
        bucket = Bucket(1, 1)
        self.assertEqual([bucket.take(at) for at in (100, 50, 100.5, 101)], [True, False, False, True])
