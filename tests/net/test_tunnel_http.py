"""Tests of HRAS's web site: what is no tunnel gets a plain answer and changes nothing."""

from __future__ import annotations

import secrets

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.logger import capturedLogs

from sofw.tunnel.exchange import (
    HELLO_PATH,
    SESSION_PATH,
    claim_body,
    hello_body,
    lane_path,
    read_challenge,
    read_refusal,
)
from sofw.tunnel.frame import DataType, Frame, encode
from sofw.tunnel.proof import SessionKey, prove_claim
from sofw.tunnel.rungs import Purpose
from tests.net.tunnels import HELLO, SECRET, SITE, LaneCase, RawRequest, TunnelCase, awaited, sip

DOWN = f"/tunnel/{'a' * 32}/down/1/0/{'f' * 64}"
UP, PART = DOWN.replace("down", "up"), DOWN.replace("down/1/0", "up/1/1")
CLOSE = "Host: hras\r\nConnection: close\r\n"
HELLO_BODY = hello_body(SITE, "0" * 32).decode()
WRONG_CLAIM = claim_body(HELLO, "0" * 32, "12.ab", "f" * 64).decode()
ACK = encode(Frame(DataType.ACK, None, 0, bytes(15) + b"\1"))
IMPOSSIBLE = bytes(6) + b"\x80\x01\x00\x0f\x00\x00" + bytes(15)


def request(line: str, body: str = "", headers: str = CLOSE) -> bytes:
    """A request of which nothing is missing."""
    return f"{line} HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode("latin-1")


def chunked(line: str, body: str) -> bytes:
    """The beginning of a request whose body does not end."""
    return f"{line} HTTP/1.1\r\n{CLOSE}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n".encode()


#: What is sent, and the status of the answer.
BAD_REQUESTS = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GARBAGE\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (b"INVITE sip:alice@example.com SIP/2.0\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 400),
    (request("GET /index.html"), 404),
    (request("GET /tunnel/hello/"), 404),
    (request("GET http://example.com/"), 404),
    (request("CONNECT example.com:443"), 404),
    (request("POST /", "x"), 405),
    (request("DELETE /"), 405),
    (request("GET " + HELLO_PATH), 405),
    (request("PUT " + HELLO_PATH, HELLO_BODY), 405),
    (request("GET " + SESSION_PATH), 405),
    (request("PUT " + UP), 405),
    (request("HEAD " + DOWN), 405),
    (request("POST " + HELLO_PATH), 400),
    (request("POST " + HELLO_PATH, "no json"), 400),
    (request("POST " + HELLO_PATH, "{}"), 400),
    (request("POST " + HELLO_PATH, "x" * 16385), 413),
    (request("POST /nowhere", "x" * 16385), 413),
    (f"POST {HELLO_PATH} HTTP/1.1\r\n{CLOSE}Content-Length: 1000000000000\r\n\r\n".encode(), 413),
    (chunked("POST " + HELLO_PATH, "x" * 16385), 413),
    (
        request("POST " + HELLO_PATH, "a=b", CLOSE + "Content-Type: application/x-www-form-urlencoded\r\n"),
        400,
    ),
    (request("POST " + HELLO_PATH, "--x", CLOSE + "Content-Type: multipart/form-data; boundary=x\r\n"), 400),
    (request("POST " + HELLO_PATH, "--x", CLOSE + "Content-Type: multipart/form-data\r\n"), 400),
    (request("POST " + SESSION_PATH, "{}"), 400),
    (request("POST " + SESSION_PATH, WRONG_CLAIM), 403),
    (request("POST " + SESSION_PATH, WRONG_CLAIM.replace(SITE, "nobody")), 403),
    (request("GET " + UP), 405),
    (request("POST " + DOWN), 405),
    (request("GET " + DOWN), 404),
    (request("GET " + DOWN.replace("/0/", "/1/")), 404),
    (request("POST " + UP, "x"), 404),
    (chunked("POST " + UP, "x"), 404),
    (chunked("POST " + UP, "x" * 100000), 404),
    (request("POST " + PART, "x" * 100000), 404),
    (chunked("POST " + PART.replace("up", "both"), "x" * 100000), 404),
    (chunked("POST " + PART.replace("up", "try"), "x" * 100000), 404),
    (request("GET " + PART.replace("up", "ticks")), 404),
    (request("GET " + PART.replace("up", "report")), 404),
]

#: The same for what is in order.
GOOD_REQUESTS = [
    (request("GET /"), b"This server is up."),
    (request("GET /?a=b"), b"This server is up."),
    (b"GET / HTTP/1.0\r\n\r\n", b"This server is up."),
    (request("HEAD /"), b"text/html"),
    (request("POST " + HELLO_PATH, HELLO_BODY), b'{"challenge":'),
    (request("POST " + HELLO_PATH, HELLO_BODY, CLOSE + "Cookie: a=\xff;;;=\r\n"), b'{"challenge":'),
    (chunked("POST " + HELLO_PATH, HELLO_BODY) + b"0\r\n\r\n", b'{"challenge":'),
]


