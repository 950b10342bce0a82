"""Tests of the limits on those who connect to HRAS's web site."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from sofw.net.tunnel_http import tunnel_site
from sofw.net.tunnel_server import TunnelServer
from sofw.net.visitors import ASK_LIMIT, Visitors
from sofw.tunnel.exchange import HELLO_PATH, hello_body
from tests.net.tunnels import SECRET, SITE, Recorder

HELLO = hello_body(SITE, "0" * 32)
ASKS = b"POST %b HTTP/1.1\r\nHost: hras\r\nContent-Length: %d\r\n\r\n" % (HELLO_PATH.encode(), len(HELLO))


class CountTests(SynchronousTestCase):
    """How many may come."""

    def test_limits(self) -> None:
        """Both limits hold, and who goes makes room."""
        visitors = Visitors(3, 2)
        self.assertEqual([visitors.admit("192.0.2.1") for _ in range(3)], [True, True, False])
        self.assertEqual([visitors.admit("192.0.2.2") for _ in range(2)], [True, False])
        visitors.gone("192.0.2.1")
        self.assertEqual([visitors.admit("192.0.2.3"), visitors.admit("192.0.2.4")], [True, False])
        self.assertEqual(visitors.status(), {"connections": 3, "sources": 3, "refused": 3, "slow": 0})

    def test_nothing_is_left(self) -> None:
        """When all are gone nothing is remembered of them."""
        visitors = Visitors(100, 100)
        hosts = ["192.0.2.1", "192.0.2.1", "2001:db8::1", "fe80::1%eth0"]
        for host in hosts:
            visitors.admit(host)
        for host in hosts:
            visitors.gone(host)
        self.assertEqual(visitors.status(), {"connections": 0, "sources": 0, "refused": 0, "slow": 0})

    def test_ipv6(self) -> None:
        """A network of 64 bits is one source; an IPv4 address is the same in either form."""
        visitors = Visitors(100, 1)
        cases = [("2001:db8::1", True), ("2001:db8::2", False), ("2001:db8:0:1::1", True)]
        cases += [("192.0.2.1", True), ("::ffff:192.0.2.1", False)]
        for host, admitted in cases:
            self.assertEqual(visitors.admit(host), admitted, host)


class Transport(StringTransport):
    """Can be aborted, as a TCP transport can."""

    aborted = False

    def abortConnection(self) -> None:
        """Noted."""
        self.aborted = True


class SlowTests(SynchronousTestCase):
    """How long one may take."""

    def setUp(self) -> None:
        """A web site with a clock."""
        self.clock = Clock()
        self.visitors = Visitors(100, 2)
        server = TunnelServer(self.clock, {SITE: SECRET}.get, Recorder())
        self.site = tunnel_site(self.clock, server, self.visitors)

    def connect(self) -> Any:
        """The protocol of a new connection, None when it is refused."""
        channel = self.site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1234))
        if channel is not None:
            channel.makeConnection(Transport())
        return channel

    def drip(self, channel: Any, data: bytes, seconds: float) -> bool:
        """Say it byte by byte; whether the connection survived."""
        for at in range(len(data)):
            if channel.transport.aborted:
                return False
            channel.dataReceived(data[at : at + 1])
            self.clock.advance(seconds)
        return not channel.transport.aborted

    def test_slow(self) -> None:
        """Who is silent, or drips headers or a body, is cut off after ten seconds whatever comes."""
        for begins, drips in (
            (b"", b""),
            (b"", ASKS),
            (b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 99),
            (ASKS, HELLO),
        ):
            channel = self.connect()
            channel.dataReceived(begins)
            self.assertFalse(self.drip(channel, drips or b"G", ASK_LIMIT / 10 if drips else ASK_LIMIT))
            channel.connectionLost(None)
        self.assertEqual(self.visitors.status()["slow"], 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_second_request(self) -> None:
        """Between two requests a connection may rest; the second one has its time again."""
        channel = self.connect()
        for _ in range(2):
            channel.dataReceived(ASKS + HELLO)
            self.clock.advance(ASK_LIMIT * 2)
            self.assertFalse(channel.transport.aborted)
        self.assertEqual(channel.transport.value().count(b"200 OK"), 2)
        self.assertFalse(self.drip(channel, ASKS, 1.0))

    def test_in_time(self) -> None:
        """A request that is slow, but not too slow, is answered."""
        channel = self.connect()
        self.assertTrue(self.drip(channel, ASKS, ASK_LIMIT / len(ASKS) / 2))
        self.assertTrue(self.drip(channel, HELLO, ASK_LIMIT / len(HELLO) / 2))
        self.assertIn(b"200 OK", channel.transport.value())

    def test_refused(self) -> None:
        """Beyond the limit a connection is closed at once, and has room again when one is gone."""
        first, second = self.connect(), self.connect()
        self.assertIsNotNone(second)
        self.assertIsNone(self.connect())
        first.connectionLost(None)
        self.assertIsNotNone(self.connect())
