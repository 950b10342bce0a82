"""HRAS's web site, as an HTTP client that is not ours sees it: one that knows nothing of tunnels."""

from __future__ import annotations

import json

from treq.client import HTTPClient
from twisted.internet import reactor
from twisted.web.client import Agent

from sofw.tunnel.exchange import HELLO_PATH, SESSION_PATH, hello_body, read_challenge
from tests.net.tunnels import SITE, TunnelCase, awaited


class ByTreq(TunnelCase):
    """Requests and answers are ordinary HTTP/1.1."""

    def setUp(self) -> None:
        """Start HRAS; the client keeps no connections."""
        super().setUp()
        self.client = HTTPClient(Agent(reactor))
        self.base = f"http://127.0.0.1:{self.port}"

    @awaited
    async def test_the_page_for_visitors(self) -> None:
        """An ordinary visitor gets an ordinary page."""
        answer = await self.client.get(self.base + "/")
        self.assertEqual(answer.code, 200)
        self.assertIn("text/html", answer.headers.getRawHeaders("content-type")[0])
        self.assertIn("<html", (await answer.text()).lower())

    @awaited
    async def test_a_hello_is_answered_with_a_challenge(self) -> None:
        """Whoever knows the form gets a challenge, and no more, whatever headers the client adds."""
        answer = await self.client.post(self.base + HELLO_PATH, hello_body(SITE, "0" * 32))
        self.assertEqual(answer.code, 200)
        self.assertTrue(read_challenge(await answer.content()))
        self.assertIn("no-store", answer.headers.getRawHeaders("cache-control")[0])
        self.assertEqual(self.hras.events, [])

    @awaited
    async def test_refusals(self) -> None:
        """What is wrong is told by the status, and changes nothing."""
        cases = [
            ("GET", "/nothing", b"", 404),
            ("PUT", HELLO_PATH, b"{}", 405),
            ("POST", HELLO_PATH, b"no json", 400),
            ("POST", HELLO_PATH, b"x" * 20000, 413),
            ("POST", SESSION_PATH, json.dumps({"hello": 1}).encode(), 400),
        ]
        for method, path, body, status in cases:
            answer = await self.client.request(method, self.base + path, data=body or None)
            await answer.content()
            self.assertEqual((path, answer.code), (path, status))
        self.assertEqual((self.hras.events, self.server.status()), ([], []))
