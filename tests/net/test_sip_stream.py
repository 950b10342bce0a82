"""SIP over TCP: connections in a table, messages cut, peers that misbehave."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from sofw.address import Address, Flow, Transport
from sofw.errors import PortInUse
from sofw.net import sip_stream
from sofw.net.sip_stream import MAX_CLOGGED, SipConnection, SipStreams

HOST = "127.0.0.1"
PEER = Address("192.0.2.7", 40000)
MESSAGE = b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 2\r\n\r\nhi"


class TcpTransport(StringTransport):
    """A string transport that has the options of a TCP socket."""

    aborted = False

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", PEER.host, PEER.port))
        self.options: list[tuple[str, bool]] = []

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Recorded."""
        self.options.append(("nodelay", enabled))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Recorded."""
        self.options.append(("keepalive", enabled))

    def abortConnection(self) -> None:
        """Recorded."""
        self.aborted = True


class Connection(SynchronousTestCase):
    """One connection on a string."""

    def setUp(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.streams = SipStreams(
            None,
            "leg",
            lambda flow, data: self.events.append(("received", flow, data)),
            lambda flow: self.events.append(("closed", flow)),
        )
        self.streams.port = 5060
        self.transport = TcpTransport()
        self.connection = self.connect(self.transport)
        self.flow = Flow("leg", Transport.TCP, PEER, 5060)

    def connect(self, transport: TcpTransport) -> SipConnection:
        """Somebody connects."""
        connection = self.streams.buildProtocol(None)
        assert connection is not None
        connection.makeConnection(transport)
        return connection

    def test_options_and_face(self) -> None:
        """No Nagle, keep-alive on, and told when the peer does not read."""
        self.assertEqual(self.transport.options, [("nodelay", True), ("keepalive", True)])
        verifyObject(IPushProducer, self.connection)
        self.assertIs(self.transport.producer, self.connection)

    def test_messages_byte_by_byte(self) -> None:
        """Messages are whole whatever the segments were."""
        for byte in MESSAGE * 2:
            self.connection.dataReceived(bytes([byte]))
        self.assertEqual(self.events, [("received", self.flow, MESSAGE)] * 2)

    def test_keep_alive_is_answered(self) -> None:
        """A ping gets a pong and is no message (RFC 5626 §4.4.1)."""
        self.connection.dataReceived(b"\r\n\r\n" + MESSAGE)
        self.assertEqual(self.transport.value(), b"\r\n")
        self.assertEqual(self.events, [("received", self.flow, MESSAGE)])

    def test_lost_framing_ends_the_connection(self) -> None:
        """Without Content-Length nobody knows where the next message begins."""
        self.connection.dataReceived(b"OPTIONS sip:x SIP/2.0\r\nVia: x\r\n\r\n")
        self.assertTrue(self.transport.aborted)
        self.assertEqual((self.streams.lost_framing, self.events), (1, []))

    def test_message_before_lost_framing_counts(self) -> None:
        """What was understood is handed on; the rest ends the connection."""
        self.connection.dataReceived(MESSAGE + b"OPTIONS sip:x SIP/2.0\r\nVia: x\r\n\r\n")
        self.assertEqual(self.events, [("received", self.flow, MESSAGE)])
        self.connection.dataReceived(b"more")
        self.assertTrue(self.transport.aborted)

    def test_peer_that_does_not_read_is_cut_off(self) -> None:
        """A bounded number of writes may wait; pongs count like messages."""
        for write in (lambda: self.connection.send(b"x"), lambda: self.connection.dataReceived(b"\r\n\r\n")):
            self.transport.aborted = False
            self.connection.pauseProducing()
            for _ in range(MAX_CLOGGED):
                write()
            self.assertFalse(self.transport.aborted)
            write()
            self.assertTrue(self.transport.aborted)
            self.connection.resumeProducing()

    def test_peer_that_reads_again(self) -> None:
        """What waited before does not count any more."""
        for _ in range(3):
            self.connection.pauseProducing()
            for _ in range(MAX_CLOGGED):
                self.connection.send(b"x")
            self.connection.resumeProducing()
        self.assertFalse(self.transport.aborted)

    def test_send_uses_the_connection_that_is_there(self) -> None:
        """An answer takes the connection of its request (§18.2.2)."""
        self.streams.send(PEER, b"answer", lambda: self.events.append(("failed",)))
        self.assertEqual((self.transport.value(), self.events), (b"answer", []))

    def test_closing_is_told_once(self) -> None:
        """Of two connections from one address only the newer one counts."""
        newer = self.connect(TcpTransport())
        self.connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.events, [])
        newer.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.events, [("closed", self.flow)])

    def test_no_more_connections_than_we_bear(self) -> None:
        """Beyond the bound nobody is let in."""
        self.patch(sip_stream, "MAX_CONNECTIONS", 1)
        self.assertIsNone(self.streams.buildProtocol(None))

    def test_stop_tells_nothing(self) -> None:
        """At the end every connection is cut, and nobody is told: the store is closing too."""
        self.assertIsNone(self.streams.stop())
        self.connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((self.transport.aborted, self.events), (True, []))


class Peer(Protocol):
    """The far side of a real connection."""

    def __init__(self, test: Sockets) -> None:
        self.test = test

    def dataReceived(self, data: bytes) -> None:
        """Collected."""
        self.test.heard += data
        if len(self.test.heard) == self.test.expected:
            self.test.enough.callback(None)

    def connectionMade(self) -> None:
        """Counted."""
        self.test.peers.append(self)


class Sockets(TestCase):
    """Real connections on loopback."""

    timeout = 10

    def setUp(self) -> None:
        self.heard = b""
        self.expected = 0
        self.enough: Deferred[None] = Deferred()
        self.closed: Deferred[Flow] = Deferred()
        self.peers: list[Peer] = []
        self.streams = SipStreams(reactor, "leg", lambda flow, data: None, self.closed.callback)
        self.streams.listen(HOST, 0)
        self.addCleanup(self.streams.stop)

    def peer(self) -> Address:
        """A listening phone."""
        factory = Factory.forProtocol(lambda: Peer(self))
        factory.noisy = False
        listening: Any = reactor.listenTCP(0, factory, interface=HOST)
        self.addCleanup(listening.stopListening)
        return Address(HOST, listening.getHost().port)

    @inlineCallbacks
    def test_one_connection_for_all(self) -> Any:
        """What is sent while it is being opened waits for it, in order; what comes later reuses it."""
        remote, failures = self.peer(), []
        self.expected = 6
        for data in (b"one", b"two"):
            self.streams.send(remote, data, lambda: failures.append(remote))
        yield self.enough
        self.enough, self.expected = Deferred(), 11
        self.streams.send(remote, b"three", lambda: failures.append(remote))
        yield self.enough
        self.assertEqual((self.heard, len(self.peers), failures), (b"onetwothree", 1, []))
        (peer,) = self.peers
        self.assertEqual(peer.transport.getPeer().host, HOST)
        peer.transport.loseConnection()
        flow = yield self.closed
        self.assertEqual(flow, Flow("leg", Transport.TCP, remote, self.streams.port))

    @inlineCallbacks
    def test_unreachable(self) -> Any:
        """Each message that waited is told, and nothing is kept."""
        probe = SipStreams(reactor, "probe", lambda flow, data: None, lambda flow: None)
        probe.listen(HOST, 0)
        yield probe.stop()
        told: list[str] = []
        done: Deferred[None] = Deferred()
        remote = Address(HOST, probe.port)
        self.streams.send(remote, b"x", lambda: told.append("first"))
        self.streams.send(remote, b"y", lambda: done.callback(told.append("second")))
        yield done
        self.assertEqual((told, self.streams._waiting), (["first", "second"], {}))

    @inlineCallbacks
    def test_address_in_another_spelling(self) -> Any:
        """What waits goes out although the system spells the peer's address in its own way."""
        v6 = SipStreams(reactor, "leg", lambda flow, data: None, lambda flow: None)
        try:
            v6.listen("::1", 0)
        except PortInUse:
            return  # a machine without IPv6 has no spellings to confuse
        self.addCleanup(v6.stop)
        factory = Factory.forProtocol(lambda: Peer(self))
        factory.noisy = False
        listening: Any = reactor.listenTCP(0, factory, interface="::1")
        self.addCleanup(listening.stopListening)
        self.expected = 3
        v6.send(Address("0:0:0:0:0:0:0:1", listening.getHost().port), b"one", lambda: None)
        yield self.enough
        self.assertEqual((self.heard, v6._waiting), (b"one", {}))

    def test_port_in_use_is_named(self) -> None:
        """The error says which."""
        other = SipStreams(reactor, "leg", lambda flow, data: None, lambda flow: None)
        error = self.assertRaises(PortInUse, other.listen, HOST, self.streams.port)
        self.assertEqual((error.transport, error.host, error.port), ("tcp", HOST, self.streams.port))
