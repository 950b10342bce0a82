"""How HRAC behaves towards a network that is not its own: it says what it is, and does as it is asked."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from sofw import __version__
from sofw.tunnel.bucket import Bucket

#: Names the program and its half in each request, for whoever reads a proxy's log.
USER_AGENT = f"SoFW/{'.'.join(__version__.split('.')[:2])} (+HRAC)"
#: Statuses with which a server or a proxy asks to come back later (RFC 6585 §4, RFC 9110 §15.6.4).
BUSY = frozenset({429, 503})
#: The longest wait that is obeyed, in seconds: a site must not be locked out for ever by one odd answer.
LONGEST_WAIT = 3600.0


class Courtesy:
    """Tells when the next request may go. `now` is Unix time in seconds, as an answer may name a date.

    `rate` is the ceiling in requests per second, 0 for none.
    """

    def __init__(self, rate: float = 0.0) -> None:
        self._requests = Bucket(rate, max(1.0, rate))
        self._not_before = 0.0

    def asked_to_wait(self, now: float) -> float:
        """Seconds for which we were asked to stay away."""
        return max(0.0, self._not_before - now)

    def wait(self, now: float) -> float:
        """Seconds until the next request may go."""
        return max(self.asked_to_wait(now), self._requests.wait(now))

    def sent(self, now: float) -> None:
        """A request goes."""
        self._requests.spend(1, now)

    def answered(self, status: int, retry_after: str | None, now: float) -> None:
        """An answer came; with 429 and 503 it may say when to come back (RFC 9110 §10.2.3)."""
        if status in BUSY and retry_after:
            pause = min(_seconds(retry_after.strip(), now), LONGEST_WAIT)
            self._not_before = max(self._not_before, now + pause)


def _seconds(text: str, now: float) -> float:
    """The seconds that a Retry-After means: a number, or a date; 0 for what is neither."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
