"""Tests of what we use of Twisted without its promise: they fail when a release changes it."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http import HTTPChannel, Request

from sofw.net.twisted_private import StraightWriter, request_line, unsent
from tests.net.tunnels import awaited


class Early(Request):
    """Notes its request line when the headers are there."""

    lines: list[Any]

    def gotLength(self, length: int | None) -> None:
        """Twisted: the headers are there."""
        type(self).lines.append((request_line(self), length))
        super().gotLength(length)


class RequestLineTests(SynchronousTestCase):
    """The request line before the body."""

    def test_before_body(self) -> None:
        """Method, path without query, and version are known as soon as the headers are."""
        channel = HTTPChannel()
        channel.requestFactory = Early
        Early.lines = []
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(b"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n")
        self.assertEqual(Early.lines, [((b"POST", b"/a/b", b"HTTP/1.1"), None)])
        channel.connectionLost(connectionDone)


class Collector(Protocol):
    """Gathers bytes; reads only when told to."""

    def __init__(self) -> None:
        self.data = b""
        self.wanted = 0
        self.enough: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) >= self.wanted and not self.enough.called:
            self.enough.callback(None)

    def read(self, wanted: int) -> Deferred[None]:
        """Fires when so many bytes are there."""
        self.wanted = wanted
        self.transport.resumeProducing()
        return self.enough


class StraightWriterTests(TestCase):
    """Writing straight to the socket."""

    async def connect(self) -> tuple[Any, Collector]:
        """A transport to write on, with a small socket buffer, and who reads the other end."""
        collector = Collector()
        factory = Factory.forProtocol(lambda: collector)
        factory.noisy = False
        listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", listening.getHost().port)
        protocol = await connectProtocol(endpoint, Protocol())
        self.addCleanup(lambda: collector.transport and collector.transport.abortConnection())
        self.addCleanup(protocol.transport.abortConnection)
        protocol.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        return protocol.transport, collector

    @awaited
    async def test_at_once(self) -> None:
        """A small piece has left when write returns."""
        transport, collector = await self.connect()
        StraightWriter(transport).write(b"small")
        self.assertEqual(unsent(transport), 0)
        await collector.read(5)
        self.assertEqual(collector.data, b"small")

    @awaited
    async def test_behind_others(self) -> None:
        """What Twisted holds already goes first."""
        transport, collector = await self.connect()
        transport.write(b"first ")
        self.assertEqual(unsent(transport), 6)
        StraightWriter(transport).write(b"second")
        self.assertEqual(unsent(transport), 12)
        await collector.read(12)
        self.assertEqual(collector.data, b"first second")

    @awaited
    async def test_full_socket(self) -> None:
        """What the socket does not take follows in order."""
        transport, collector = await self.connect()
        writer = StraightWriter(transport)
        pieces = [b"%06d" % number * 5000 for number in range(30)]
        for piece in pieces:
            writer.write(piece)
        self.assertGreater(unsent(transport), 0)
        whole = b"".join(pieces)
        await collector.read(len(whole))
        self.assertTrue(collector.data == whole)

    @awaited
    async def test_lost(self) -> None:
        """After the loss of the connection writing does nothing."""
        transport, collector = await self.connect()
        writer = StraightWriter(transport)
        lost: Deferred[None] = Deferred()
        transport.protocol.connectionLost = lambda reason: lost.callback(None)
        transport.abortConnection()
        await lost
        for each in (writer, StraightWriter(transport)):
            each.write(b"late")
        self.assertEqual(collector.data, b"")

    def test_without_socket(self) -> None:
        """Other transports are written to as usual."""
        transport = StringTransport()
        StraightWriter(transport).write(b"data")
        self.assertEqual(transport.value(), b"data")
