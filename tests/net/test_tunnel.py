"""Tests of the tunnel from end to end on loopback: both halves' edges, straight and through a proxy."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.python.filepath import FilePath

from sofw.address import OUTSIDE, Address
from sofw.net import tunnel_client
from sofw.net.tunnel_client import LOGIN_PAUSE, REFUSED_PAUSE, TunnelClient
from sofw.net.tunnel_end import TunnelEnd
from sofw.tunnel.backoff import Backoff
from sofw.tunnel.exchange import HELLO_PATH
from sofw.tunnel.frame import DataType, Frame, encode
from sofw.tunnel.link import TUNNEL
from tests.net.tunnels import (
    HELLO,
    PASSWORD,
    PHONE,
    SITE,
    USER,
    DigestGate,
    TinyProxy,
    TunnelCase,
    awaited,
    sip,
)

VOICE = encode(Frame(DataType.MEDIA, PHONE, 20000, b"voice"))
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 160\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class PauseCase(TunnelCase):
    """Tests that watch how long an HRAC waits."""

    def watch_pauses(self, client: TunnelClient) -> list[float]:
        """The pauses that the client makes from now on; none of them of a second or more ever ends."""
        pauses: list[float] = []

        def rest(seconds: float) -> Deferred[None]:
            pauses.append(seconds)
            return Deferred() if seconds > 1 else deferLater(reactor, seconds)

        self.patch(client, "_rest", rest)
        return pauses

    async def until_long(self, pauses: list[float], longest: float = REFUSED_PAUSE.longest) -> None:
        """Wait for a pause of this length, give or take a quarter."""
        while not pauses or pauses[-1] < longest * 0.75:
            await deferLater(reactor, 0)
        self.assertLessEqual(pauses[-1], longest * 1.25)


class StraightTests(PauseCase):
    """Without a proxy."""

    @awaited
    async def test_both_ways(self) -> None:
        """Frames and media go both ways, whole and as they were sent."""
        client = self.start_client()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        up, down = sip("up"), Frame(DataType.CONTROL, None, 0, bytes(60000))
        client.send(up)
        client.send_media(VOICE * 2, 2)
        self.server.send(SITE, down)
        self.server.send_media(SITE, VOICE, 1)
        head = VOICE[:8]
        await gatherResults(
            [
                self.hras.when(lambda: len(self.hras.events) == 4),
                self.hrac.when(lambda: len(self.hrac.events) == 3),
            ]
        )
        voice = ("media", SITE, head, 20000, b"voice")
        self.assertEqual(self.hras.events[0], ("up", SITE, HELLO, False))
        self.assertEqual(by_kind(self.hras.events[1:]), [("frame", SITE, up), voice, voice])
        self.assertEqual(self.hrac.events[0], ("up", TUNNEL, HELLO, False))
        self.assertEqual(
            by_kind(self.hrac.events[1:]),
            [("frame", TUNNEL, down), ("media", TUNNEL, head, 20000, b"voice")],
        )

    @awaited
    async def test_status(self) -> None:
        """Both ends tell the state of the tunnel."""
        client = self.start_client()
        self.assertEqual(client.status()[0]["state"], "connecting")
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        client.send(sip("a"))
        await self.hras.until("up", "a")
        for status in (*client.status(), *self.server.status()):
            self.assertEqual((status["site"], status["state"], status["lanes"]), (SITE, "up", 2))
            self.assertEqual((status["rung"], status["reconnects"]), ("streams", 0))

    @awaited
    async def test_replaced(self) -> None:
        """An HRAC that was restarted after a crash replaces its session; what the old one missed is lost."""
        self.patch(tunnel_client, "LANE_BACKOFF", Backoff(60.0, 60.0))
        self.start_client()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        self.hrac.events.clear()
        self.start_client()
        await gatherResults([self.hras.until("up", "down", "up"), self.hrac.until("up")])

    @awaited
    async def test_goodbye(self) -> None:
        """An HRAC that stops ends its session in HRAS at once; sending there tells that nobody is there."""
        client = self.start_client()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        self.assertTrue(self.server.send(SITE, sip("a")) and client.send(sip("b")))
        await gatherResults([self.hras.until("up", "b"), self.hrac.until("up", "a")])
        await client.stopService()
        self.assertEqual((self.hras.words(), self.hrac.words()), (["up", "b", "down"], ["up", "a"]))
        self.assertFalse(self.server.send(SITE, sip("c")) or client.send(sip("c")))
        self.assertEqual((self.server.status(), client.status()[0]["state"]), ([], "connecting"))

    @awaited
    async def test_goodbye_unheard(self) -> None:
        """When HRAS does not answer the goodbye, HRAC stops all the same."""
        client = self.start_client()
        await self.hrac.until("up")
        self.patch(tunnel_client, "GOODBYE_LIMIT", 0.01)
        self.patch(TunnelEnd, "say_goodbye", lambda _end: True)
        await client.stopService()
        self.assertEqual(client.status()[0]["state"], "connecting")

    @awaited
    async def test_two_hracs(self) -> None:
        """Of two HRACs of one site the one that is replaced says so and waits long; HRAS names it too."""
        with capturedLogs() as events:
            first = self.start_client()
            await self.hras.until("up")
            pauses = self.watch_pauses(first)
            self.start_client()
            await self.until_long(pauses)
        self.assertEqual(self.hras.words(), ["up", "down", "up"])
        lines = [formatEvent(event) for event in events if "tunnel.replaced" in str(event.get("log_format"))]
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertIn("each needs its own", line)
        self.assertIn("Another HRAC", str(first.status()[0]["problem"]))

    @awaited
    async def test_hras_restarts(self) -> None:
        """An HRAS that was restarted does not know the session: HRAC says so, and opens another."""
        self.start_client()
        await self.hrac.until("up")
        await self.stop_server(self.server, self.listening)
        self.start_server(self.port)
        await self.hrac.until("up", "down", "up")

    @awaited
    async def test_deleted(self) -> None:
        """A site that is deleted loses its session at once, and is refused from then on."""
        client = self.start_client()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        pauses = self.watch_pauses(client)
        del self.secrets[SITE]
        self.server.drop(SITE)
        await self.hrac.until("up", "down")
        self.assertEqual(self.hras.words(), ["up", "down"])
        self.assertEqual(self.server.status(), [])
        await self.until_long(pauses)

    @awaited
    async def test_wrong_secret(self) -> None:
        """A wrong secret is refused; the next attempt comes after the longest pause."""
        wrong = b"another secret that is not theirs"
        with capturedLogs() as events:
            client = self.start_client(secret=wrong)
            await self.until_long(self.watch_pauses(client))
        lines = [formatEvent(event) for event in events if "tunnel." in str(event.get("log_format"))]
        self.assertEqual([line.split()[0] for line in lines], ["tunnel.refused"] * 2)
        for line in lines:
            self.assertNotIn(wrong.decode(), line)
        self.assertEqual((self.hras.events, self.hrac.events, self.server.status()), ([], [], []))

    @awaited
    async def test_many(self) -> None:
        """Sites do not disturb each other."""
        self.secrets["branch"] = b"the secret of the branch office ."
        client = self.start_client()
        hello = evolve(HELLO, site="branch")
        other = self.start_client(secret=self.secrets["branch"], hello=hello)
        await self.hras.when(lambda: len(self.hras.events) == 2)
        client.send(sip("a"))
        other.send(sip("b"))
        await self.hras.when(lambda: len(self.hras.events) == 4)
        frames = {event[1]: event[2].data for event in self.hras.events if event[0] == "frame"}
        self.assertEqual(frames, {SITE: b"a", "branch": b"b"})
        self.assertEqual([status["site"] for status in self.server.status()], ["branch", SITE])

    @awaited
    async def test_no_session(self) -> None:
        """What is sent where there is no session is dropped."""
        self.server.send(SITE, sip("a"))
        self.server.send_media(OUTSIDE, VOICE, 1)
        self.server.set_busy(SITE, True)
        self.server.drop("nobody")
        client = TunnelClient(reactor, self.settings(), self.hrac)
        client.send(sip("a"))
        client.send_media(VOICE, 1)
        client.set_busy(True)
        self.start_client()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])

    @awaited
    async def test_unsendable(self) -> None:
        """A frame that cannot be encoded is logged, and nothing else happens."""
        client = self.start_client()
        await self.hrac.until("up")
        client.send(Frame(DataType.SIP_UDP, Address("a.name", 5060), 5060, b""))
        client.send(sip("a"))
        await self.hras.until("up", "a")

    @awaited
    async def test_listener_fails(self) -> None:
        """A frame that its listener fails on is logged; the tunnel and the next frames go on."""
        client = self.start_client()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        take = self.hras.frame

        def fail(leg: str, frame: Frame) -> None:
            if frame.data == b"bad":
                raise ValueError("bad")
            take(leg, frame)

        self.hras.frame = fail  # type: ignore[method-assign]
        for text in ("a", "bad", "b"):
            client.send(sip(text))
        await self.hras.until("up", "a", "b")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class ProxyTests(PauseCase):
    """Through a web proxy that cuts, and wants a login."""

    def setUp(self) -> None:
        super().setUp()
        self.proxy = TinyProxy(self.port)
        listening = reactor.listenTCP(0, self.proxy, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.addCleanup(self.proxy.cut)
        self.proxy_url = f"http://127.0.0.1:{listening.getHost().port}"

    def start(self, **changes: Any) -> TunnelClient:
        """An HRAC behind the proxy."""
        known = {"proxy": self.proxy_url, "proxy_user": USER, "proxy_password": PASSWORD}
        return self.start_client(**{**known, **changes})

    @awaited
    async def test_login(self) -> None:
        """With the login the tunnel comes up; requests carry absolute URIs and never Expect or CONNECT."""
        client = self.start()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        client.send(sip("a"))
        await self.hras.until("up", "a")
        methods = [head.split()[0] for head in self.proxy.requests]
        self.assertEqual(sorted(methods), [b"GET", b"POST", b"POST", b"POST", b"POST"])
        said = [b"Proxy-Authorization" in head for head in self.proxy.requests]
        self.assertEqual(said, [False, True, True, True, True])
        for head in self.proxy.requests:
            self.assertNotIn(b"expect", head.lower())
            self.assertIn(b"\r\nUser-Agent: SoFW/0.1 (+HRAC)\r\n", head + b"\r\n")
        self.assertEqual(client.status()[0]["proxy_login"], "Basic")

    @awaited
    async def test_digest(self) -> None:
        """Digest logins pass, also where a nonce is good for one request and the lanes meet a stale one."""
        for uses in (1, 1000):
            gate = self.proxy.gate = DigestGate(uses)
            client = self.start()
            await self.hras.when(lambda: self.hras.words().count("up") == 1)
            client.send(sip("a"))
            await self.hras.when(lambda: "a" in self.hras.words())
            self.assertEqual((gate.wrong, client.status()[0]["proxy_login"]), (0, "Digest"))
            await client.stopService()
            self.hras.events.clear()
        self.assertNotIn(b"Basic", b"".join(self.proxy.requests))

    @awaited
    async def test_wrong_login(self) -> None:
        """A wrong login is said once and not again soon: the account could be locked. The log tells."""
        self.patch(tunnel_client, "LOOK_EVERY", 3600.0)
        gate = self.proxy.gate = DigestGate(1000)
        with capturedLogs() as events:
            client = self.start(proxy_password="wrong")
            await self.until_long(self.watch_pauses(client), LOGIN_PAUSE.longest)
        told = [formatEvent(event) for event in events if "proxy." in str(event.get("log_format"))]
        self.assertEqual([line.split()[0] for line in told], ["proxy.refused"])
        self.assertNotIn("wrong", told[0])
        self.assertEqual((gate.wrong, len(self.proxy.requests)), (1, 2))
        self.assertIn("refuses the login of clerk", str(client.status()[0]["problem"]))

    @awaited
    async def test_password_changes(self) -> None:
        """Another password in the file is noticed; until then the refused one is not said again."""
        self.patch(tunnel_client, "LOOK_EVERY", 0.01)
        held = FilePath(self.mktemp())
        held.setContent(b"wrong\n")
        gate = self.proxy.gate = DigestGate(1000)
        client = self.start(proxy_password_file=held.path)
        while not client.status()[0].get("problem"):
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.1)
        self.assertEqual(gate.wrong, 1)
        held.setContent(f"{PASSWORD}\n".encode())
        await self.hras.until("up")
        self.assertEqual(gate.wrong, 1)

    @awaited
    async def test_password_changes_in_the_proxy(self) -> None:
        """When the proxy refuses the lanes of a session, it is over, and the login is not tried again."""
        self.patch(tunnel_client, "LOOK_EVERY", 3600.0)
        gate = self.proxy.gate = DigestGate(1000)
        client = self.start()
        await self.hrac.until("up")
        gate.password = "another"
        pauses = self.watch_pauses(client)
        self.proxy.cut()
        await self.until_long(pauses, LOGIN_PAUSE.longest)
        self.assertEqual(self.hrac.words(), ["up", "down"])
        # Both lanes were asked for before either was refused.
        self.assertLessEqual(gate.wrong, 2)

    @awaited
    async def test_asked_to_wait(self) -> None:
        """Retry-After is obeyed, whoever says it, to the first request or to the lanes."""
        for path in (HELLO_PATH.encode(), b"/1/"):
            self.proxy.gate = lambda head, path=path: BUSY if path in head.split()[1] else b""
            client = self.start()
            await self.until_long(self.watch_pauses(client), 160)
            await client.stopService()

    @awaited
    async def test_cut(self) -> None:
        """Whatever is cut, and when: sure frames arrive once and in order, and the session goes on."""
        client = self.start()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        said = []
        for round_ in range(5):
            for number in range(20):
                said.append(f"{round_}.{number}")
                client.send(sip(said[-1]))
                self.server.send(SITE, sip(said[-1]))
                if number == 10:
                    self.proxy.cut()
            resumed = ["resumed"] * (round_ + 1)
            for recorder in (self.hras, self.hrac):
                await recorder.when(lambda recorder=recorder: frames(recorder.words()) == said)
                await recorder.when(
                    lambda recorder=recorder, resumed=resumed: (
                        recorder.words().count("resumed") >= len(resumed)
                    )
                )
        self.assertNotIn("down", self.hras.words() + self.hrac.words())

    @awaited
    async def test_one_lane_cut(self) -> None:
        """When one lane is lost both are opened again."""
        self.start()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        self.proxy.connections[-1].transport.abortConnection()
        await gatherResults([self.hras.until("up", "resumed"), self.hrac.until("up", "resumed")])
        self.assertEqual(self.server.status()[0]["lanes"], 2)
        self.assertEqual(self.server.status()[0]["reconnects"], 1)


def by_kind(events: list[Any]) -> list[Any]:
    """Frames, then media: media of one read is handed over first."""
    return sorted(events, key=lambda event: str(event[0]))


def frames(words: list[str]) -> list[str]:
    """The words that frames said."""
    return [word for word in words if word not in ("up", "down", "resumed")]
