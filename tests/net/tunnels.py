"""What the tests of the tunnel share: a listener that writes down, both ends on loopback, a proxy."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.trial.unittest import TestCase

from sofw.address import Address
from sofw.credentials import ha1, response
from sofw.net import tunnel_client
from sofw.net.http_wire import HttpWire, Route
from sofw.net.tunnel_client import TunnelClient, TunnelSettings
from sofw.net.tunnel_server import TunnelServer
from sofw.tunnel.backoff import Backoff
from sofw.tunnel.exchange import (
    HELLO_PATH,
    SESSION_PATH,
    claim_body,
    hello_body,
    read_challenge,
    read_session,
)
from sofw.tunnel.frame import DataType, Frame
from sofw.tunnel.link import Hello
from sofw.tunnel.login import parse_challenges
from sofw.tunnel.proof import SessionKey, prove_claim
from sofw.tunnel.rungs import STREAMS

SECRET = b"a secret of the right length ...."
SITE = "head-office"
HELLO = Hello(SITE, Address("192.168.1.10", 5060), 20000, 29999, "192.168.1.10")
PHONE = Address("192.168.1.20", 5062)
USER, PASSWORD = "clerk", "open sesame"
CHALLENGE = b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: %b\r\nContent-Length: 0\r\n\r\n"


def sip(text: str) -> Frame:
    """A SIP frame that says something."""
    return Frame(DataType.SIP_UDP, PHONE, 5060, text.encode())


def awaited(test: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], Deferred[None]]:
    """Makes a test of a coroutine function; trial of Twisted 22.4 would take the coroutine for success."""

    @wraps(test)
    def run(case: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(case))

    return run


class Recorder:
    """A TunnelListener that writes down what it is told, and can be waited on."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def tunnel_up(self, leg: str, hello: Hello, resumed: bool) -> None:
        """The tunnel is up."""
        self._note("up", leg, hello, resumed)

    def tunnel_down(self, leg: str) -> None:
        """The session is over."""
        self._note("down", leg)

    def frame(self, leg: str, frame: Frame) -> None:
        """A sure frame came."""
        self._note("frame", leg, frame)

    def media(self, leg: str, head: bytes, relay_port: int, payload: bytes) -> None:
        """A media frame came."""
        self._note("media", leg, head, relay_port, payload)

    def media_end(self, leg: str) -> None:
        """No more media for now; told so often that it is not written down."""

    def words(self) -> list[str]:
        """What was told, in short: up, resumed, down, and what frames say."""
        return [self._word(*event) for event in self.events]

    def until(self, *words: str) -> Deferred[None]:
        """Fires when just these words have been told."""
        return self.when(lambda: self.words() == list(words))

    def when(self, holds: Callable[[], bool]) -> Deferred[None]:
        """Fires as soon as something holds; it is asked at each event."""
        fired: Deferred[None] = Deferred()
        self._waiting.append((holds, fired))
        self._look()
        return fired

    def _note(self, *event: Any) -> None:
        self.events.append(event)
        self._look()

    def _look(self) -> None:
        for each in list(self._waiting):
            if each[0]():
                self._waiting.remove(each)
                each[1].callback(None)

    @staticmethod
    def _word(kind: str, _leg: str, *rest: Any) -> str:
        if kind == "up":
            return "resumed" if rest[1] else "up"
        return rest[0].data.decode() if kind == "frame" else {"down": "down", "media": "voice"}[kind]


class TunnelCase(TestCase):
    """A test with an HRAS on loopback, and HRACs as wanted. No pause is longer than the test needs."""

    timeout = 20

    def setUp(self) -> None:
        """Start HRAS."""
        self.patch(tunnel_client, "HELLO_BACKOFF", Backoff(0.01, 0.01))
        self.patch(tunnel_client, "LANE_BACKOFF", Backoff(0.01, 0.01))
        self.hras = Recorder()
        self.hrac = Recorder()
        self.secrets: dict[str, bytes] = {SITE: SECRET}
        self.server = self.start_server(0)

    def start_server(self, port: int) -> TunnelServer:
        """An HRAS at this port; it stops with the test."""
        server = TunnelServer(reactor, self.secrets.get, self.hras)
        self.listening = reactor.listenTCP(port, server.site(), interface="127.0.0.1")
        self.port = self.listening.getHost().port
        self.addCleanup(self.stop_server, server, self.listening)
        return server

    def stop_server(self, server: TunnelServer, listening: Any) -> Any:
        """Stop an HRAS: what its lanes were connected to is closed."""
        server.stop()
        return listening.stopListening()

    def settings(self) -> TunnelSettings:
        """How an HRAC reaches this HRAS."""
        return TunnelSettings(f"http://127.0.0.1:{self.port}", SECRET, HELLO, rung=STREAMS)

    def start_client(self, **changes: Any) -> TunnelClient:
        """An HRAC; it stops with the test."""
        client = TunnelClient(reactor, evolve(self.settings(), **changes), self.hrac)
        client.startService()
        self.addCleanup(client.stopService)
        return client


