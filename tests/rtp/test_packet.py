"""What a datagram is, from its first bytes."""

from __future__ import annotations

from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.rtp.packet import Kind, RtpHeader, kind_of, peek


class KindTests(SynchronousTestCase):
    """RFC 7983 §7 and RFC 5761 §4."""

    def test_first_bytes(self) -> None:
        """The borders of every range."""
        cases = [
            (b"", Kind.OTHER),
            (b"\x00\x01", Kind.STUN),
            (b"\x03", Kind.STUN),
            (b"\x04", Kind.OTHER),
            (b"\x13", Kind.OTHER),
            (b"\x14", Kind.DTLS),
            (b"\x3f", Kind.DTLS),
            (b"\x40\x00", Kind.OTHER),
            (b"\x7f\x00", Kind.OTHER),
            (b"\x80\x00", Kind.RTP),
            (b"\xbf\xff", Kind.RTP),
            (b"\x80\xbf", Kind.RTP),
            (b"\x80\xc0", Kind.RTCP),
            (b"\x80\xc8", Kind.RTCP),
            (b"\x80\xdf", Kind.RTCP),
            (b"\x80\xe0", Kind.RTP),
            (b"\x80", Kind.OTHER),
            (b"\xc0\x00", Kind.OTHER),
        ]
        for datagram, kind in cases:
            self.assertIs(kind_of(datagram), kind, datagram)


class PeekTests(SynchronousTestCase):
    """The fixed RTP header."""

    def test_header(self) -> None:
        """Marker, padding and extension bits do not matter; what is too short or not RTP is None."""
        rtp = pack("!BBHII", 0x80, 0x00, 7, 160, 0xDEADBEEF)
        cases = [
            (rtp, RtpHeader(0, 7, 160, 0xDEADBEEF)),
            (rtp + b"voice", RtpHeader(0, 7, 160, 0xDEADBEEF)),
            (pack("!BBHII", 0xB3, 0x80 | 96, 65535, 2**32 - 1, 1), RtpHeader(96, 65535, 2**32 - 1, 1)),
            (rtp[:11], None),
            (b"", None),
            (pack("!BBHII", 0x80, 200, 6, 1, 1), None),
            (pack("!BBHII", 0x00, 1, 8, 0x2112A442, 1), None),
        ]
        for datagram, expected in cases:
            self.assertEqual(peek(datagram), expected, datagram)

    @settings(deadline=None)
    @given(st.binary(max_size=40))
    def test_any_bytes(self, datagram: bytes) -> None:
        """No datagram raises, and only RTP has a header."""
        self.assertEqual(peek(datagram) is not None, kind_of(datagram) is Kind.RTP and len(datagram) >= 12)
