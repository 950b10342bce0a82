"""A ceiling on how much may happen in a time: the token bucket."""

from __future__ import annotations


class Bucket:
    """Lets `rate` per second pass in the long run, and up to `depth` at once. A rate of 0 is no ceiling.

    What is spent may overdraw it once: whole things pass, and the next one waits the longer.
    """

    def __init__(self, rate: float, depth: float) -> None:
        self._rate = rate
        self._depth = depth
        self._level = depth
        self._at = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until something may pass; 0 when it may now."""
        if not self._rate:
            return 0.0
        self._fill(now)
        return 0.0 if self._level >= 1 else (1 - self._level) / self._rate

    def spend(self, amount: float, now: float) -> None:
        """So much has passed."""
        if self._rate:
            self._fill(now)
            self._level -= amount

    def take(self, now: float) -> bool:
        """Let one pass, if it may."""
        free = not self.wait(now)
        if free:
            self.spend(1, now)
        return free

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._depth, self._level + (now - self._at) * self._rate)
            self._at = now
