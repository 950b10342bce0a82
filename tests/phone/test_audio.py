"""µ-law and recordings of the built-in phone."""

from __future__ import annotations

import wave
from array import array
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import LocalError
from sofw.phone.audio import PACKET, Recording, decode, encode, read_wav, write_wav

PACKETS = [bytes([n]) * PACKET for n in range(10)]


class MuLawTests(SynchronousTestCase):
    """encode and decode."""

    def test_known_values(self) -> None:
        """The decision values at the ends of the scale are those of G.711."""
        self.assertEqual(list(decode(b"\xff\x7f\x80\x00\xf0\xef")), [0, 0, 32124, -32124, 120, 132])
        self.assertEqual(encode([0, 32767, -32768, 120, -120]), b"\xff\x80\x00\xf0\x70")

    def test_every_byte(self) -> None:
        """Decoding and encoding gives the same byte, but for the two zeros."""
        for byte in set(range(256)) - {0x7F}:
            self.assertEqual(encode(decode(bytes([byte]))), bytes([byte]))

    def test_error(self) -> None:
        """No sample is farther from what is heard than half a step of its segment and the bits cut off."""
        samples = range(-32635, 32636)  # what lies beyond is clipped
        for sample, heard in zip(samples, decode(encode(samples)), strict=True):
            segment = (abs(sample) + 3 + 132).bit_length() - 8  # two bits less may be a segment more
            self.assertLessEqual(abs(heard - sample), (4 << segment) + 3, sample)


class RecordingTests(SynchronousTestCase):
    """Recording."""

    def recorded(self, *packets: tuple[int, int, int]) -> tuple[list[int], Recording]:
        """What is heard after packets of (source, sequence, content): the first byte of each packet."""
        recording = Recording()
        for ssrc, sequence, content in packets:
            recording.put(ssrc, sequence, PACKETS[content])
        return list(encode(recording.samples()[::PACKET])), recording

    def test_orders(self) -> None:
        """Order, holes, copies, wrap-around and new sources come out as one sound."""
        silence = 0xFF
        cases = [
            ([(1, 5, 1), (1, 6, 2), (1, 7, 3)], [1, 2, 3], 0, 0),
            ([(1, 5, 1), (1, 7, 3), (1, 6, 2)], [1, 2, 3], 0, 0),
            ([(1, 6, 2), (1, 5, 1)], [1, 2], 0, 0),
            ([(1, 5, 1), (1, 8, 4)], [1, silence, silence, 4], 2, 0),
            ([(1, 5, 1), (1, 5, 2), (1, 6, 2)], [1, 2], 0, 1),
            ([(1, 65535, 1), (1, 0, 2), (1, 1, 3)], [1, 2, 3], 0, 0),
            ([(1, 0, 2), (1, 65535, 1)], [1, 2], 0, 0),
            ([(1, 5, 1), (2, 40000, 2), (2, 40001, 3)], [1, 2, 3], 0, 0),
            ([(1, 5, 1), (1, 20000, 2), (1, 20001, 3)], [1, 2, 3], 0, 0),
            ([], [], 0, 0),
        ]
        for packets, heard, lost, repeated in cases:
            contents, recording = self.recorded(*packets)
            self.assertEqual((contents, recording.lost, recording.repeated), (heard, lost, repeated), packets)
            self.assertEqual(recording.received, len(packets))


class WavTests(SynchronousTestCase):
    """read_wav and write_wav."""

    def test_round_trip(self) -> None:
        """What is written is read."""
        path = Path(self.mktemp())
        write_wav(path, array("h", [1, -2, 32767]))
        self.assertEqual(read_wav(path), array("h", [1, -2, 32767]))

    def test_refused(self) -> None:
        """Other forms, other files and no file are told by name."""
        stereo, text = Path(self.mktemp()), Path(self.mktemp())
        with wave.open(str(stereo), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(8000)
        text.write_bytes(b"no sound")
        for path in (stereo, text, Path(self.mktemp())):
            self.assertIn(str(path), str(self.assertRaises(LocalError, read_wav, path)))
        self.assertRaises(LocalError, write_wav, Path(self.mktemp()) / "no" / "folder", array("h"))
