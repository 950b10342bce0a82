"""Was heard what was said? Two recordings compared, by nothing but arithmetic.

Both are WAV files of 8000 Hz, 16 bits, one channel. The spoken sentence is looked for anywhere in the
recording: first by its loudness over time, then sample by sample.
"""

from __future__ import annotations

import wave
from array import array
from collections.abc import Iterator, Sequence
from heapq import nlargest
from itertools import accumulate
from math import sqrt
from operator import mul
from pathlib import Path
from typing import NamedTuple

RATE = 8000
#: 10 ms: the grain of the loudness curve.
GRAIN = 80
#: 20 ms: one packet, the smallest hole that can occur.
PACKET = 160
#: Half a second: a jitter buffer may move the sound between two blocks, hardly within one.
BLOCK = 4000
#: 80 ms: how far a jitter buffer may move a block against the whole.
SLACK = 640
#: What counts as sound at all, as root mean square of samples.
AUDIBLE = 150.0
ALIKE = 0.9
#: Loudness alone may lead astray; so many of the best places are looked at closely.
CANDIDATES = 4


class Comparison(NamedTuple):
    """How a recording compares to what was spoken.

    `correlation` is 1.0 for the same sound, at whatever loudness (a mean over the blocks, by their
    energy); `offset_ms` is where in the recording the sentence begins; `gaps` are (start, length) in
    milliseconds of the sentence where something was said and nothing was recorded.
    """

    correlation: float
    offset_ms: float
    gaps: tuple[tuple[int, int], ...]


def compare(recorded: Path, spoken: Path) -> Comparison:
    """Look for the spoken sentence in the recording."""
    return compare_samples(read(recorded), read(spoken))


def compare_samples(recorded: Sequence[int], spoken: Sequence[int]) -> Comparison:
    """The same with samples; raises ValueError when nothing is spoken."""
    if _rms(spoken) < AUDIBLE:
        raise ValueError("nothing is spoken in the original")
    # Room on both sides, so that a sentence cut off at either end is found as well.
    margin = len(spoken) + SLACK + GRAIN
    silence = array("h", bytes(2 * margin))
    heard = silence + array("h", recorded) + silence
    starts = range(0, len(spoken), BLOCK)
    loudest = max(starts, key=lambda start: _rms(spoken[start : start + BLOCK]))
    _fit, offset = max(_best(heard, spoken, loudest, place, GRAIN) for place in _coarse(heard, spoken))
    blocks = [(start, _settle(heard, spoken, start, offset)) for start in starts]
    return Comparison(
        _mean_likeness(heard, spoken, blocks),
        (offset - margin) * 1000 / RATE,
        tuple(_gaps(heard, spoken, blocks)),
    )


def read(path: Path) -> array[int]:
    """The samples of a WAV file; raises ValueError for another form than 8000 Hz, 16 bits, one channel."""
    with wave.open(str(path)) as file:
        form = (file.getframerate(), file.getsampwidth(), file.getnchannels())
        if form != (RATE, 2, 1):
            raise ValueError(f"{path} is not of 8000 Hz, 16 bits, one channel")
        return array("h", file.readframes(file.getnframes()))


def _coarse(heard: Sequence[int], spoken: Sequence[int]) -> list[int]:
    """The places where the loudness of the sentence fits best, in samples."""
    wanted, curve = _level(_loudness(spoken)), _loudness(heard)
    fits = (
        (_likeness(wanted, _level(curve[start : start + len(wanted)])), start)
        for start in range(len(curve) - len(wanted) + 1)
    )
    return [start * GRAIN for _fit, start in nlargest(CANDIDATES, fits)]


def _level(curve: list[float]) -> list[float]:
    """The curve about its mean, so that only its shape counts."""
    mean = sum(curve) / len(curve)
    return [value - mean for value in curve]


def _loudness(samples: Sequence[int]) -> list[float]:
    return [_rms(samples[start : start + GRAIN]) for start in range(0, len(samples), GRAIN)]


def _settle(heard: Sequence[int], spoken: Sequence[int], start: int, offset: int) -> int:
    """The offset of one block: that of the whole if it fits, else the best one near it."""
    block = spoken[start : start + BLOCK]
    if (
        _likeness(block, heard[offset + start : offset + start + len(block)]) >= ALIKE
        or _rms(block) < AUDIBLE
    ):
        return offset
    return _best(heard, spoken, start, offset, SLACK)[1]


def _best(
    heard: Sequence[int], spoken: Sequence[int], start: int, offset: int, slack: int
) -> tuple[float, int]:
    """The best fit of the block at `start` within `slack` of an offset, and its offset."""
    block = spoken[start : start + BLOCK]
    first = max(0, offset - slack)
    part = heard[first + start : offset + slack + start + len(block)]
    said = _energy(block)
    # The energy of each stretch as a difference of sums: most of the time goes here.
    sums = list(accumulate(map(mul, part, part), initial=0))
    fits = [(0.0, -slack, offset)]
    for place in range(len(part) - len(block) + 1):
        size = sqrt(said * (sums[place + len(block)] - sums[place]))
        likeness = sum(map(mul, block, part[place : place + len(block)])) / size if size else 0.0
        fits.append((likeness, -abs(first + place - offset), first + place))
    likeness, _, place = max(fits)
    return likeness, place


def _mean_likeness(heard: Sequence[int], spoken: Sequence[int], blocks: list[tuple[int, int]]) -> float:
    total = weight = 0.0
    for start, offset in blocks:
        block = spoken[start : start + BLOCK]
        energy = _rms(block) ** 2 * len(block)
        total += energy * _likeness(block, heard[offset + start : offset + start + len(block)])
        weight += energy
    return total / weight


def _gaps(
    heard: Sequence[int], spoken: Sequence[int], blocks: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Runs of packets that are audible in the original and silent in the recording."""
    begin = length = 0
    for start, offset in blocks:
        for first in range(start, min(start + BLOCK, len(spoken)), PACKET):
            said = _rms(spoken[first : first + PACKET])
            got = _rms(heard[offset + first : offset + first + PACKET])
            if said >= AUDIBLE and got < said / 10:
                begin = begin if length else first
                length += PACKET
            elif length:
                yield begin * 1000 // RATE, length * 1000 // RATE
                length = 0
    if length:
        yield begin * 1000 // RATE, length * 1000 // RATE


def _likeness(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine between two stretches of equal length; 0.0 when one is silent or cut short."""
    if len(one) != len(other):
        return 0.0
    size = sqrt(_energy(one) * _energy(other))
    product: float = sum(map(mul, one, other))
    return product / size if size else 0.0


def _energy(samples: Sequence[float]) -> float:
    energy: float = sum(map(mul, samples, samples))
    return energy


def _rms(samples: Sequence[float]) -> float:
    return sqrt(_energy(samples) / len(samples)) if len(samples) else 0.0
