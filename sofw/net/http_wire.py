"""HRAC's HTTP: one connection at a time to HRAS, straight or through a web proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool, ProxyAgent, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from sofw.errors import LocalError
from sofw.net.sockets import tune
from sofw.tunnel.courtesy import USER_AGENT, Courtesy
from sofw.tunnel.login import Login
from sofw.tunnel.parts import MAX_PART

#: Seconds for a connection to be made.
CONNECT_LIMIT = 10
#: Seconds for which a connection without a request is kept.
KEPT = 30
#: Seconds for the answer to a short request.
ANSWER_LIMIT = 15
#: The same for a part of a lane: HRAS may hold its answer for 25 s.
PART_LIMIT = 40
#: Proxy Authentication Required.
LOGIN_WANTED = 407
#: How often a request is sent at the most: a proxy asks for the login, and finds the nonce stale.
MOST_SENT = 3
#: Bytes of the answer to a short request that are read; HRAS's own are far shorter.
MAX_ANSWER = 65536


@frozen
class Route:
    """The way to HRAS: its URL, the URL of a web proxy ("" for none) and the login there.

    Login and courtesy are shared by all connections that take this way.
    """

    hras: str
    proxy: str = ""
    login: Login | None = None
    courtesy: Courtesy = field(factory=Courtesy)

    @property
    def name(self) -> str:
        """The way in one line, without the login."""
        return f"{self.hras} by {self.proxy}" if self.proxy else self.hras


@frozen
class Answer:
    """A complete answer to a short request."""

    status: int
    body: bytes
    type: str = ""


class HttpWire:
    """Requests to HRAS, one after the other on one connection; without `persistent`, each on its own.

    `transport` is that of the latest connection, and `connections` how many there were. Raises LocalError for
    a URL that is not http.
    """

    def __init__(self, reactor: Any, route: Route, persistent: bool = True) -> None:
        self.transport: Any = None
        self.connections = 0
        self._reactor = reactor
        self._base = route.hras.rstrip("/")
        self._pool = HTTPConnectionPool(reactor, persistent)
        # A request that is sent twice would be a replay.
        self._pool.retryAutomatically = False
        # Below what anybody on the way keeps: a request must not meet a connection that is being closed.
        self._pool.cachedConnectionTimeout = KEPT
        self._login = route.login if route.proxy else None
        self._courtesy = route.courtesy
        nearest = _Tuned(self, _endpoint(reactor, route.proxy or route.hras))
        if route.proxy:
            self._agent: Any = ProxyAgent(nearest, reactor, self._pool)
        else:
            self._agent = Agent.usingEndpointFactory(reactor, _Always(nearest), self._pool)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Deferred[Any]:
        """Send a request; fires with Twisted's response as soon as its headers are there.

        It waits for its turn, and logs in at the proxy; then the body is begun anew, and must allow that.
        """
        return Deferred.fromCoroutine(self._request(method, f"{self._base}{path}", headers, body))

    async def ask(self, path: str, body: bytes) -> Answer:
        """POST a small body and read the answer, in limited time."""
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        asked = Deferred.fromCoroutine(self._ask(path, headers, body))
        return await asked.addTimeout(ANSWER_LIMIT, self._reactor)

    async def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None,
        limit: float = PART_LIMIT,
    ) -> Answer:
        """Send a short request and read all of its answer, in so many seconds."""
        body = None if data is None else SmallBody(data)
        asked = Deferred.fromCoroutine(self._exchange(method, path, headers, body))
        return await asked.addTimeout(limit, self._reactor)

    def close(self) -> None:
        """Close the connection, whatever it is doing."""
        # A connection whose answer was complete waits in the pool, with a timer.
        self._pool.closeCachedConnections()
        if self.transport is not None:
            self.transport.abortConnection()
            self.transport = None

    async def _request(self, method: str, uri: str, headers: Mapping[str, str], body: Any) -> Any:
        for _ in range(MOST_SENT):
            said = self._login.header(method, uri) if self._login is not None else None
            response = await self._send(method, uri, headers, body, said)
            if self._login is None or not await self._is_to_log_in(self._login, response, said):
                break
        return response

    async def _send(
        self, method: str, uri: str, headers: Mapping[str, str], body: Any, said: str | None
    ) -> Any:
        """Send it once, when its time has come."""
        clock = self._reactor
        while (pause := self._courtesy.wait(clock.seconds())) > 0:
            await deferLater(clock, pause)
        self._courtesy.sent(clock.seconds())
        fields = Headers({name: [value] for name, value in headers.items()})
        fields.setRawHeaders("User-Agent", [USER_AGENT])
        if said is not None:
            fields.setRawHeaders("Proxy-Authorization", [said])
        response = await self._agent.request(method.encode(), uri.encode(), fields, body)
        self._courtesy.answered(response.code, _first(response, "retry-after"), clock.seconds())
        return response

    async def _is_to_log_in(self, login: Login, response: Any, said: str | None) -> bool:
        """Tell the login what the proxy answered; whether to ask again."""
        info = _first(response, "proxy-authentication-info")
        if info is not None:
            login.next_nonce(info)
        if response.code != LOGIN_WANTED:
            return False
        challenges = response.headers.getRawHeaders("proxy-authenticate", [])
        if not login.challenged(challenges, said):
            return False
        await read_body(response)
        # A body without end may still be under way on this connection.
        self.close()
        return True

    async def _ask(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        response = await self.request("POST", path, headers, SmallBody(body))
        return Answer(response.code, await read_body(response))

    async def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:
        response = await self.request(method, path, headers, body)
        collector = _Collector(MAX_PART, whole=True)
        response.deliverBody(collector)
        answer = Answer(response.code, await collector.done, content_type(response))
        # The connection is free for the next request only when the caller of this has returned.
        await deferLater(self._reactor, 0)
        return answer


def content_type(response: Any) -> str:
    """What an answer says that it is."""
    return str(response.headers.getRawHeaders("content-type", [""])[0])


def read_body(response: Any) -> Deferred[bytes]:
    """The body of an answer, at most MAX_ANSWER bytes of it."""
    collector = _Collector()
    response.deliverBody(collector)
    return collector.done


class SmallBody:
    """Writes a body that is complete; IBodyProducer."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Twisted: the headers are written."""
        consumer.write(self._body)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """Twisted: nothing is left to pause."""

    def resumeProducing(self) -> None:
        """Twisted: nothing was paused."""

    def stopProducing(self) -> None:
        """Twisted: nothing is left to stop."""


