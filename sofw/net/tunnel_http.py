"""HRAS's web site: the requests of sofw.tunnel.exchange, and a small page for everyone else."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Protocol

from twisted.web.http import RESPONSES
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from sofw.net.server_lanes import StreamLane
from sofw.net.server_probes import Probes
from sofw.net.sockets import tune
from sofw.net.twisted_private import request_line
from sofw.net.visitors import VisitorChannel, Visitors
from sofw.tunnel.exchange import (
    HELLO_PATH,
    MAX_BODY,
    SESSION_PATH,
    ExchangeError,
    LaneRequest,
    read_lane_path,
    refusal_body,
)
from sofw.tunnel.parts import MAX_PART
from sofw.tunnel.rungs import METHODS, Purpose

#: Seconds without a byte after which a connection that is no lane is closed. Proxies keep connections
#: for 60 s (Squid) and more; being the first to close one would meet a request on its way.
IDLE_LIMIT = 130

_REFUSAL = (
    b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
)
_TOO_LONG = "The body is too long"
_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Welcome</title></head>
<body><p>This server is up.</p></body></html>
"""


class Session(Protocol):
    """A session; each of its methods raises ExchangeError to refuse."""

    probes: Probes

    def lane(self, request: LaneRequest, transport: Any) -> Any: ...


class Tunnels(Protocol):
    """Who decides; each raises ExchangeError to refuse."""

    def hello(self, body: bytes, peer: str) -> bytes: ...
    def session(self, body: bytes, peer: str) -> bytes: ...
    def admit(self, request: LaneRequest, transport: Any) -> Session: ...


def tunnel_site(reactor: Any, tunnels: Tunnels, visitors: Visitors) -> Site:
    """The web site of an HRAS."""
    return TunnelSite(tunnels, visitors, reactor=reactor)


class TunnelSite(Site):
    """A Site that streams request bodies and keeps no access log of its own."""

    protocol: Any = VisitorChannel

    def __init__(self, tunnels: Tunnels, visitors: Visitors, reactor: Any) -> None:
        self.tunnels = tunnels
        self._visitors = visitors
        super().__init__(
            TunnelResource(tunnels), requestFactory=TunnelRequest, timeout=IDLE_LIMIT, reactor=reactor
        )

    def buildProtocol(self, addr: Any) -> Any:
        """Twisted: somebody has connected; None closes the connection."""
        if not self._visitors.admit(addr.host):
            return None
        channel = super().buildProtocol(addr)
        channel.visitors, channel.host = self._visitors, addr.host
        return channel

    def log(self, request: Any) -> None:
        """Twisted: a request is complete. What matters is logged where it happens."""


class TunnelRequest(Request):
    """A request whose body goes to a lane as it comes, or is small, or is refused.

    `admitted` is the session of a request that belongs to one and has proved it.
    """

    channel: Any
    content: Any
    admitted: Session | None = None
    _stream: StreamLane | None = None
    _piece: Callable[[bytes], object] | None = None
    _limit = MAX_BODY
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """Twisted: the headers are there, the body is not yet (None: chunked)."""
        tune(self.channel.transport)
        self.channel.hurry()
        self.content = BytesIO()
        # Twisted would read forms whole and parse them; we have none.
        self.requestHeaders.removeHeader(b"content-type")
        method, path, version = request_line(self)
        lane = read_lane_path(path.decode("latin-1"))
        try:
            if not version.startswith(b"HTTP/1."):
                raise ExchangeError("This is an HTTP port")
            if lane is not None and METHODS[lane.purpose] == method.decode("latin-1"):
                self._admit(lane)
            if self._piece is None and (length or 0) > self._limit:
                raise ExchangeError(_TOO_LONG, 413)
        except ExchangeError as error:
            self._refuse(error)

    def handleContentChunk(self, data: bytes) -> None:
        """Twisted: a piece of the body."""
        if self._refused:
            return
        if self._piece is not None:
            self._piece(data)
        elif self.content.tell() + len(data) > self._limit:
            self._refuse(ExchangeError(_TOO_LONG, 413))
        else:
            self.content.write(data)

    def process(self) -> None:
        """Twisted: the request is complete."""
        self.channel.relax()
        if self._stream is not None:
            self._stream.lost("The upward request has ended")
        if not self._refused:
            super().process()

    def connectionLost(self, reason: Any) -> None:
        """Twisted: the connection is gone."""
        if self._stream is not None:
            self._stream.lost("The upward connection is lost")
        super().connectionLost(reason)

    def _admit(self, lane: LaneRequest) -> None:
        """Before any of the body: who cannot prove to belong here shall not fill our memory."""
        transport = self.channel.transport
        self.admitted = self.channel.site.tunnels.admit(lane, transport)
        if lane.purpose is Purpose.TRY:
            self._piece = self.admitted.probes.trial(lane.number, lane.part).piece
        elif lane.purpose is Purpose.UP and not lane.part:
            self._stream = self.admitted.lane(lane, transport)
            self.channel.relax()
            self._piece = self._stream.start_receiving()
        else:
            self._limit = MAX_PART

    def _refuse(self, error: ExchangeError) -> None:
        """Answer and close without waiting for the rest of the body, which may never end."""
        self._refused = True
        body = refusal_body(str(error))
        self.channel.transport.write(_REFUSAL % (error.status, RESPONSES[error.status], len(body), body))
        self.channel.loseConnection()


class TunnelResource(Resource):
    """Every path of the site."""

    isLeaf = True

    def __init__(self, tunnels: Tunnels) -> None:
        super().__init__()
        self._tunnels = tunnels
        self._posts: dict[str, Callable[[bytes, str], bytes]] = {
            HELLO_PATH: tunnels.hello,
            SESSION_PATH: tunnels.session,
        }

    def render(self, request: Any) -> bytes | int:
        """Answer a complete request."""
        request.responseHeaders.removeHeader(b"server")
        method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
        try:
            if path == "/":
                return self._page(request, method)
            if path in self._posts:
                return self._post(request, method, self._posts[path])
            lane = read_lane_path(path)
            if lane is None:
                raise ExchangeError("There is no such page", 404)
            return self._lane(request, method, lane)
        except ExchangeError as error:
            request.setResponseCode(error.status)
            request.setHeader(b"content-type", b"application/json")
            return refusal_body(str(error))

    def _page(self, request: Any, method: str) -> bytes:
        _allow(request, method, "GET", "HEAD")
        return b"" if method == "HEAD" else _PAGE

    def _post(self, request: Any, method: str, answer: Callable[[bytes, str], bytes]) -> bytes:
        _allow(request, method, "POST")
        body = answer(request.content.getvalue(), request.getClientAddress().host)
        return _json(request, body)

    def _lane(self, request: Any, method: str, lane: LaneRequest) -> bytes | int:
        _allow(request, method, METHODS[lane.purpose])
        session: Session = request.admitted
        if lane.purpose is Purpose.TICKS:
            return session.probes.ticks(request)
        if lane.purpose is Purpose.REPORT:
            return _json(request, session.probes.report(lane.number))
        if lane.purpose is Purpose.TRY or (lane.purpose is Purpose.UP and not lane.part):
            # The body has come to its end, which that of a lane never should.
            return b""
        answered: bytes | int = session.lane(lane, request.channel.transport).answer(lane.part, request)
        return answered


def _json(request: Any, body: bytes) -> bytes:
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    return body


def _allow(request: Any, method: str, *methods: str) -> None:
    if method not in methods:
        request.setHeader(b"allow", ", ".join(methods).encode())
        raise ExchangeError("This method has no use here", 405)
