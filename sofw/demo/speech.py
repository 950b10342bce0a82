"""What the phones say: a sentence by espeak-ng, as a telephone carries it (8 kHz, 16 bits, one channel)."""

from __future__ import annotations

from pathlib import Path

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
