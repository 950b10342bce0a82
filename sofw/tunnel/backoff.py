"""How long to wait before the next attempt."""

from __future__ import annotations

from attrs import frozen


@frozen
class Backoff:
    """Exponential back-off with jitter, in seconds: from `first`, doubled each time, to `longest`."""

    first: float
    longest: float

    def delay(self, failures: int, chance: float) -> float:
        """The pause after so many failures in a row (1 or more).

        `chance` is random between 0 and 1. It spreads the pause by a quarter either way, so that many
        sites do not come back to an HRAS at the same moment.
        """
        # Beyond 2 ** 32 nothing changes any more, and a float would overflow in the end.
        pause = min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
        return pause * (0.75 + chance / 2)
