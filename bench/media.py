"""What relaying media costs: loadgen's RTP on calls that were set up by SIP."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import PHONES_CPU, Lab

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Media:
    """One row: loss in percent, delays in ms one way, CPU in us per packet that arrived, for each half."""

    calls: int
    loss: float
    p50: float
    p99: float
    direct_p50: float
    direct_p99: float
    cpu: Mapping[str, float]


class Loadgen:
    """The generator: two RTP streams per call, 172 bytes every 20 ms, arrival stamped by the kernel."""

    def __init__(self, folder: Path, seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._program = folder / "loadgen"
        self._legs = folder / "legs"
        self._seconds = seconds
        command = ("gcc", "-O2", "-Wall", "-o", str(self._program), str(_HERE / "loadgen.c"), "-lm")
        subprocess.run(command, check=True)

    def direct(self, calls: int) -> dict[str, Any]:
        """The same streams from phone to phone: what the machine and the generator do by themselves."""
        legs = subprocess.run(
            (str(self._program), "-g", "direct", "-n", str(calls)), check=True, capture_output=True, text=True
        )
        return self._run(legs.stdout, {})

    def relayed(self, legs: str, pids: Mapping[str, int]) -> dict[str, Any]:
        """The streams through the halves."""
        return self._run(legs, pids)

    def _run(self, legs: str, pids: Mapping[str, int]) -> dict[str, Any]:
        self._legs.write_text(legs)
        command = [str(self._program), "-f", str(self._legs), "-t", str(self._seconds)]
        command += ["-c", str(PHONES_CPU), "-j"]
        if os.geteuid() == 0:
            command.append("-r")
        if pids:
            command += ["-p", ",".join(f"{name}={pid}" for name, pid in pids.items())]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if not done.stdout:
            raise RuntimeError(f"loadgen: {done.stderr.strip()}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def measure(lab: Lab, loadgen: Loadgen, calls: int, runs: int) -> Media:
    """Medians of some runs with so many calls up; sets up what is missing."""
    load = lab.pair.hold(calls - len(lab.pair.up))
    if load.failures:
        raise RuntimeError(f"{len(load.failures)} calls could not be set up: {load.failures[0]}")
    direct = loadgen.direct(calls)
    results = [loadgen.relayed(lab.pair.legs(), lab.pids()) for _ in range(runs)]

    def middle(name: str) -> float:
        return statistics.median(result[name] for result in results)

    cpu = {
        name: statistics.median(result["cpu"][name] / max(result["rcvd"], 1) * 1e6 for result in results)
        for name in lab.pids()
    }
    return Media(calls, middle("loss_pct"), middle("p50"), middle("p99"), direct["p50"], direct["p99"], cpu)
