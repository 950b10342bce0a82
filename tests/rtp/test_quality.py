"""Loss and jitter from samples."""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.rtp.quality import Quality, clock_rate


def rtp(number: int, ssrc: int = 1, payload_type: int = 0) -> bytes:
    """Packet `number` of a stream of 20 ms G.711 packets."""
    return pack("!BBHII", 0x80, payload_type, number % 2**16, number * 160 % 2**32, ssrc)


def heard(numbers: Iterable[int], every: int = 64, start: int = 0) -> Quality:
    """What is measured when these packets arrive, each at its time, and every so many-th is sampled."""
    quality = Quality()
    for packets, number in enumerate(numbers, 1):
        if packets % every == 0:
            quality.sample(rtp(start + number), packets, number * 0.02)
    return quality


class LossTests(SynchronousTestCase):
    """Expected and lost packets (RFC 3550 §A.3)."""

    def test_loss(self) -> None:
        """Whatever is missing between the first and the last sample is lost, over the wrap of numbers too."""
        for start in (0, 65000, 2**32 - 500):
            with_gaps = [n for n in range(1281) if n % 10 != 9]
            quality = heard(with_gaps, start=start)
            self.assertEqual((quality.expected, quality.lost), (1208, 120))
            self.assertAlmostEqual(quality.loss, 0.1, 2)

    def test_nothing_lost(self) -> None:
        """A whole stream has no loss; neither has one that was not sampled twice."""
        self.assertEqual(heard(range(640)).loss, 0.0)
        self.assertEqual(heard(range(100)).loss, 0.0)
        self.assertEqual(Quality().loss, 0.0)

    def test_reordering_is_not_loss(self) -> None:
        """A late sample takes back what an early one had counted."""
        numbers = list(range(256))
        numbers[63], numbers[64] = numbers[64], numbers[63]
        self.assertEqual(heard(numbers).lost, -1)
        self.assertEqual(heard(numbers).loss, 0.0)

    def test_more_packets_than_numbers(self) -> None:
        """Copies and RTCP on the same port never make loss negative."""
        self.assertEqual(heard([n // 2 for n in range(640)]).loss, 0.0)

    def test_a_new_source_begins_anew(self) -> None:
        """Another SSRC (transfer, music on hold) is another stream."""
        quality = heard(range(0, 2560, 2))
        self.assertGreater(quality.loss, 0.4)
        quality.sample(rtp(9000, ssrc=2), 2000, 100.0)
        self.assertEqual((quality.ssrc, quality.expected, quality.loss, quality.jitter), (2, 0, 0.0, 0.0))

    def test_what_is_not_rtp_is_not_a_sample(self) -> None:
        """RTCP, STUN and rubbish change nothing."""
        quality = heard(range(640))
        before = (quality.expected, quality.lost, quality.jitter, quality.ssrc)
        for datagram in (b"", b"\x80\xc8" + bytes(20), b"\x00\x01" + bytes(18)):
            quality.sample(datagram, 10000, 99.0)
        self.assertEqual((quality.expected, quality.lost, quality.jitter, quality.ssrc), before)


class JitterTests(SynchronousTestCase):
    """Interarrival jitter (RFC 3550 §A.8), in seconds."""

    def test_even_arrival(self) -> None:
        """Packets that come as they were sent have none, over the timestamp's wrap too."""
        for start in (0, 2**32 // 160 - 300):
            self.assertAlmostEqual(heard(range(1280), start=start).jitter, 0.0)

    def test_one_late_packet(self) -> None:
        """A sixteenth of the change of transit time."""
        quality = Quality()
        quality.sample(rtp(0), 64, 10.0)
        quality.sample(rtp(64), 128, 11.28 + 0.016)
        self.assertAlmostEqual(quality.jitter, 0.001)

    def test_clock_rates(self) -> None:
        """Static payload types have a clock (RFC 3551 §6); of dynamic ones no jitter is claimed."""
        cases = [(0, 8000), (8, 8000), (9, 8000), (14, 90000), (26, 90000), (34, 90000), (35, 0), (96, 0)]
        for payload_type, rate in cases:
            self.assertEqual(clock_rate(payload_type), rate, payload_type)
        quality = Quality()
        for packets in (64, 128, 192):
            quality.sample(rtp(packets, payload_type=111), packets, float(packets) ** 2)
        self.assertEqual((quality.jitter, quality.expected), (0.0, 128))

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.binary(max_size=20), st.floats(0, 1e9)), max_size=20))
    def test_any_stream(self, arrivals: list[tuple[bytes, float]]) -> None:
        """Whatever comes, loss is a part and jitter is not negative."""
        quality = Quality()
        for packets, (rest, now) in enumerate(arrivals):
            quality.sample(b"\x80\x00" + rest, packets * 64, now)
        self.assertTrue(0.0 <= quality.loss <= 1.0)
        self.assertGreaterEqual(quality.jitter, 0.0)
