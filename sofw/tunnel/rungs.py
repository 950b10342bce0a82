"""Rungs: the ways of carrying a tunnel over HTTP, best first.

A rung says how frames go up and how they come down. HRAC chooses it; HRAS takes each request for what its
path says it is. The link above does not know which rung carries it.
"""

from __future__ import annotations

from collections.abc import Set
from enum import Enum

from attrs import evolve, frozen

#: Sent with everything that carries frames: nobody on the way shall keep it, look into it or gather it.
STREAM_HEADERS = (
    ("Content-Type", "application/octet-stream"),
    ("Cache-Control", "no-store, no-transform"),
    ("X-Accel-Buffering", "no"),
)


class Purpose(Enum):
    """What a request of a session is for; the word in its path."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"
    #: The probes: HRAS sends ticks, HRAC sends ticks, HRAS tells which have come.
    TICKS = "ticks"
    TRY = "try"
    REPORT = "report"


#: The method of each request.
METHODS = {
    Purpose.UP: "POST",
    Purpose.DOWN: "GET",
    Purpose.BOTH: "POST",
    Purpose.TICKS: "GET",
    Purpose.TRY: "POST",
    Purpose.REPORT: "GET",
}


class Upward(Enum):
    """How frames go up: in a POST whose body never ends, in short ones, or in polls."""

    CHUNKED = "a chunked POST without end"
    LENGTH = "a POST with a huge Content-Length"
    POSTS = "short POSTs on several connections"
    POLLS = "POSTs at intervals"


class Downward(Enum):
    """How frames come down: in an answer without end, in held answers, or in the answers to polls."""

    STREAM = "an answer to a GET without end"
    HELD = "GETs that are answered when there is something"
    POLLS = "the answers to POSTs at intervals"


@frozen
class Rung:
    """A way of carrying a tunnel. An upward stream begins with `pad` bytes that say nothing.

    Some proxies let a body pass only after so many bytes, and everything behind them at once. Some close each
    connection after its request: without `persistent` short requests have one each.
    """

    name: str
    up: Upward
    down: Downward
    pad: int = 0
    persistent: bool = True


#: The papers' form: the answer to a GET streams down, the chunked body of a POST streams up.
STREAMS = Rung("streams", Upward.CHUNKED, Downward.STREAM)
STREAMS_16K = Rung("streams-16k", Upward.CHUNKED, Downward.STREAM, 16384)
STREAMS_64K = Rung("streams-64k", Upward.CHUNKED, Downward.STREAM, 65536)
#: For proxies that gather a chunked body and let one of known length pass.
LENGTH = Rung("length", Upward.LENGTH, Downward.STREAM)
#: For proxies that gather every body before they pass it on.
POSTS = Rung("posts", Upward.POSTS, Downward.STREAM)
#: For proxies that gather answers too.
HELD = Rung("held", Upward.POSTS, Downward.HELD)
#: For proxies that allow few requests at a time, or none that lasts.
POLLS = Rung("polls", Upward.POLLS, Downward.POLLS)
#: The same for proxies that close each connection after its request.
POSTS_EACH = evolve(POSTS, name="posts-each", persistent=False)
HELD_EACH = evolve(HELD, name="held-each", persistent=False)
POLLS_EACH = evolve(POLLS, name="polls-each", persistent=False)
#: All rungs, best first.
LADDER = (
    *(STREAMS, STREAMS_16K, STREAMS_64K, LENGTH),
    *(POSTS, POSTS_EACH, HELD, HELD_EACH, POLLS, POLLS_EACH),
)


@frozen
class Findings:
    """What passes: how frames may come down, the rungs whose endless body streams up, second requests."""

    down: Set[Downward]
    up: Set[Rung]
    persistent: bool = True

    def allow(self, rung: Rung) -> bool:
        """Whether everything that the rung needs passes; polls pass wherever short requests do."""
        if rung.down not in self.down and rung.down is not Downward.POLLS:
            return False
        return rung in self.up if streams_up(rung) else self.persistent or not rung.persistent


def streams_up(rung: Rung) -> bool:
    """Whether the rung needs a body without end to pass."""
    return rung.up in (Upward.CHUNKED, Upward.LENGTH)


def best_rung(findings: Findings, avoid: Set[Rung] = frozenset()) -> Rung:
    """The best rung that carries a tunnel there, except some; the last carries it if any does."""
    return next((rung for rung in LADDER if rung not in avoid and findings.allow(rung)), LADDER[-1])


def rung_named(name: object) -> Rung | None:
    """The rung of this name."""
    return next((rung for rung in LADDER if rung.name == name), None)


def rung_seen(short: Set[Purpose]) -> Rung:
    """What HRAS can tell of the rung from what comes in short requests; to it all streams are the same."""
    if Purpose.BOTH in short:
        return POLLS
    if Purpose.DOWN in short:
        return HELD
    return POSTS if Purpose.UP in short else STREAMS
