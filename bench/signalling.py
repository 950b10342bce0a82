"""What a call's signalling costs: set-up and tear-down, through both halves and directly."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sip_load import Load, Pair


@dataclass(frozen=True)
class Signalling:
    """One row: calls per second, times in ms from INVITE to 200 (digest included), CPU in ms per call."""

    way: str
    at_once: int
    rate: float
    p50: float
    p99: float
    failures: int
    cpu: Mapping[str, float]


def measure(
    way: str, pair: Pair, cpu: Callable[[], Mapping[str, float]], at_once: int, seconds: float, runs: int
) -> Signalling:
    """Medians of some runs with so many calls under way at any time."""
    rows = [_once(pair, cpu, at_once, seconds) for _ in range(runs)]
    loads = [load for load, _ in rows]
    return Signalling(
        way,
        at_once,
        statistics.median(len(load.tear_down) / load.seconds for load in loads),
        statistics.median(_quantile(load.set_up, 0.50) for load in loads) * 1e3,
        statistics.median(_quantile(load.set_up, 0.99) for load in loads) * 1e3,
        sum(len(load.failures) for load in loads),
        {name: statistics.median(used[name] for _, used in rows) * 1e3 for name in rows[0][1]},
    )


def _once(
    pair: Pair, cpu: Callable[[], Mapping[str, float]], at_once: int, seconds: float
) -> tuple[Load, dict[str, float]]:
    before = cpu()
    load = pair.cycle(seconds, at_once)
    calls = max(len(load.tear_down), 1)
    return load, {name: (used - before[name]) / calls for name, used in cpu().items()}


def _quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0
