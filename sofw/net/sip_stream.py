"""SIP over TCP and TLS (RFC 3261 §18): connections in and out, one table, messages cut by Content-Length.

Over TLS a connection stands when the handshake is done, and a server we call has shown that it speaks for the
domain we want (RFC 5922 §7.4); until then nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from sofw.address import Address, Flow, Transport
from sofw.errors import PortInUse
from sofw.net.tls import Tls, explained, speaks_for
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
#: Seconds of them that are kept for the TLS of a connection we open.
HANDSHAKE_TIMEOUT = 3

Received = Callable[[Flow, bytes], None]
Closed = Callable[[Flow], None]
Failed = Callable[[], None]


@frozen
class Far:
    """The far end of a connection; `domain` as in a Flow."""

    remote: Address
    domain: str = ""

    @property
    def name(self) -> str:
        """The domain, or the address, that its certificate must be for."""
        return self.domain or self.remote.host


@implementer(IPushProducer, IHandshakeListener)
class SipConnection(Protocol):
    """One connection; in: bytes, out: whole messages and pongs. `called` is None when we were called."""

    transport: Any  # provides ITCPTransport

    def __init__(self, streams: SipStreams, called: Far | None = None) -> None:
        self.called = called
        self.flow: Flow | None = None
        self._streams = streams
        self._framer = StreamFramer(LARGEST_MESSAGE)
        self._clogged: int | None = None
        self._deadline: Any = None
        self._problem = ""

    def connectionMade(self) -> None:
        """Twisted: there is a connection, of which TLS has yet to make a safe one."""
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self._streams.made(self)
        if self._streams.transport is Transport.TCP:
            self._stand()
        else:
            seconds = HANDSHAKE_TIMEOUT if self.called else CONNECT_TIMEOUT
            self._deadline = self._streams.reactor.callLater(seconds, self._refuse, "no TLS in time")

    def handshakeCompleted(self) -> None:
        """Twisted: TLS stands; if we called, the certificate is one we believe, but perhaps another's."""
        self._stop_deadline()
        if self.called is None or self._is(self.called.name):
            self._stand()
        else:
            self._refuse(f"the certificate is not for {self.called.name}")

    def _is(self, name: str) -> bool:
        shown = self.transport.getPeerCertificate()
        try:
            return shown is not None and speaks_for(shown.to_cryptography(), name)
        except ValueError:  # OpenSSL reads what we cannot
            return False

    def _stand(self) -> None:
        self.transport.registerProducer(self, True)
        peer: IPv4Address | IPv6Address = self.transport.getPeer()
        far = self.called or Far(Address(peer.host, peer.port))
        streams = self._streams
        self.flow = Flow(streams.leg, streams.transport, far.remote, streams.port, far.domain)
        streams.opened(self, far)

    def _refuse(self, problem: str) -> None:
        self._problem = problem
        self.transport.abortConnection()

    def _stop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes came in."""
        if self.flow is None:
            return  # refused
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
        self._stop_deadline()
        self._streams.gone(self, self._problem or explained(reason.value or ConnectionError()))

    def pauseProducing(self) -> None:
        """Twisted: the peer does not keep up."""
        self._clogged = 0

    def resumeProducing(self) -> None:
        """Twisted: the peer reads again."""
        self._clogged = None

    def stopProducing(self) -> None:
        """Twisted: nothing more can be written; connectionLost follows."""


class SipStreams(Factory):
    """The TCP or, with `tls`, the TLS side of a half's SIP address.

    It listens, keeps the table of connections, and opens new ones.
    """

    noisy = False
    log = Logger("sofw")

    def __init__(
        self, reactor: Any, leg: str, received: Received, closed: Closed, tls: Tls | None = None
    ) -> None:
        self.leg = leg
        self.transport = Transport.TLS if tls else Transport.TCP
        self.host = ""
        self.port = 0
        self.lost_framing = 0
        self.refused = 0
        self.received = received
        self.reactor = reactor
        self._tls = tls
        self._closed = closed
        self._listening: Any = None
        self._made: set[SipConnection] = set()
        self._standing: dict[Far, SipConnection] = {}
        self._waiting: dict[Far, list[tuple[bytes, Failed]]] = {}

    def listen(self, host: str, port: int) -> None:
        """Bind; raises PortInUse."""
        factory = TLSMemoryBIOFactory(self._tls, False, self) if self._tls else self
        try:
            self._listening = self.reactor.listenTCP(port, factory, interface=host)
        except CannotListenError as error:
            name = self.transport.value.lower()
            raise PortInUse(name, host, port, str(error.socketError)) from None
        self.port = self._listening.getHost().port
        self.host = host

    def buildProtocol(self, addr: object) -> SipConnection | None:
        """Twisted: somebody connects."""
        return self.connection()

    def connection(self, called: Far | None = None) -> SipConnection | None:
        """A new connection, None when there are too many."""
        return SipConnection(self, called) if len(self._made) < MAX_CONNECTIONS else None

    def send(self, remote: Address, data: bytes, failed: Failed, domain: str = "") -> None:
        """Send over the connection to `remote`, opening one when there is none (§18.1.1).

        One that stands for another domain does not serve: its server has not shown to be this one's.
        """
        far = Far(remote, domain)
        connection = self._standing.get(far)
        if connection is not None:
            connection.send(data)
        elif far in self._waiting:
            self._waiting[far].append((data, failed))
        else:
            self._waiting[far] = [(data, failed)]
            self._connect(far)

    def made(self, connection: SipConnection) -> None:
        """There is a connection."""
        self._made.add(connection)

    def opened(self, connection: SipConnection, far: Far) -> None:
        """A connection stands; what waited for it goes out."""
        self._standing[far] = connection
        for data, _failed in self._waiting.pop(far, ()):
            connection.send(data)

    def gone(self, connection: SipConnection, why: str) -> None:
        """A connection is gone, or came to nothing."""
        if connection not in self._made:
            return
        self._made.discard(connection)
        flow = connection.flow
        if flow is None:
            self._refused(connection.called, why)
        elif self._standing.get(Far(flow.remote, flow.domain)) is connection:
            del self._standing[Far(flow.remote, flow.domain)]
            self._closed(flow)

    def stop(self) -> object:
        """Stop listening and close every connection, telling nobody; a Deferred or None."""
        connections, self._made = self._made, set()
        self._standing.clear()
        for connection in connections:
            connection.transport.abortConnection()
        return self._listening.stopListening() if self._listening else None

    def _connect(self, far: Far) -> None:
        seconds = CONNECT_TIMEOUT - (HANDSHAKE_TIMEOUT if self._tls else 0)
        endpoint: Any = HostnameEndpoint(
            self.reactor, far.remote.host, far.remote.port, seconds, bindAddress=(self.host, 0)
        )
        if self._tls is not None:
            endpoint = wrapClientTLS(self._tls.calling(far.name), endpoint)
        endpoint.connect(_Calls(self, far)).addErrback(lambda _failure: self._unreachable(far))

    def _refused(self, called: Far | None, why: str) -> None:
        """No TLS came about. Those that call us are only counted, or strangers could fill the log."""
        if called is None:
            self.refused += 1
            return
        self.log.warn("sip.tls_failed to={to} why={why}", to=called.remote, why=why)
        self._unreachable(called)

    def _unreachable(self, far: Far) -> None:
        for _data, failed in self._waiting.pop(far, ()):
            failed()


class _Calls(Factory):
    """Makes the one connection to somebody we call."""

    noisy = False

    def __init__(self, streams: SipStreams, called: Far) -> None:
        self._streams = streams
        self._called = called

    def buildProtocol(self, addr: object) -> SipConnection | None:
        """Twisted: we have connected."""
        return self._streams.connection(self._called)
