"""Sound as the phone speaks, carries and records it: 8000 Hz, 16 bits, G.711 µ-law on the line."""

from __future__ import annotations

import wave
from array import array
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sofw.errors import LocalError

RATE = 8000
#: Samples, and with µ-law bytes, in a packet of 20 ms.
PACKET = 160
SILENCE = b"\xff" * PACKET
#: Half an hour; a recording must not fill the memory.
MAX_PACKETS = 90_000
#: A jump in the sequence numbers beyond this is a new beginning, not a loss (RFC 3550 §A.1, MAX_DROPOUT).
MAX_DROPOUT = 3000

_BIAS = 0x84
_CLIP = 32635


def encode(samples: Sequence[int]) -> bytes:
    """16-bit samples as µ-law, a byte each (ITU-T G.711)."""
    table = _encoding()
    return bytes(table[sample >> 2] for sample in samples)


def decode(payload: bytes) -> array[int]:
    """µ-law bytes as 16-bit samples."""
    table = _decoding()
    return array("h", (table[byte] for byte in payload))


def read_wav(path: Path) -> array[int]:
    """The samples of a WAV file; raises LocalError unless it is of 8000 Hz, 16 bits, one channel."""
    try:
        with path.open("rb") as raw, wave.open(raw) as file:
            form = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            samples = array("h", file.readframes(file.getnframes()))
    except (OSError, EOFError, wave.Error) as error:
        raise LocalError(f"cannot read {path}: {error}") from None
    if form != (RATE, 2, 1):
        raise LocalError(f"{path} is not a WAV file of {RATE} Hz, 16 bits, one channel")
    return samples


def write_wav(path: Path, samples: array[int]) -> None:
    """Write samples as a WAV file; raises LocalError."""
    try:
        with path.open("wb") as raw, wave.open(raw) as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
    except OSError as error:
        raise LocalError(f"cannot write {path}: {error}") from None


class Recording:
    """The packets heard, in the order of their sequence numbers; what is missing is silence.

    `received`, `repeated` and `lost` count packets. A new source goes on where the last one ended.
    """

    def __init__(self) -> None:
        self.received = 0
        self.repeated = 0
        self._packets: dict[int, bytes] = {}
        self._ssrc: int | None = None
        self._first = 0
        self._last = 0

    @property
    def lost(self) -> int:
        """Packets missing between the first and the last one heard."""
        span = self._last - self._first + 1 if self._packets else 0
        return span - len(self._packets)

    def put(self, ssrc: int, sequence: int, payload: bytes) -> None:
        """A packet came in."""
        self.received += 1
        number = self._number(ssrc, sequence)
        if number in self._packets:
            self.repeated += 1
        elif number - self._first < MAX_PACKETS:
            self._packets[number] = payload
            self._first, self._last = min(self._first, number), max(self._last, number)

    def samples(self) -> array[int]:
        """The sound so far."""
        numbers = range(self._first, self._last + 1) if self._packets else range(0)
        return decode(b"".join(self._packets.get(number, SILENCE) for number in numbers))

    def _number(self, ssrc: int, sequence: int) -> int:
        """The sequence number without wrap-around, counted on from the last one."""
        if self._ssrc is None:
            self._first = self._last = sequence
            step = 0
        else:
            step = (sequence - self._last + 0x8000) % 0x10000 - 0x8000
            if ssrc != self._ssrc or abs(step) > MAX_DROPOUT:
                self._rebase(sequence)
                step = 1
        self._ssrc = ssrc
        return self._last + step

    def _rebase(self, sequence: int) -> None:
        """Renumber what was heard so that `sequence` is the next number."""
        shift = (sequence - 1 - self._last) % 0x10000
        self._packets = {number + shift: payload for number, payload in self._packets.items()}
        self._first, self._last = self._first + shift, self._last + shift


@cache
def _decoding() -> tuple[int, ...]:
    return tuple(map(_expand, range(256)))


def _expand(byte: int) -> int:
    """One µ-law byte: sign, three bits of segment, four of step, all inverted (G.711 table 2a)."""
    code = ~byte & 0xFF
    magnitude = ((code & 0x0F) << 3) + _BIAS << (code >> 4 & 7)
    return _BIAS - magnitude if code & 0x80 else magnitude - _BIAS


@cache
def _encoding() -> dict[int, int]:
    """µ-law of each 14-bit value, which is all that G.711 looks at."""
    return {value: _compress(value << 2) for value in range(-8192, 8192)}


def _compress(sample: int) -> int:
    magnitude = min(abs(sample), _CLIP) + _BIAS
    segment = magnitude.bit_length() - 8
    code = segment << 4 | magnitude >> segment + 3 & 0x0F
    return ~(code | (0x80 if sample < 0 else 0)) & 0xFF
