"""Rungs: the ways of carrying a tunnel over HTTP, best first.

A rung says which requests make up its lanes. HRAC opens one of each; HRAS tells by the method
which lane a request is. The link above does not know which rung carries it.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

#: Sent with everything that streams: nobody on the way shall keep it, look into it or gather it.
STREAM_HEADERS = (
    ("Content-Type", "application/octet-stream"),
    ("Cache-Control", "no-store, no-transform"),
    ("X-Accel-Buffering", "no"),
)


class Direction(Enum):
    """Which way a lane carries frames."""

    UP = "up"
    DOWN = "down"


@frozen
class LaneKind:
    """One request of a rung: its method, and the direction in which its body never ends."""

    method: str
    direction: Direction


@frozen
class Rung:
    """A way of carrying a tunnel."""

    name: str
    lanes: tuple[LaneKind, ...]


#: The papers' form: the answer to a GET streams down, the chunked body of a POST streams up.
STREAMS = Rung("streams", (LaneKind("GET", Direction.DOWN), LaneKind("POST", Direction.UP)))
#: All rungs, best first.
LADDER = (STREAMS,)


def direction_of(method: str) -> Direction | None:
    """The direction of the lane that a request with this method opens."""
    return next((lane.direction for rung in LADDER for lane in rung.lanes if lane.method == method), None)
