"""Probing what a web proxy lets through: ticks sent at fixed intervals, and when they arrive.

A body that streams brings each tick about when it was sent; one that is gathered on the way brings them
together, late or never. Only differences of times at one end count, so the two clocks need not agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sofw.tunnel.frame import HEADER_LENGTH, MAX_LENGTH, DataType, Frame, encode

#: How many ticks a probe sends, and the seconds between them.
TICKS = 4
INTERVAL = 0.1
#: Seconds by which a tick may miss its time; more would be heard in a call.
TOLERANCE = 0.08
#: After so many seconds what has not arrived never will.
LIMIT = 1.5
#: When HRAS is asked which ticks have come: the last has had this long to arrive.
ASK_AFTER = (TICKS - 1) * INTERVAL + 0.2
#: Upward probes of one run, and bytes of each.
MAX_TRIALS = 16
MAX_TRIAL = 131072
#: Downward streams begin with so many bytes of padding: for filters that look at the first kilobytes.
DOWN_PAD = 2048

TICK = encode(Frame(DataType.DUMMY, None, 0, b""))


def padding(length: int) -> bytes:
    """So many bytes of pad frames (none, or at least the 12 of a header)."""
    pieces = []
    while length > 0:
        whole = min(length, MAX_LENGTH)
        if 0 < length - whole < HEADER_LENGTH:
            whole -= HEADER_LENGTH
        pieces.append(encode(Frame(DataType.PAD, None, 0, bytes(whole - HEADER_LENGTH))))
        length -= whole
    return b"".join(pieces)


def streamed(arrivals: Sequence[float]) -> bool:
    """Whether ticks that arrived at these seconds came as they were sent; one of them may stray."""
    if len(arrivals) != TICKS:
        return False
    late = [abs(at - arrivals[0] - number * INTERVAL) > TOLERANCE for number, at in enumerate(arrivals)]
    return sum(late) <= 1


def report_body(arrivals: Mapping[int, Sequence[float]]) -> bytes:
    """What HRAS tells: when the ticks of each upward probe came, in seconds."""
    return json.dumps({"arrived": {str(part): list(times) for part, times in arrivals.items()}}).encode()


def read_report(body: bytes) -> frozenset[int]:
    """The probes that streamed, by number; none when the report cannot be read."""
    try:
        arrived = json.loads(body)["arrived"]
        return frozenset(int(part) for part, times in arrived.items() if streamed(list(map(float, times))))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return frozenset()
