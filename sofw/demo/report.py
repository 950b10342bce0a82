"""What the demonstration says at its end: a table of what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from sofw.demo.measure import ALIKE, LATE, LOST, SLOW, Measured, Voice

#: What is measured, per call in its order, what would be good enough, and whether it is.
Line = tuple[str, list[str], str, bool]


def report(calls: Sequence[Measured], round_trip: float | None, left: Sequence[str]) -> str:
    """The table. `round_trip` is the tunnel's in milliseconds, `left` what stayed behind in HRAS and HRAC."""
    lines: list[Line] = [("set-up", [f"{c.setup:.3f} s" for c in calls], f"{SLOW:g} s", _all_fast(calls))]
    for number in range(2):
        lines += _direction([call.voices[number] for call in calls])
    trip = "not yet known" if round_trip is None else f"{round_trip:.1f} ms"
    lines.append(("tunnel, there and back", [trip], "", round_trip is not None))
    lines.append(("left behind after the calls", [", ".join(left) or "nothing"], "nothing", not left))
    return "\n".join(_format([_head(calls), *lines]))


def good(calls: Sequence[Measured], round_trip: float | None, left: Sequence[str]) -> bool:
    """Whether everything is as it should be."""
    return bool(calls) and all(call.good for call in calls) and round_trip is not None and not left


def _all_fast(calls: Sequence[Measured]) -> bool:
    return all(call.setup <= SLOW for call in calls)


def _head(calls: Sequence[Measured]) -> Line:
    return ("MEASURED", [f"{call.caller} calls {call.callee}" for call in calls], "needed", True)


def _direction(voices: Sequence[Voice]) -> list[Line]:
    """The same direction in all calls."""
    who = f"{voices[0].speaker} to {voices[0].listener}"
    paths = [voice.journey for voice in voices]
    sounds = [voice.sound for voice in voices]
    lost = [f"{path.lost} of {path.sent}" for path in paths]
    alike = [f"{sound.correlation:.4f}" + (" with gaps" if sound.gaps else "") for sound in sounds]
    late = [f"{path.usual * 1000:.1f} / {path.worst * 1000:.1f} ms" for path in paths]
    alike_good = all(sound.correlation >= ALIKE and not sound.gaps for sound in sounds)
    lost_good = all(path.sent > 0 and path.lost <= LOST * path.sent for path in paths)
    late_good = all(path.worst <= LATE for path in paths)
    return [
        (f"{who}: heard like spoken", alike, f"{ALIKE:g}", alike_good),
        ("  packets lost", lost, f"{LOST:.0%}", lost_good),
        ("  delay, usual / worst of 100", late, f"{LATE * 1000:g} ms", late_good),
    ]


def _format(lines: Sequence[Line]) -> list[str]:
    widths = [max(len(name) for name, *_ in lines), 0]
    widths[1] = max(len(value) for _, values, *_ in lines for value in values)
    shown = []
    for name, values, needed, fine in lines:
        cells = "  ".join(value.ljust(widths[1]) for value in [*values, "", ""][:2])
        shown.append(f"{name.ljust(widths[0])}  {cells}  {needed}{'' if fine else '  FAILED'}".rstrip())
    return shown
