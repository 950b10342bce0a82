"""The comparison of recordings finds what is there, and sees what is not."""

from __future__ import annotations

from array import array
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from sofw.demo.audio import PACKET, RATE, compare, compare_samples, read
from sofw.demo.speech import hum, write

SPOKEN = hum(2.0, 1)
SILENCE = array("h", bytes(2 * RATE))


class CompareTests(SynchronousTestCase):
    """compare_samples."""

    def test_same(self) -> None:
        """The sentence itself is found at once, whole."""
        correlation, offset, gaps = compare_samples(SPOKEN, SPOKEN)
        self.assertGreater(correlation, 0.9999)
        self.assertEqual((offset, gaps), (0.0, ()))

    def test_any_length(self) -> None:
        """Short sentences of any length are found, also where their end falls between two grains."""
        for seed in range(11, 19):
            spoken = hum(0.5, seed)
            self.assertGreater(compare_samples(spoken + SILENCE[:2400], spoken).correlation, 0.9999)

    def test_later(self) -> None:
        """The sentence is found to the sample where it begins, at another loudness and with noise."""
        random = Random(2)
        for lead in (1, 79, 80, 4321, 8000):
            heard = SILENCE[:lead] + array("h", [n // 2 for n in SPOKEN]) + SILENCE
            noisy = array("h", [n + random.randrange(-40, 41) for n in heard])
            correlation, offset, gaps = compare_samples(noisy, SPOKEN)
            self.assertGreater(correlation, 0.99)
            self.assertEqual((offset, gaps), (lead / 8, ()))

    def test_repeated(self) -> None:
        """One of several repetitions is found."""
        correlation, _offset, gaps = compare_samples((SPOKEN + SILENCE) * 3, SPOKEN)
        self.assertGreater(correlation, 0.9999)
        self.assertEqual(gaps, ())

    def test_cut_off(self) -> None:
        """A recording that begins late begins before zero, and the missing part is a gap."""
        correlation, offset, gaps = compare_samples(SPOKEN[4800:], SPOKEN)
        self.assertEqual(offset, -600.0)
        self.assertLess(correlation, 0.9)
        self.assertEqual(gaps[0][0], 0)

    def test_gap(self) -> None:
        """A lost packet in the middle of a syllable is a gap of 20 ms, three in a row are one of 60 ms."""
        packets = range(0, len(SPOKEN) - PACKET, PACKET)
        loud = max(packets, key=lambda start: sum(n * n for n in SPOKEN[start : start + PACKET]))
        heard = SPOKEN[:]
        heard[loud : loud + PACKET] = SILENCE[:PACKET]
        self.assertEqual(compare_samples(heard, SPOKEN).gaps, ((loud // 8, 20),))
        heard[loud - PACKET : loud + 2 * PACKET] = SILENCE[: 3 * PACKET]
        self.assertEqual(compare_samples(heard, SPOKEN).gaps, ((loud // 8 - 20, 60),))

    def test_slipped(self) -> None:
        """A jitter buffer that drops a packet in a pause moves the rest without spoiling it."""
        heard = SPOKEN[:8000] + SILENCE[:320] + SPOKEN[8000:]
        correlation, offset, _gaps = compare_samples(heard, SPOKEN)
        self.assertGreater(correlation, 0.9)
        self.assertIn(offset, (0.0, 40.0))

    def test_something_else(self) -> None:
        """Another sentence is not taken for this one, nor is silence."""
        self.assertLess(compare_samples(hum(2.0, 7) + SILENCE, SPOKEN).correlation, 0.5)
        nothing = compare_samples(SILENCE, SPOKEN)
        self.assertEqual(nothing.correlation, 0.0)
        self.assertNotEqual(nothing.gaps, ())
        self.assertNotEqual(compare_samples(SILENCE[:0], SPOKEN).gaps, ())

    def test_nothing_spoken(self) -> None:
        """An original without sound compares to nothing."""
        self.assertRaises(ValueError, compare_samples, SPOKEN, SILENCE)

    def test_files(self) -> None:
        """Files are read; another form of WAV is refused."""
        one, two = Path(self.mktemp()), Path(self.mktemp())
        for path, rate, samples in ((one, RATE, SILENCE + SPOKEN), (two, RATE, SPOKEN)):
            write(path, rate, samples)
        self.assertEqual(compare(one, two).offset_ms, 1000.0)
        write(two, 16000, SPOKEN)
        self.assertRaises(ValueError, read, two)
