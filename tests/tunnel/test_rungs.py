"""Tests of the rungs and of the pauses between attempts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.tunnel.backoff import Backoff
from sofw.tunnel.rungs import (
    HELD,
    HELD_EACH,
    LADDER,
    LENGTH,
    METHODS,
    POLLS,
    POLLS_EACH,
    POSTS,
    POSTS_EACH,
    STREAMS,
    STREAMS_16K,
    STREAMS_64K,
    Downward,
    Findings,
    Purpose,
    Rung,
    best_rung,
    rung_named,
    rung_seen,
    streams_up,
)

ALL = frozenset(Downward)
NONE: frozenset[Rung] = frozenset()
UPLOADS = frozenset(rung for rung in LADDER if streams_up(rung))

#: What passes, what is avoided, and the rung that is chosen then.
CHOICES: list[tuple[Findings, frozenset[Rung], Rung]] = [
    (Findings(ALL, UPLOADS), NONE, STREAMS),
    (Findings(ALL, UPLOADS), frozenset({STREAMS}), STREAMS_16K),
    (Findings(ALL, frozenset({STREAMS_64K, STREAMS_16K})), NONE, STREAMS_16K),
    (Findings(ALL, frozenset({STREAMS_64K, LENGTH})), NONE, STREAMS_64K),
    (Findings(ALL, frozenset({LENGTH})), NONE, LENGTH),
    (Findings(ALL, NONE), NONE, POSTS),
    (Findings(frozenset({Downward.HELD}), UPLOADS), NONE, HELD),
    (Findings(frozenset({Downward.HELD}), NONE), NONE, HELD),
    (Findings(frozenset({Downward.HELD}), NONE), frozenset({HELD, HELD_EACH}), POLLS),
    (Findings(frozenset(), UPLOADS), NONE, POLLS),
    (Findings(frozenset(), NONE), frozenset(LADDER), POLLS_EACH),
    (Findings(ALL, UPLOADS, persistent=False), NONE, STREAMS),
    (Findings(ALL, NONE, persistent=False), NONE, POSTS_EACH),
    (Findings(frozenset({Downward.HELD}), NONE, persistent=False), NONE, HELD_EACH),
    (Findings(frozenset(), NONE, persistent=False), NONE, POLLS_EACH),
]


class RungTests(SynchronousTestCase):
    """The ladder."""

    def test_names(self) -> None:
        """Every rung has a name of its own, by which it is found again."""
        self.assertEqual([rung_named(rung.name) for rung in LADDER], list(LADDER))
        self.assertEqual([rung_named(name) for name in ("", "ladder", None, 7)], [None] * 4)

    def test_methods(self) -> None:
        """What sends a body is a POST."""
        self.assertEqual(
            {purpose.value: method for purpose, method in METHODS.items()},
            {"up": "POST", "down": "GET", "both": "POST", "ticks": "GET", "try": "POST", "report": "GET"},
        )

    def test_choice(self) -> None:
        """The best rung is chosen of which all passes."""
        for findings, avoid, rung in CHOICES:
            self.assertEqual(best_rung(findings, avoid).name, rung.name, findings)

    def test_seen(self) -> None:
        """HRAS names a rung by the requests that come."""
        cases = [
            (set(), STREAMS),
            ({Purpose.UP}, POSTS),
            ({Purpose.UP, Purpose.DOWN}, HELD),
            ({Purpose.BOTH}, POLLS),
        ]
        for short, rung in cases:
            self.assertIs(rung_seen(short), rung)


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
