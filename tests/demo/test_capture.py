"""Tests for the pure part of sofw.demo.capture."""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from sofw.demo.capture import Datagram, read_packet

HERE, THERE = "192.168.1.10", "203.0.113.20"


def packet(payload: bytes, protocol: int = 17, fragment: int = 0, options: bytes = b"") -> bytes:
    """An IPv4 packet from port 4000 here to port 6000 there."""
    words = 5 + len(options) // 4
    length = words * 4 + 8 + len(payload)
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, length, 1, fragment, 64, protocol, 0)
    udp = struct.pack("!HHHH", 4000, 6000, 8 + len(payload), 0)
    return head + socket.inet_aton(HERE) + socket.inet_aton(THERE) + options + udp + payload


class ReadTests(SynchronousTestCase):
    """UDP out of IPv4."""

    def test_datagram(self) -> None:
        """Addresses, payload and time are found, also behind options and before a trailer."""
        expected = Datagram((HERE, 4000), (THERE, 6000), b"hello", 1.5)
        for data in (packet(b"hello"), packet(b"hello", options=bytes(8)), packet(b"hello") + b"trailer"):
            self.assertEqual(read_packet(data, 1.5), expected)

    def test_others(self) -> None:
        """TCP, the later pieces of a fragmented packet, and what is cut short are none."""
        for data in (packet(b"x", protocol=6), packet(b"x", fragment=1), packet(b"")[:27]):
            self.assertIsNone(read_packet(data, 0.0))

    def test_kinds(self) -> None:
        """RTP, RTCP and SIP are told apart."""
        cases = (
            (b"\x80\x00" + bytes(10), (True, False, False)),
            (b"\x80\x80" + bytes(10), (True, False, False)),
            (b"\x80\xc8" + bytes(10), (False, True, False)),
            (b"\x81\xc9" + bytes(10), (False, True, False)),
            (b"OPTIONS sip:a SIP/2.0\r\n\r\n", (False, False, True)),
            (b"", (False, False, False)),
        )
        for payload, kinds in cases:
            found = Datagram((HERE, 1), (THERE, 2), payload)
            self.assertEqual((found.is_rtp, found.is_rtcp, found.is_sip), kinds, payload)
