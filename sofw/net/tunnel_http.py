"""HRAS's web site: the requests of sofw.tunnel.exchange, and a small page for everyone else."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Protocol

from twisted.web.http import RESPONSES
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

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
from sofw.tunnel.rungs import STREAM_HEADERS, Direction, direction_of

#: Seconds without a byte after which a connection that is no lane is closed. Proxies keep connections
#: for 60 s (Squid) and more; being the first to close one would meet a request on its way.
IDLE_LIMIT = 130

_REFUSAL = (
    b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
)
_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Welcome</title></head>
<body><p>This server is up.</p></body></html>
"""


class Lane(Protocol):
    """A lane that was admitted."""

    def start_receiving(self) -> Callable[[bytes], None]: ...
    def lost(self, reason: str) -> None: ...
    def start_sending(self, request: Any) -> None: ...


class Tunnels(Protocol):
    """Who decides; each raises ExchangeError to refuse."""

    def hello(self, body: bytes, peer: str) -> bytes: ...
    def session(self, body: bytes, peer: str) -> bytes: ...
    def open_lane(self, request: LaneRequest, direction: Direction, transport: Any) -> Lane: ...


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
    """A request whose body goes to a lane as it comes, or is small, or is refused."""

    channel: Any
    content: Any
    _lane: Lane | None = None
    _piece: Callable[[bytes], None]
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
        if not version.startswith(b"HTTP/1."):
            self._refuse(ExchangeError("This is an HTTP port"))
        elif lane is not None and direction_of(method.decode("latin-1")) is Direction.UP:
            self._start_upload(lane)
        elif length is not None and length > MAX_BODY:
            self._refuse(ExchangeError("The body is too long", 413))

    def handleContentChunk(self, data: bytes) -> None:
        """Twisted: a piece of the body."""
        if self._lane is not None:
            self._piece(data)
        elif not self._refused and self.content.tell() + len(data) > MAX_BODY:
            self._refuse(ExchangeError("The body is too long", 413))
        elif not self._refused:
            self.content.write(data)

    def process(self) -> None:
        """Twisted: the request is complete."""
        self.channel.relax()
        if self._lane is not None:
            self._lane.lost("The upward request has ended")
        if not self._refused:
            super().process()

    def connectionLost(self, reason: Any) -> None:
        """Twisted: the connection is gone."""
        if self._lane is not None:
            self._lane.lost("The upward connection is lost")
        super().connectionLost(reason)

    def _start_upload(self, lane: LaneRequest) -> None:
        transport = self.channel.transport
        try:
            self._lane = self.channel.site.tunnels.open_lane(lane, Direction.UP, transport)
        except ExchangeError as error:
            self._refuse(error)
        else:
            self.channel.relax()
            self._piece = self._lane.start_receiving()

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
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"cache-control", b"no-store")
        return body

    def _lane(self, request: Any, method: str, lane: LaneRequest) -> bytes | int:
        _allow(request, method, "GET", "POST")
        if method == "POST":
            # The body has come to its end, which a lane's never should.
            return b""
        opened = self._tunnels.open_lane(lane, Direction.DOWN, request.channel.transport)
        for name, value in STREAM_HEADERS:
            request.setHeader(name.encode(), value.encode())
        request.notifyFinish().addBoth(lambda _gone: opened.lost("The downward connection is lost"))
        request.write(b"")
        opened.start_sending(request)
        return NOT_DONE_YET


def _allow(request: Any, method: str, *methods: str) -> None:
    if method not in methods:
        request.setHeader(b"allow", ", ".join(methods).encode())
        raise ExchangeError("This method has no use here", 405)
