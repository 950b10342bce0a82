"""SIP over UDP, with real sockets on loopback."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import TestCase

from sofw.address import Address, Flow, Transport
from sofw.errors import PortInUse
from sofw.net.sip_udp import SipUdp

HOST = "127.0.0.1"


class Udp(TestCase):
    """Two sockets that talk."""

    timeout = 10

    def setUp(self) -> None:
        self.arrived: list[tuple[Flow, bytes]] = []
        self.waiting: Deferred[None] = Deferred()
        self.one, self.two = self.socket("one"), self.socket("two")

    def socket(self, leg: str) -> SipUdp:
        """A socket of that leg on a port of the system's choice."""
        udp = SipUdp(leg, self.received)
        udp.listen(reactor, HOST, 0)
        self.addCleanup(udp.stop)
        return udp

    def received(self, flow: Flow, data: bytes) -> None:
        """Recorded; who waits goes on."""
        self.arrived.append((flow, data))
        self.waiting.callback(None)

    @inlineCallbacks
    def test_there_and_back(self) -> Any:
        """The flow says who sent it and on which of our ports; its remote is where answers go."""
        data = b"x" * 30000  # more than Twisted reads by default
        self.assertTrue(self.two.send(Address(HOST, self.one._port), data))
        yield self.waiting
        flow = Flow("one", Transport.UDP, Address(HOST, self.two._port), self.one._port)
        self.assertEqual(self.arrived, [(flow, data)])
        self.waiting = Deferred()
        self.one.send(flow.remote, b"pong")
        yield self.waiting
        self.assertEqual(self.arrived[-1][1], b"pong")

    def test_what_cannot_be_sent(self) -> None:
        """Too long, of the wrong family, a name, no way there: False, never an exception."""
        cases = [
            ("too long", Address(HOST, 5060), b"x" * 65508),
            ("an IPv6 address on an IPv4 socket", Address("2001:db8::1", 5060), b"x"),
            ("a name", Address("elsewhere.org", 5060), b"x"),
            ("port 0", Address(HOST, 0), b"x"),
        ]
        for name, remote, data in cases:
            with self.subTest(name):
                self.assertFalse(self.one.send(remote, data))

    def test_port_in_use_is_named(self) -> None:
        """The error says which."""
        error = self.assertRaises(PortInUse, SipUdp("x", self.received).listen, reactor, HOST, self.one._port)
        self.assertEqual((error.transport, error.host, error.port), ("udp", HOST, self.one._port))
        self.assertIn(f"cannot listen on udp {HOST}:{self.one._port}: ", str(error))

    def test_stop_before_listening(self) -> None:
        """Nothing to close is no error."""
        self.assertIsNone(SipUdp("x", self.received).stop())
