"""What SoFW costs: `make bench`, or `python3 bench/run.py`.

Needs gcc and two CPUs, takes about two minutes; as root the generator has real-time priority. With
--compare (`make bench-compare`) it measures other SIP servers beside SoFW instead, see compare.py.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import compare  # noqa: E402  found only now
import media  # noqa: E402
import report  # noqa: E402
import signalling  # noqa: E402
from lab import PHONES_CPU, Lab, direct_pair  # noqa: E402

from sofw.net.rtp_udp import allow_descriptors  # noqa: E402


def main() -> None:
    """Measure, print as it goes, and write the document."""
    options = _options()
    allow_descriptors()
    os.sched_setaffinity(0, {PHONES_CPU})
    work = HERE.parent / ".work" / "bench"
    work.mkdir(parents=True, exist_ok=True)
    (_compare if options.compare else _all)(work, options)
    print(f"\nwritten: {options.output}")


def _compare(work: Path, options: argparse.Namespace) -> None:
    rows = compare.measure(work, options.runs)
    print(report.compared_table(rows))
    report.write_compared(options.output, _command("make bench-compare", "--compare"), rows, options.runs)


def _all(work: Path, options: argparse.Namespace) -> None:
    loadgen = media.Loadgen(work, options.seconds)
    lab = Lab(work / "lab")
    try:
        media_rows = _media(lab, loadgen, options)
        calls_rows = _signalling(lab, options)
    finally:
        lab.stop()
    command = _command("make bench")
    report.write(options.output, command, media_rows, calls_rows, options.runs, options.seconds)


def _command(short: str, *words: str) -> str:
    """What was typed; `short` when it was nothing more than `words`."""
    return short if tuple(sys.argv[1:]) == words else f"python3 bench/run.py {shlex.join(sys.argv[1:])}"


def _media(lab: Lab, loadgen: media.Loadgen, options: argparse.Namespace) -> list[media.Media]:
    rows = []
    for calls in options.calls:
        rows.append(media.measure(lab, loadgen, calls, options.runs))
        lines = report.media_table(rows).splitlines()
        print("\n".join(lines if len(rows) == 1 else lines[-1:]), flush=True)
    lab.pair.hang_up()
    return rows


def _signalling(lab: Lab, options: argparse.Namespace) -> list[signalling.Signalling]:
    direct = direct_pair()
    rows = []
    for way, pair, cpu in (("directly", direct, dict), ("through SoFW", lab.pair, lab.cpu)):
        for at_once in (1, 16):
            rows.append(signalling.measure(way, pair, cpu, at_once, options.seconds, options.runs))
    print("\n" + report.signalling_table(rows), flush=True)
    return rows


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--calls", type=int, nargs="+", default=[10, 50, 100, 200, 400, 800], help="numbers of calls, rising"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each; medians count")
    parser.add_argument("--compare", action="store_true", help="measure other SIP servers beside SoFW")
    parser.add_argument("--output", type=Path, default=HERE.parent / "docs" / "performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