class SiteTests(TunnelCase):
    """Requests of strangers."""

    async def ask(self, data: bytes) -> bytes:
        """All that comes back until the connection closes."""
        protocol = RawRequest(data)
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), protocol)
        return await protocol.done

    @awaited
    async def test_bad_requests(self) -> None:
        """Each gets its plain error; nothing is logged as a fault, and no tunnel is the worse for it."""
        client = self.start_client()
        await self.hras.until("up")
        for data, status in BAD_REQUESTS:
            answer = await self.ask(data)
            self.assertEqual(answer[:13], b"HTTP/1.1 %d " % status, (data[:200], answer))
        client.send(sip("a"))
        await self.hras.until("up", "a")
        self.assertEqual([tunnel["reconnects"] for tunnel in self.server.status()], [0])

    @awaited
    async def test_good_requests(self) -> None:
        """The page and the first request are for everyone."""
        for data, part in GOOD_REQUESTS:
            answer = await self.ask(data)
            self.assertEqual(answer[9:12], b"200", data)
            self.assertIn(part, answer)

    @awaited
    async def test_refusals_say_why(self) -> None:
        """HRAS's errors are told from a proxy's, and a 405 says what is allowed (RFC 9110 §15.5.6)."""
        for data, status in BAD_REQUESTS:
            answer = await self.ask(data)
            head, _, body = answer.partition(b"\r\n\r\n")
            if status != 400 and not data.startswith(b"HEAD"):
                self.assertTrue(read_refusal(body), data)
            if status == 405:
                self.assertIn(b"\r\nallow: ", head.lower())

    @awaited
    async def test_refusals_told(self) -> None:
        """A flood of wrong claims writes ten lines, not one for each."""
        with capturedLogs() as events:
            for _ in range(30):
                self.assertIn(b"403", await self.ask(request("POST " + SESSION_PATH, WRONG_CLAIM)))
        told = [each for each in events if "tunnel.refused" in str(each.get("log_format"))]
        self.assertEqual([each["untold"] for each in told], [0] * 10)


class LaneTests(LaneCase):
    """Requests for lanes that stream, by somebody who knows the secret."""

    async def lane(self, key: SessionKey, number: int, purpose: Purpose, body: bytes = b"") -> Lane:
        """Open a lane, with the beginning of its body."""
        method = "POST" if purpose is Purpose.UP else "GET"
        head = f"{method} {lane_path(key.lane(purpose, number))} HTTP/1.1\r\nHost: hras\r\n"
        if purpose is Purpose.UP:
            head += "Transfer-Encoding: chunked\r\n"
        protocol = Lane(head.encode() + b"\r\n", body)
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), protocol)
        self.addCleanup(protocol.transport.abortConnection)
        return protocol

    async def pair(self, key: SessionKey, number: int, body: bytes = b"") -> tuple[Lane, Lane]:
        """Both lanes; returned when the one that streams down has begun to."""
        down = await self.lane(key, number, Purpose.DOWN)
        await down.begun
        return down, await self.lane(key, number, Purpose.UP, ACK + body)

    @awaited
    async def test_stream_headers(self) -> None:
        """What streams down is marked so that nobody on the way gathers or keeps it."""
        down = await self.lane(await self.session(), 1, Purpose.DOWN)
        head = (await down.begun).lower()
        self.assertNotIn(b"twisted", head)
        for line in (
            b"http/1.1 200 ok",
            b"content-type: application/octet-stream",
            b"cache-control: no-store, no-transform",
            b"x-accel-buffering: no",
            b"transfer-encoding: chunked",
        ):
            self.assertIn(line, head)

    @awaited
    async def test_impossible_frame(self) -> None:
        """A frame of impossible length costs the lanes, not the session."""
        key = await self.session()
        down, up = await self.pair(key, 1, encode(sip("a")))
        await self.hras.until("up", "a")
        up.write(IMPOSSIBLE)
        await up.lost
        await down.lost
        self.assertEqual(self.server.status()[0]["state"], "resuming")
        await self.pair(key, 2)
        await self.hras.until("up", "a", "resumed")

    @awaited
    async def test_upload_ends(self) -> None:
        """An upward request that ends is a lost lane."""
        down, up = await self.pair(await self.session(), 1)
        await self.hras.until("up")
        up.transport.write(b"0\r\n\r\n")
        await down.lost
        self.assertEqual(self.server.status()[0]["state"], "resuming")

    @awaited
    async def test_newer_lanes(self) -> None:
        """Lanes with a higher number replace those before, whatever has become of them."""
        key = await self.session()
        down, up = await self.pair(key, 1)
        await self.hras.until("up")
        await self.pair(key, 3)
        await down.lost
        await up.lost
        await self.hras.until("up", "resumed")

    @awaited
    async def test_replayed_lanes(self) -> None:
        """A lane request that was seen on the way cannot be used again, nor one with an older number."""
        key = await self.session()
        await self.pair(key, 2)
        await self.hras.until("up")
        for number, purpose in (
            (2, Purpose.DOWN),
            (2, Purpose.UP),
            (1, Purpose.DOWN),
            (1, Purpose.UP),
        ):
            lane = await self.lane(key, number, purpose)
            self.assertIn(b"403 Forbidden", await lane.begun)
        self.assertEqual(self.server.status()[0]["state"], "up")

    @awaited
    async def test_replayed_claim(self) -> None:
        """A request for a session that was seen on the way cannot be used again."""
        nonce = secrets.token_hex(16)
        challenge = read_challenge((await self.wire.ask(HELLO_PATH, hello_body(SITE, nonce))).body)
        body = claim_body(HELLO, nonce, challenge, prove_claim(SECRET, HELLO, nonce, challenge))
        statuses = [(await self.wire.ask(SESSION_PATH, body)).status for _ in range(2)]
        self.assertEqual(statuses, [200, 403])
        self.assertEqual(len(self.server.status()), 1)


class Lane(RawRequest):
    """A lane by hand: `begun` fires with what comes first, `lost` when the connection is gone."""

    def __init__(self, head: bytes, body: bytes) -> None:
        super().__init__(head)
        self._body = body
        self._begun = False
        self.begun: Deferred[bytes] = Deferred()
        self.lost = self.done

    def connectionMade(self) -> None:
        super().connectionMade()
        if self._body:
            self.write(self._body)

    def write(self, data: bytes) -> None:
        """Send a chunk."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if not self._begun:
            self._begun = True
            self.begun.callback(data)
