"""What the phones say, as a telephone carries it (8 kHz, 16 bits, one channel)."""

from __future__ import annotations

import wave
from array import array
from math import pi, sin
from pathlib import Path
from random import Random

from sofw.demo.process import run

#: A sentence of two to three seconds for each side, so that an echo is not taken for the other one's voice.
SENTENCES = {
    "inside": "The quick brown fox jumps over the lazy dog",
    "outside": "How vexingly quick these daft zebras jump today",
}
RATE = 8000


def speak(sentence: str, voice: str, path: Path) -> None:
    """Write the sentence as a WAV file of 8 kHz, 16 bits, one channel."""
    raw = path.with_suffix(".raw.wav")
    run("espeak-ng", "-v", voice, "-s", "170", "-w", str(raw), sentence)
    run("sox", str(raw), "-r", str(RATE), "-c", "1", "-b", "16", str(path))
    raw.unlink()


def repeat(spoken: Path, path: Path, times: int = 30) -> None:
    """Write the sentence many times over: a phone that comes to the end of its file hangs up."""
    run("sox", str(spoken), str(path), "pad", "0.4", "0.2", "repeat", str(times))


def hum(seconds: float, seed: int) -> array[int]:
    """Something like speech, for where espeak-ng is not at hand: syllables of random pitch, and pauses."""
    random = Random(seed)
    samples: array[int] = array("h")
    while len(samples) < seconds * RATE:
        pitch, length = random.uniform(150, 900), random.randrange(400, 1600)
        loudness = random.uniform(2e3, 1e4)
        samples.extend(
            int(loudness * sin(pi * n / length) * sin(2 * pi * pitch * n / RATE) + random.gauss(0, 60))
            for n in range(length)
        )
        samples.extend([0] * random.randrange(200, 800))
    return samples


def write(path: Path, rate: int, samples: array[int]) -> None:
    """Write a WAV file of one channel."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
