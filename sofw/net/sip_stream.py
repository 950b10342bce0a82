"""SIP over TCP (RFC 3261 §18): connections in and out, one table, messages cut by Content-Length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from sofw.address import Address, Flow, Transport
from sofw.errors import PortInUse
from sofw.sip.message import SipError
from sofw.sip.stream import KeepAlive, StreamFramer

#: One message may be as long as a frame of the tunnel can carry.
LARGEST_MESSAGE = 65535 - 16
#: Open connections; each costs a descriptor, and a site seldom has so many phones on TCP.
MAX_CONNECTIONS = 4000
#: What may wait for a peer that does not read, in writes, before it is cut off.
MAX_CLOGGED = 200
#: Seconds; less than a forwarded request waits for one of several destinations, so that what was given up
#: is not sent after all.
CONNECT_TIMEOUT = 7

Received = Callable[[Flow, bytes], None]
Closed = Callable[[Flow], None]
Failed = Callable[[], None]


@implementer(IPushProducer)
class SipConnection(Protocol):
    """One connection; in: bytes, out: whole messages and pongs."""

    transport: Any  # provides ITCPTransport

    def __init__(self, streams: SipStreams) -> None:
        self._streams = streams
        self._framer = StreamFramer(LARGEST_MESSAGE)
        self._clogged: int | None = None
        self.flow: Flow | None = None

    def connectionMade(self) -> None:
        """Twisted: the connection stands."""
        peer: IPv4Address | IPv6Address = self.transport.getPeer()
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self.flow = Flow(self._streams.leg, Transport.TCP, Address(peer.host, peer.port), self._streams.port)
        self._streams.opened(self, self.flow)

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes came in."""
        assert self.flow is not None
        try:
            for piece in self._framer.feed(data):
                if isinstance(piece, KeepAlive):
                    self.send(b"\r\n")  # RFC 5626 §4.4.1: pong
                else:
                    self._streams.received(self.flow, piece)
        except SipError:
            # Without framing nothing that follows can be understood (§18.3).
            self._streams.lost_framing += 1
            self.transport.abortConnection()

    def send(self, data: bytes) -> None:
        """Write a message; a peer that does not read is cut off instead of filling our memory."""
        if self._clogged is not None:
            self._clogged += 1
            if self._clogged > MAX_CLOGGED:
                self.transport.abortConnection()
                return
        self.transport.write(data)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """Twisted: the connection is gone."""
        if self.flow is not None:
            self._streams.gone(self, self.flow)

    def pauseProducing(self) -> None:
        """Twisted: the peer does not keep up."""
        self._clogged = 0

    def resumeProducing(self) -> None:
        """Twisted: the peer reads again."""
        self._clogged = None

    def stopProducing(self) -> None:
        """Twisted: nothing more can be written; connectionLost follows."""


class SipStreams(Factory):
    """The TCP side of a half's SIP address: listens, keeps the table of connections, opens new ones."""

    noisy = False

    def __init__(self, reactor: Any, leg: str, received: Received, closed: Closed) -> None:
        self.leg = leg
        self.port = 0
        self.lost_framing = 0
        self.received = received
        self._reactor = reactor
        self._closed = closed
        self._host = ""
        self._listening: Any = None
        self._connections: dict[Address, SipConnection] = {}
        self._waiting: dict[Address, list[tuple[bytes, Failed]]] = {}

    def listen(self, host: str, port: int) -> None:
        """Bind; raises PortInUse."""
        try:
            self._listening = self._reactor.listenTCP(port, self, interface=host)
        except CannotListenError as error:
            raise PortInUse("tcp", host, port, str(error.socketError)) from None
        self.port = self._listening.getHost().port
        self._host = host

    def buildProtocol(self, addr: object) -> SipConnection | None:
        """Twisted: somebody connects, or we have connected."""
        return SipConnection(self) if len(self._connections) < MAX_CONNECTIONS else None

    def send(self, remote: Address, data: bytes, failed: Failed) -> None:
        """Send over the connection to `remote`, opening one when there is none (§18.1.1)."""
        connection = self._connections.get(remote)
        if connection is not None:
            connection.send(data)
        elif remote in self._waiting:
            self._waiting[remote].append((data, failed))
        else:
            self._waiting[remote] = [(data, failed)]
            self._connect(remote)

    def opened(self, connection: SipConnection, flow: Flow) -> None:
        """A connection stands."""
        self._connections[flow.remote] = connection

    def gone(self, connection: SipConnection, flow: Flow) -> None:
        """A connection is gone."""
        if self._connections.get(flow.remote) is connection:
            del self._connections[flow.remote]
            self._closed(flow)

    def stop(self) -> object:
        """Stop listening and close every connection, telling nobody; a Deferred or None."""
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.transport.abortConnection()
        return self._listening.stopListening() if self._listening else None

    def _connect(self, remote: Address) -> None:
        endpoint = HostnameEndpoint(
            self._reactor, remote.host, remote.port, CONNECT_TIMEOUT, bindAddress=(self._host, 0)
        )
        endpoint.connect(self).addCallbacks(
            lambda connection: self._reached(remote, connection),
            lambda _failure: self._unreachable(remote),
        )

    def _reached(self, remote: Address, connection: SipConnection) -> None:
        """What waited goes out: under the address asked for, which the system may spell otherwise."""
        for data, _failed in self._waiting.pop(remote, ()):
            connection.send(data)

    def _unreachable(self, remote: Address) -> None:
        for _data, failed in self._waiting.pop(remote, ()):
            failed()
