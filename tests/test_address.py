"""Addresses and flows: reading, showing and comparing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport, bracketed, is_ip, parse_address
from sofw.errors import RemoteError

HOSTS = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,5})?", fullmatch=True),
)


class AddressTests(SynchronousTestCase):
    """Address, and its text."""

    def test_read(self) -> None:
        """Hosts with a port, IPv6 in brackets, and a default for a missing port."""
        cases = [
            ("192.0.2.1:5060", None, Address("192.0.2.1", 5060)),
            ("example.com:80", None, Address("example.com", 80)),
            ("[2001:db8::1]:5060", None, Address("2001:db8::1", 5060)),
            ("192.0.2.1", 5060, Address("192.0.2.1", 5060)),
            ("2001:db8::1", 5060, Address("2001:db8::1", 5060)),
            ("[2001:db8::1]", 5060, Address("2001:db8::1", 5060)),
            ("host:0", 1, Address("host", 0)),
            ("host:65535", None, Address("host", 65535)),
        ]
        for text, default, wanted in cases:
            self.assertEqual(parse_address(text, default), wanted, text)

    def test_refused(self) -> None:
        """Everything else is the error of whoever sent it."""
        without_port = ("host", "::1", "[::1]")
        for text in without_port:
            self.assertRaises(RemoteError, parse_address, text)
        bad = ["", ":5060", "host:", "host:65536", "host:000080", "host:-1", "host:٣", "[]:1"]
        bad += ["[::1", "[::1]5060", "[::1]:", "[::1]x", "::1]", "a[b]:1", "host:1\n"]
        for text in bad:
            for default in (None, 5060):
                error = self.assertRaises(RemoteError, parse_address, text, default)
                self.assertIn(repr(text), str(error))

    @settings(deadline=None)
    @given(HOSTS, st.integers(0, 65535))
    def test_round_trip(self, host: str, port: int) -> None:
        """What is shown reads back as the same address."""
        address = Address(host, port)
        self.assertEqual(parse_address(str(address)), address)

    def test_ip(self) -> None:
        """IP literals are told from names; only IPv6 ones get brackets."""
        for host, ip, text in [
            ("192.0.2.1", True, "192.0.2.1"),
            ("2001:db8::1", True, "[2001:db8::1]"),
            ("example.com", False, "example.com"),
            ("192.0.2.256", False, "192.0.2.256"),
            ("", False, ""),
        ]:
            self.assertEqual((is_ip(host), bracketed(host)), (ip, text), host)


class FlowTests(SynchronousTestCase):
    """Flow and Transport."""

    def test_key(self) -> None:
        """Two sites with the same private address are two flows."""
        remote = Address("192.168.1.20", 5060)
        flows = {Flow(leg, Transport.UDP, remote, 5060) for leg in (OUTSIDE, "a", "b", "b")}
        self.assertEqual(len(flows), 3)

    def test_shown(self) -> None:
        """A flow in a log line."""
        flow = Flow("head-office", Transport.TCP, Address("2001:db8::1", 5060), 5060)
        self.assertEqual(str(flow), "head-office/tcp/[2001:db8::1]:5060")

    def test_reliable(self) -> None:
        """Only UDP needs what it lost repeated."""
        reliable = [transport.reliable for transport in (Transport.UDP, Transport.TCP, Transport.TLS)]
        self.assertEqual(reliable, [False, True, True])
