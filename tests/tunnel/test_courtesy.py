"""Tests of how HRAC behaves as a guest."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw import __version__
from sofw.tunnel.courtesy import LONGEST_WAIT, USER_AGENT, Courtesy

#: Thu, 01 Jan 2026 00:00:00 GMT.
NOW = 1767225600.0


class CourtesyTests(SynchronousTestCase):
    """When the next request may go."""

    def test_user_agent(self) -> None:
        """It names the program, its release and its half."""
        self.assertRegex(USER_AGENT, r"^SoFW/\d+\.\d+ \(\+HRAC\)$")
        self.assertTrue(__version__.startswith(USER_AGENT[5:8]))

    def test_ceiling(self) -> None:
        """Two requests per second: two at once, then one each half second."""
        guest = Courtesy(2.0)
        waits = []
        for _ in range(4):
            waits.append(guest.wait(NOW))
            guest.sent(NOW)
        self.assertEqual(waits, [0, 0, 0.5, 1.0])
        self.assertEqual(guest.asked_to_wait(NOW), 0)

    def test_no_ceiling(self) -> None:
        """Without a ceiling nothing waits."""
        guest = Courtesy()
        for _ in range(1000):
            guest.sent(NOW)
        self.assertEqual(guest.wait(NOW), 0)

    def test_retry_after(self) -> None:
        """Seconds or a date; only 429 and 503 count, there is a longest wait, and nonsense means nothing."""
        date = "Thu, 01 Jan 2026 00:02:00 GMT"
        cases = [
            (429, "7", 7),
            (503, " 7 ", 7),
            (503, date, 120),
            (503, "Thu, 01 Jan 2026 00:00:00 -0000", 0),
            (503, "Wed, 31 Dec 2025 00:00:00 GMT", 0),
            (503, "9" * 400, LONGEST_WAIT),
            (503, "Fri, 01 Jan 9999 00:00:00 GMT", LONGEST_WAIT),
            (200, "7", 0),
            (404, "7", 0),
            (503, None, 0),
            (503, "", 0),
            (503, "soon", 0),
            (503, "-7", 0),
            (503, "7.5", 0),
            (503, "٣", 0),
            (503, "Thu, 99 Jan 99999 99:99:99 GMT", 0),
        ]
        for status, said, pause in cases:
            guest = Courtesy()
            guest.answered(status, said, NOW)
            self.assertEqual(guest.wait(NOW), pause, (status, said))

    def test_longest_counts(self) -> None:
        """A shorter wish does not shorten a longer one, and both pass."""
        guest = Courtesy()
        guest.answered(503, "60", NOW)
        guest.answered(429, "5", NOW + 1)
        self.assertEqual(guest.asked_to_wait(NOW + 1), 59)
        self.assertEqual(guest.wait(NOW + 60), 0)
