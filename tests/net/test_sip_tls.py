"""SIP over TLS: the same connections, once both sides know whom they talk to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from sofw.address import Address, Flow, Transport
from sofw.errors import PortInUse
from sofw.net.sip_stream import CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, Far, SipStreams
from sofw.net.tls import Tls, TlsFiles
from tests.net.certificates import Authority
from tests.net.test_sip_stream import MESSAGE, PEER, TcpTransport

HOST = "127.0.0.1"


def put_away(flow: Flow, data: bytes) -> None:
    """For those that are to hear nothing in particular."""


class Deadline(SynchronousTestCase):
    """A peer that connects and then says nothing, on a string."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        self.streams = SipStreams(
            self.clock,
            "leg",
            lambda flow, data: self.events.append(data),
            self.events.append,
            Tls(TlsFiles()),
        )
        self.transport = TcpTransport()

    def connect(self, called: Far | None = None) -> Any:
        """There is a connection, without TLS as yet."""
        connection: Any = self.streams.connection(called)
        connection.makeConnection(self.transport)
        return connection

    def test_face(self) -> None:
        """Twisted tells only those that want to know."""
        verifyObject(IHandshakeListener, self.connect())

    def test_nothing_counts_before_the_handshake(self) -> None:
        """No message is taken, and no send finds the connection."""
        connection = self.connect()
        connection.dataReceived(MESSAGE)
        self.assertEqual((connection.flow, self.events, self.streams._standing), (None, [], {}))

    def test_who_says_nothing_is_cut_off(self) -> None:
        """After some seconds, fewer for those that we called; they are counted and not told as closed."""
        for called, seconds in ((None, CONNECT_TIMEOUT), (Far(PEER, "x.org"), HANDSHAKE_TIMEOUT)):
            with self.subTest(called):
                self.transport = TcpTransport()
                connection = self.connect(called)
                self.clock.advance(seconds - 0.1)
                self.assertFalse(self.transport.aborted)
                self.clock.advance(0.1)
                self.assertTrue(self.transport.aborted)
                connection.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual((self.streams.refused, self.events, self.streams._made), (1, [], set()))

    def test_the_deadline_ends_with_the_handshake(self) -> None:
        """And with the connection."""
        self.connect().handshakeCompleted()
        self.connect().connectionLost(Failure(ConnectionAborted()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Sockets(TestCase):
    """Real connections on loopback: `near` calls `far`, which stands for example.com and example.net."""

    timeout = 10

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.authority = Authority(folder)
        pair = self.authority.pair("far", "example.com", "sip:example.net")
        self.far_tls = Tls(TlsFiles((pair,)))
        self.heard: list[tuple[Flow, bytes]] = []
        self.waiting: list[Deferred[tuple[Flow, bytes]]] = []
        self.far = self.streams("far", self.hear, self.far_tls)
        self.far.listen(HOST, 0)
        self.near = self.streams("near", self.hear, Tls(TlsFiles(ca_file=self.authority.file)))
        self.near.host = HOST
        self.place = Address(HOST, self.far.port)
        self.log: list[LogEvent] = []
        self.patch(SipStreams, "log", Logger("test", observer=self.log.append))

    def streams(self, leg: str, received: Any, tls: Tls) -> SipStreams:
        """One side."""
        made = SipStreams(reactor, leg, received, lambda flow: None, tls)
        self.addCleanup(self.all_gone, made)
        return made

    def all_gone(self, streams: SipStreams) -> Any:
        """Stop; a connection is gone a turn later."""
        done: Deferred[None] = Deferred()
        reactor.callLater(0, done.callback, None)  # type: ignore[attr-defined]
        stopped: Any = streams.stop()
        return done if stopped is None else stopped.addCallback(lambda _: done)

    def hear(self, flow: Flow, data: bytes) -> None:
        """Either side heard a message."""
        self.heard.append((flow, data))
        if self.waiting:
            self.waiting.pop(0).callback((flow, data))

    def next(self) -> Deferred[tuple[Flow, bytes]]:
        """What is heard next."""
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def refused(self, streams: SipStreams, domain: str, place: Address | None = None) -> Deferred[None]:
        """Sending fails."""
        done: Deferred[None] = Deferred()
        streams.send(place or self.place, MESSAGE, lambda: done.callback(None), domain)
        return done

    @inlineCallbacks
    def test_there_and_back(self) -> Any:
        """The answer takes the request's connection; each side's flow says TLS, its port and the domain."""
        self.near.send(self.place, MESSAGE, self.fail, "example.com")
        flow, data = yield self.next()
        self.assertEqual((flow.leg, flow.transport, flow.port), ("far", Transport.TLS, self.far.port))
        self.assertEqual((flow.remote.host, flow.domain, data), (HOST, "", MESSAGE))
        self.far.send(flow.remote, MESSAGE, self.fail, flow.domain)
        flow, data = yield self.next()
        self.assertEqual(flow, Flow("near", Transport.TLS, self.place, 0, "example.com"))
        self.near.send(self.place, MESSAGE, self.fail, flow.domain)
        yield self.next()
        self.assertEqual((len(self.near._standing), len(self.far._standing)), (1, 1))

    @inlineCallbacks
    def test_another_domain(self) -> Any:
        """A connection serves the domain it was opened for; the same server may speak for others too."""
        for domain in ("example.com", "example.net"):
            self.near.send(self.place, MESSAGE, self.fail, domain)
            yield self.next()
        self.assertEqual(
            list(self.near._standing), [Far(self.place, "example.com"), Far(self.place, "example.net")]
        )

    @inlineCallbacks
    def test_not_the_one_we_called(self) -> Any:
        """A certificate for others, asked for by domain or by address: unreachable, told in one line."""
        for domain, name in (
            ("example.org", "example.org"),
            ("sip.example.com", "sip.example.com"),
            ("", HOST),
        ):
            yield self.refused(self.near, domain)
            lines = [formatEvent(event) for event in self.log]
            self.log.clear()
            why = f"the certificate is not for {name}"
            self.assertEqual(lines, [f"sip.tls_failed to={self.place} why={why}"])
        self.assertEqual((self.heard, self.near._waiting, self.near._standing), ([], {}, {}))

    @inlineCallbacks
    def test_nobody_we_believe(self) -> Any:
        """A certificate from an authority that this system does not know."""
        trusting = self.streams("near", self.hear, Tls(TlsFiles()))
        trusting.host = HOST
        yield self.refused(trusting, "example.com")
        (line,) = [formatEvent(event) for event in self.log]
        self.assertIn("why=certificate verify failed", line)
        self.assertEqual(self.heard, [])

    @inlineCallbacks
    def test_no_tls_there(self) -> Any:
        """A server that hangs up instead of shaking hands."""

        class Deaf(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.loseConnection()

        factory = Factory.forProtocol(Deaf)
        factory.noisy = False
        listening: Any = reactor.listenTCP(0, factory, interface=HOST)  # type: ignore[attr-defined]
        self.addCleanup(listening.stopListening)
        place = Address(HOST, listening.getHost().port)
        yield self.refused(self.near, "example.com", place)
        self.assertEqual(len(self.log), 1)

    @inlineCallbacks
    def test_renewed(self) -> Any:
        """A renewed certificate counts for the next connection; the one that stands stays."""
        self.near.send(self.place, MESSAGE, self.fail, "example.com")
        yield self.next()
        self.authority.pair("far", "example.org")
        self.far_tls.load()
        self.near.send(self.place, MESSAGE, self.fail, "example.com")
        yield self.next()
        self.near.send(self.place, MESSAGE, self.fail, "example.org")
        yield self.next()
        yield self.refused(self.near, "example.net")

    def test_port_in_use_is_named(self) -> None:
        """The error says that it was for TLS."""
        other = self.streams("leg", put_away, self.far_tls)
        error = self.assertRaises(PortInUse, other.listen, HOST, self.far.port)
        self.assertEqual((error.transport, error.port), ("tls", self.far.port))
