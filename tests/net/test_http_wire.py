"""Tests of HRAC's HTTP, apart from the tunnel."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web._newclient import ResponseFailed, ResponseNeverReceived
from twisted.web.server import Site
from twisted.web.static import Data

from sofw.errors import LocalError
from sofw.net.http_wire import MAX_ANSWER, HttpWire, Route, explain
from sofw.net.tunnel_client import TunnelClient, TunnelSettings
from tests.net.tunnels import HELLO, SECRET, Recorder, awaited

#: What is no way to an HRAS.
BAD_ROUTES = [
    Route("https://hras.example"),
    Route("hras.example"),
    Route("http://"),
    Route("http://hras.example:port"),
    Route("http://[::1"),
    Route("http://hras.example", proxy="socks://proxy:1080"),
]


class RouteTests(SynchronousTestCase):
    """The URLs."""

    def test_bad_routes(self) -> None:
        """A URL that cannot be used is refused when the tunnel is made, not when it is opened."""
        for route in BAD_ROUTES:
            settings = TunnelSettings(route.hras, SECRET, HELLO, route.proxy)
            self.assertRaises(LocalError, TunnelClient, Clock(), settings, Recorder())

    def test_secrets_stay(self) -> None:
        """Neither secret nor password is shown with the settings."""
        settings = TunnelSettings("http://hras", SECRET, HELLO, "http://proxy", "clerk", "sesame")
        self.assertNotIn(repr(SECRET), repr(settings))
        self.assertNotIn("sesame", repr(settings))


class ExplainTests(SynchronousTestCase):
    """Why a request failed."""

    def test_reasons(self) -> None:
        """The cause is dug out of Twisted's lists of reasons, in one line."""
        refused = ConnectionRefusedError("no\nroom")
        nested = ResponseFailed([Failure(ResponseNeverReceived([Failure(refused)]))])
        self.assertEqual(explain(nested), explain(refused))
        self.assertNotIn("\n", explain(refused))
        self.assertEqual(explain(ValueError()), "ValueError")


class AnswerTests(TestCase):
    """Answers to short requests."""

    timeout = 10

    def serve(self, body: bytes) -> HttpWire:
        """The way to a server that answers every request with the same."""
        page = Data(body, "text/html")
        page.isLeaf = True
        page.render_POST = page.render_GET  # type: ignore[attr-defined]
        listening = reactor.listenTCP(0, Site(page), interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        wire = HttpWire(reactor, Route(f"http://127.0.0.1:{listening.getHost().port}/"))
        self.addCleanup(wire.close)
        return wire

    @awaited
    async def test_again(self) -> None:
        """A wire that was closed serves the next request."""
        wire = self.serve(b"<p>Log in, please.")
        for _ in range(2):
            answer = await wire.ask("/tunnel/hello", b"{}")
            self.assertEqual((answer.status, answer.body), (200, b"<p>Log in, please."))
            wire.close()

    @awaited
    async def test_endless(self) -> None:
        """Of an answer that is far too long only the beginning is read."""
        answer = await self.serve(b"x" * (MAX_ANSWER * 50)).ask("/tunnel/hello", b"{}")
        self.assertEqual(answer.body, b"x" * MAX_ANSWER)
