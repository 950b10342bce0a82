"""SoFW beside other SIP servers: `make bench-compare`, or `python3 bench/run.py --compare`.

The same calls by SIPp (uac.xml, uas.xml), some at a time without a pause, through each server in turn,
round after round: what disturbs the machine meanwhile disturbs all alike.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import HALVES_CPU, HRAC, HRAS, INSIDE, OUTSIDE, PHONES_CPU, SIP_PORT, Lab, cpu_of
from phone import Phone

from sofw.demo.process import Process

_HERE = Path(__file__).resolve().parent
#: Where Kamailio (kamailio.cfg says so too) and Sippy listen, and the phone that is called.
KAMAILIO, SIPPY = "127.0.5.1", "127.0.6.1"
CALLEE_PORT, CALLER_PORT = 5080, 5090
#: Calls under way at any time.
AT_ONCE = 16


@dataclass(frozen=True)
class Server:
    """One server: where the caller is and whom it sends to, how many calls are a run, what it has used."""

    name: str
    caller: str
    place: str
    calls: int
    cpu: Callable[[], float]


@dataclass(frozen=True)
class Compared:
    """One row: calls per second, CPU in ms per call, and calls that failed."""

    name: str
    rate: float
    cpu: float
    failures: int


def measure(folder: Path, runs: int) -> list[Compared]:
    """Start all servers, and take the medians of some runs through each."""
    with ExitStack() as stack:
        lab = Lab(folder / "lab")
        stack.callback(lab.stop)
        # SIPp takes over the place from which he registers.
        bob = Phone("bob", (OUTSIDE, CALLEE_PORT), (HRAS, SIP_PORT))
        bob.register()
        bob.socket.close()
        servers = list(_servers(folder, lab, stack))
        rounds = [[_once(folder, server) for server in servers] for _ in range(runs)]
    return [
        _median(server.name, rows) for server, rows in zip(servers, zip(*rounds, strict=True), strict=True)
    ]


def _servers(folder: Path, lab: Lab, stack: ExitStack) -> Iterator[Server]:
    kamailio = ("kamailio", "-DD", "-f", str(_HERE / "kamailio.cfg"), "-Y", str(folder), "-m", "256")
    process = stack.enter_context(_program("kamailio", kamailio, folder))
    yield Server("Kamailio", OUTSIDE, KAMAILIO, 20000, lambda: _family_cpu(process.pid))
    sippy = _sippy(folder, stack)
    if sippy:
        yield sippy
    yield Server("HRAS alone", OUTSIDE, HRAS, 1500, lambda: lab.cpu()["HRAS"])
    yield Server("HRAC and HRAS", INSIDE, HRAC, 1000, lambda: sum(lab.cpu().values()))


def _sippy(folder: Path, stack: ExitStack) -> Server | None:
    program = _HERE.parent / ".work" / "sippy" / "bin" / "b2bua_simple"
    if not program.exists():
        print("Sippy is not there; tools/bench-setup installs it", file=sys.stderr)
        return None
    command = (str(program), "-f", "-l", SIPPY, "-p", str(SIP_PORT), "-n", f"{OUTSIDE}:{CALLEE_PORT}")
    quiet = {**os.environ, "SIPLOG_BEND": "none", "SIPLOG_LVL": "CRIT"}
    process = stack.enter_context(_program("sippy", command, folder, quiet))
    return Server("Sippy B2BUA", OUTSIDE, SIPPY, 800, lambda: cpu_of(process.pid))


@contextmanager
def _program(
    name: str, command: tuple[str, ...], folder: Path, environment: dict[str, str] | None = None
) -> Iterator[Process]:
    pinned = ("taskset", "-c", str(HALVES_CPU), *command)
    process = Process(name, pinned, folder / f"{name}.log", environment=environment)
    try:
        yield process
    finally:
        process.stop()


def _once(folder: Path, server: Server) -> Compared:
    """One run; the callee is a new one each time, so that nothing of the last is left."""
    before = server.cpu()
    address = ("-i", OUTSIDE, "-p", str(CALLEE_PORT))
    callee = ("taskset", "-c", str(PHONES_CPU), "sipp", "-sf", str(_HERE / "uas.xml"), *address)
    process = Process("callee", (*callee, "-nostdin"), folder / "callee.log")
    try:
        rows = _call(folder, server)
    finally:
        process.stop()
    made, failed = int(rows["SuccessfulCall(C)"]), int(rows["FailedCall(C)"])
    # Each time stamp ends with the seconds since 1970.
    began, ended = (float(rows[name].split()[-1]) for name in ("StartTime", "CurrentTime"))
    return Compared(server.name, made / (ended - began), (server.cpu() - before) / max(made, 1) * 1e3, failed)


def _call(folder: Path, server: Server) -> dict[str, str]:
    """Make the calls; returns the last line of SIPp's statistics."""
    statistic = folder / "caller.csv"
    statistic.unlink(missing_ok=True)
    options = {
        "-sf": str(_HERE / "uac.xml"),
        "-i": server.caller,
        "-p": str(CALLER_PORT),
        "-m": str(server.calls),
        "-l": str(AT_ONCE),
        "-r": "50000",
        "-stf": str(statistic),
        "-fd": "1",
        "-timeout": "40",
    }
    words = [word for option in options.items() for word in option]
    command = ("sipp", f"{server.place}:{SIP_PORT}", *words, "-trace_stat", "-nostdin")
    # Its status says whether all calls succeeded; the statistics say how many did.
    subprocess.run(command, check=False, capture_output=True, timeout=60)
    with statistic.open() as lines:
        return list(csv.DictReader(lines, delimiter=";"))[-1]


def _median(name: str, rows: tuple[Compared, ...]) -> Compared:
    return Compared(
        name,
        statistics.median(row.rate for row in rows),
        statistics.median(row.cpu for row in rows),
        sum(row.failures for row in rows),
    )


def _family_cpu(pid: int) -> float:
    """The CPU seconds of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_of(pid) + sum(cpu_of(int(child)) for child in children)
