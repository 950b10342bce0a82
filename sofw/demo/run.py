"""`sofw demo`: two phones call each other through a web proxy, and what they heard is measured."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sofw import __version__
from sofw.cli.table import format_table
from sofw.demo import networks
from sofw.demo.audio import compare
from sofw.demo.loopback import Loopback
from sofw.demo.measure import Measured, Passage, Voice, journey
from sofw.demo.networks import Networks
from sofw.demo.report import good, report

Scene = Networks | Loopback
#: Per phone the packets that it sent and heard.
Passages = Mapping[str, tuple[list[Passage], list[Passage]]]
#: Who speaks what.
SIDES = {"alice": "inside", "olga": "outside"}
#: The sentence once, and a pause (seconds); the table is shown in between.
_BEFORE_TABLE, _AFTER_TABLE = 3.0, 1.2
#: How long after the last call HRAS and HRAC may take to notice it (seconds).
_PATIENCE = 5.0


def main(arguments: list[str]) -> int:
    """Run the demonstration; 0 when all that was measured is good, else 1. Raises LocalError."""
    options = _parser().parse_args(arguments)
    # A SIGTERM must run the cleaning up; a Ctrl-C does so by itself.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    tell = Teller()
    with ExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="sofw-demo-"))
        if options.keep:
            cleanup.callback(print, f"Logs and recordings are in {folder}")
        else:
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        scene = _scene(folder, options.loopback)
        cleanup.enter_context(scene)
        return _show(scene, tell)


class Teller:
    """Prints what happens, with the seconds since the beginning."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    def __call__(self, text: str) -> None:
        first, *more = text.splitlines()
        print(f"{self._clock() - self._began:5.1f} s  {first}", flush=True)
        for line in more:
            print(f"         {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sofw demo",
        description="Show two phones calling each other through a web proxy, on this machine. "
        "Root gets a firewall, real phones and networks of their own; others see the same on loopback.",
    )
    parser.add_argument("--loopback", action="store_true", help="stay on loopback even as root")
    parser.add_argument("--keep", action="store_true", help="keep logs and recordings")
    return parser


def _scene(folder: Path, loopback: bool) -> Scene:
    print(f"SoFW {__version__}: SIP over FireWall, shown on this machine alone\n")
    reason = "as you wish" if loopback else "you are not root" if os.geteuid() else networks.obstacle()
    if not reason:
        return Networks(folder)
    print(f"On loopback ({reason}): SoFW's own phones, and no firewall, so none is shown to be crossed.\n")
    return Loopback(folder)


def _show(scene: Scene, tell: Teller) -> int:
    print("\n".join(scene.picture()) + "\n")
    tell(tunnel_text(scene.way, scene.hras.ask("status")["tunnels"][0]))
    for row in scene.hras.ask("registrations"):
        tell(f"{row['aor']} is registered from {row['from']} by {row['transport']}, leg {row['leg']}")
    calls = [_call(scene, caller, callee, tell) for caller, callee in (("alice", "olga"), ("olga", "alice"))]
    round_trip = scene.hras.ask("status")["tunnels"][0]["rtt_ms"]
    left = _left(scene)
    print("\n" + report(calls, round_trip, left))
    return 0 if good(calls, round_trip, left) else 1


def _call(scene: Scene, caller: str, callee: str, tell: Teller) -> Measured:
    """One call, shown and measured; the callee hangs up."""
    near, far = scene.phones[caller], scene.phones[callee]
    scene.listen()
    began = time.monotonic()
    near.dial(f"sip:{callee}@example.com")
    far.established()
    near.established()
    setup = time.monotonic() - began
    tell(f"{caller} calls {callee}: up after {setup:.3f} s. Both speak; the RAT meanwhile:")
    time.sleep(_BEFORE_TABLE)
    tell("\n".join(rat_lines(scene.hras.ask("rat"))))
    time.sleep(_AFTER_TABLE)
    passages, now = scene.passages(), time.time()
    far.hang_up()
    far.ended()
    near.ended()
    tell(f"{callee} hangs up")
    voices = [_voice(scene, *pair, passages, now) for pair in (("alice", "olga"), ("olga", "alice"))]
    return Measured(caller, callee, setup, tuple(voices))


def _voice(scene: Scene, speaker: str, listener: str, passages: Passages, now: float) -> Voice:
    path = journey(passages[speaker][0], passages[listener][1], now)
    sound = compare(scene.phones[listener].heard(), scene.spoken(SIDES[speaker]))
    return Voice(speaker, listener, path, sound)


def _left(scene: Scene) -> list[str]:
    """What the calls left behind, once both halves had time to notice their end."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        status = scene.hras.ask("status")
        counts = {"calls": status["calls"], "rows": status["rows"]}
        counts["ports"] = scene.hrac.ask("status")["open_ports"]
        left = [f"{count} {what}" for what, count in counts.items() if count]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def tunnel_text(way: str, tunnel: dict[str, object]) -> str:
    """How the tunnel got out, in two lines."""
    trip = "not measured yet" if tunnel["rtt_ms"] is None else f"{tunnel['rtt_ms']} ms"
    return (
        f"HRAC's tunnel to HRAS is {tunnel['state']}, {way}\n"
        f"rung {tunnel['rung']}, {tunnel['lanes']} lanes, there and back {trip}"
    )


def rat_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The RAT under the papers' names, and the packets that came from either end."""
    return format_table([_rat_row(row) for row in rows]).splitlines() if rows else ["(empty)"]


def _rat_row(row: Mapping[str, Any]) -> dict[str, object]:
    shown: dict[str, object] = {name: f"{row[name]}"[:8] for name in ("To", "From", "Call-ID")}
    shown |= {name: row[name] for name in ("IIP", "IPort", "OIP", "OPort", "kind")}
    ends = {name: row[name] for name in ("caller", "callee")}
    shown |= {f"from {name}": end["packets"] for name, end in ends.items()}
    return shown | {"strangers": sum(end["strangers"] for end in ends.values())}