def basic_gate(head: bytes) -> bytes:
    """Lets a Basic login pass; see TinyProxy."""
    login = b64encode(f"{USER}:{PASSWORD}".encode())
    passes = b"Proxy-Authorization: Basic " + login in head
    return b"" if passes else CHALLENGE % b'Basic realm="proxy"'


class DigestGate:
    """Lets Digest logins pass whose nonce was used `uses` times at the most; see TinyProxy."""

    def __init__(self, uses: int, password: str = PASSWORD) -> None:
        self.password = password
        self.wrong = 0
        self._uses = uses
        self._nonces: list[str] = []

    def __call__(self, head: bytes) -> bytes:
        """Judge the head of a request."""
        said = re.search(r"(?i)^proxy-authorization: Digest (.*)$", head.decode(), re.MULTILINE)
        if said is None:
            return self._challenge()
        given = parse_challenges([f"Digest {said[1].strip()}"])[0][1]
        method, uri = head.decode().split()[:2]
        secret = ha1(USER, "proxy", self.password, "MD5")
        if given["uri"] != uri or given["response"] != response("MD5", secret, given, method, b""):
            self.wrong += 1
            return self._challenge()
        fresh = given["nonce"] == self._nonces[-1] and int(given["nc"], 16) <= self._uses
        return b"" if fresh else self._challenge(b", stale=true")

    def _challenge(self, more: bytes = b"") -> bytes:
        self._nonces.append(f"n{len(self._nonces)}")
        nonce = self._nonces[-1].encode()
        return CHALLENGE % (b'Digest realm="proxy", qop="auth", nonce="%b"%b' % (nonce, more))


class LaneCase(TunnelCase):
    """Somebody who knows the secret, and makes requests by hand."""

    def setUp(self) -> None:
        super().setUp()
        self.wire = HttpWire(reactor, Route(f"http://127.0.0.1:{self.port}"))
        self.addCleanup(self.wire.close)

    async def session(self) -> SessionKey:
        """A session of the site, without lanes."""
        nonce = secrets.token_hex(16)
        challenge = read_challenge((await self.wire.ask(HELLO_PATH, hello_body(SITE, nonce))).body)
        proof = prove_claim(SECRET, HELLO, nonce, challenge)
        answer = await self.wire.ask(SESSION_PATH, claim_body(HELLO, nonce, challenge, proof))
        self.assertEqual(answer.status, 200)
        return SessionKey(SECRET, nonce, challenge, read_session(answer.body)[0])


class TinyProxy(Factory):
    """A web proxy without CONNECT. `connections` are those of the moment.

    `gate(head)` gives the answer for a request that does not pass, b"" for one that does.
    """

    noisy = False

    def __init__(self, origin: int, gate: Callable[[bytes], bytes] = basic_gate) -> None:
        self.origin = origin
        self.gate = gate
        self.connections: list[_Inner] = []
        self.requests: list[bytes] = []

    def buildProtocol(self, addr: Any) -> Protocol:
        """Twisted: a client has connected."""
        return _Inner(self)

    def cut(self) -> None:
        """Lose every connection."""
        for each in list(self.connections):
            each.transport.abortConnection()


class _Inner(Protocol):
    """The side of the client: requests with absolute URIs."""

    def __init__(self, proxy: TinyProxy) -> None:
        self._proxy = proxy
        self._head = b""
        self.outer: _Outer | None = None
        self._waiting = b""

    def connectionMade(self) -> None:
        self._proxy.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        if self.outer is not None:
            self.outer.transport.write(self._as_origin(data))
            return
        self._waiting += data
        if not self._head and b"\r\n\r\n" in self._waiting:
            self._head = self._waiting.partition(b"\r\n\r\n")[0]
            self._proxy.requests.append(self._head)
            self._admit()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self._proxy.connections.remove(self)
        if self.outer is not None:
            self.outer.transport.abortConnection()

    def connected_to(self, outer: _Outer) -> None:
        """The origin is reached."""
        if self not in self._proxy.connections:
            outer.transport.abortConnection()
            return
        self.outer = outer
        outer.transport.write(self._as_origin(self._waiting))

    def _as_origin(self, data: bytes) -> bytes:
        return data.replace(b" http://127.0.0.1:%d/" % self._proxy.origin, b" /", 1)

    def _admit(self) -> None:
        refusal = self._proxy.gate(self._head)
        if refusal:
            self.transport.write(refusal)
            self.transport.loseConnection()
            return
        factory = ClientFactory()
        factory.noisy = False
        factory.buildProtocol = lambda addr: _Outer(self)  # type: ignore[method-assign]
        reactor.connectTCP("127.0.0.1", self._proxy.origin, factory)


class _Outer(Protocol):
    """The side of the origin."""

    def __init__(self, inner: _Inner) -> None:
        self._inner = inner

    def connectionMade(self) -> None:
        self._inner.connected_to(self)

    def dataReceived(self, data: bytes) -> None:
        self._inner.transport.write(data)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self._inner.transport.loseConnection()


class RawRequest(Protocol):
    """Sends bytes, and fires `done` with all that comes back until the connection closes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._answer = b""
        self.done: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(self._data)

    def dataReceived(self, data: bytes) -> None:
        self._answer += data

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self.done.callback(self._answer)