class _Collector(Protocol):
    """Gathers a body; fires `done` at its end, its limit or the loss of the connection.

    With `whole`, the last two are failures.
    """

    def __init__(self, limit: int = MAX_ANSWER, whole: bool = False) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _done: self._stop())
        self._limit = limit
        self._whole = whole
        self._pieces: list[bytes] = []
        self._length = 0

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        self._length += len(data)
        if self._length > self._limit:
            self._stop()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        if self.done.called:
            return
        if self._whole and not reason.check(ResponseDone):
            self.done.errback(reason)
        else:
            self.done.callback(b"".join(self._pieces)[: self._limit])

    def _stop(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.stopProducing()


@implementer(IStreamClientEndpoint)
class _Tuned:
    """Sets the socket options of each connection, and shows its transport, which Agent hides."""

    def __init__(self, wire: HttpWire, endpoint: Any) -> None:
        self._wire = wire
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Twisted: make a connection."""
        # Two lines in the log for each connection would tell nothing.
        protocolFactory.noisy = False
        connected: Deferred[Any] = self._endpoint.connect(protocolFactory)
        return connected.addCallback(self._connected)

    def _connected(self, protocol: Any) -> Any:
        tune(protocol.transport)
        self._wire.transport = protocol.transport
        self._wire.connections += 1
        return protocol


@implementer(IAgentEndpointFactory)
class _Always:
    """Connects to the same place whatever the URI says."""

    def __init__(self, endpoint: _Tuned) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: Any) -> _Tuned:
        """Twisted: where to connect for a URI."""
        return self._endpoint


def _endpoint(reactor: Any, url: str) -> HostnameEndpoint:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise LocalError(f"{url} is not a URL: {error}") from None
    if parts.scheme != "http" or not host:
        raise LocalError(f"{url} is not of the form http://host:port")
    return HostnameEndpoint(reactor, host, port, timeout=CONNECT_LIMIT)


def _first(response: Any, name: str) -> str | None:
    values = response.headers.getRawHeaders(name)
    return str(values[0]) if values else None


def explain(error: BaseException) -> str:
    """Why a request failed, in one line: Twisted wraps the cause in lists of reasons."""
    reasons = getattr(error, "reasons", None)
    if reasons:
        return explain(reasons[0].value)
    if isinstance(error, TimeoutError):
        return "No answer in time"
    return " ".join(str(error).split()) or type(error).__name__
