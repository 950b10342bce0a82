"""Tests of HRAS's lanes that are cut into short requests, and of its probes: good parts and bad ones."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import deferLater

from sofw.net import server_lanes
from sofw.net.http_wire import HttpWire, Route
from sofw.tunnel.exchange import lane_path
from sofw.tunnel.frame import DataType, Frame, encode
from sofw.tunnel.parts import MAX_AHEAD, MAX_PART
from sofw.tunnel.probing import MAX_TRIALS, TICK, TICKS
from sofw.tunnel.proof import SessionKey
from sofw.tunnel.rungs import METHODS, Purpose
from tests.net.tunnels import PHONE, SITE, LaneCase, RawRequest, awaited, sip

ACK = encode(Frame(DataType.ACK, None, 0, bytes(15) + b"\1"))
VOICE = encode(Frame(DataType.MEDIA, PHONE, 20000, b"voice"))
IMPOSSIBLE = bytes(6) + b"\x80\x01\x00\x0f\x00\x00" + bytes(15)


class PartCase(LaneCase):
    """Requests that are parts of lanes, made by hand."""

    def new_wire(self) -> HttpWire:
        """A connection of its own."""
        wire = HttpWire(reactor, Route(f"http://127.0.0.1:{self.port}"))
        self.addCleanup(wire.close)
        return wire

    def ask(self, key: SessionKey, purpose: Purpose, part: int, body: bytes | None, number: int = 1) -> Any:
        """Send a part; fires with the answer."""
        path = lane_path(key.lane(purpose, number, part))
        return Deferred.fromCoroutine(self.new_wire().exchange(METHODS[purpose], path, {}, body))

    async def up(self, key: SessionKey, part: int, body: bytes, number: int = 1) -> int:
        """Send an upward part; the status of the answer, which is empty if it is good."""
        answer = await self.ask(key, Purpose.UP, part, body, number)
        if answer.status == 200:
            self.assertEqual((answer.body, answer.type), (b"", "application/octet-stream"))
        return int(answer.status)

    async def join(self, key: SessionKey, number: int = 1) -> None:
        """Open lanes: short requests upward, a held one downward."""
        down = self.ask(key, Purpose.DOWN, 1, None, number)
        self.assertEqual(await self.up(key, 1, ACK, number), 200)
        answer = await down
        self.assertEqual((answer.status, answer.type), (200, "application/octet-stream"))

    async def joined(self) -> SessionKey:
        """A session that is up."""
        key = await self.session()
        await self.join(key)
        self.assertEqual((self.hras.words(), self.server.status()[0]["rung"]), (["up"], "held"))
        return key


class PartTests(PartCase):
    """What HRAS makes of parts."""

    @awaited
    async def test_any_order(self) -> None:
        """Parts that overtake each other wait for those before; their media does not."""
        key = await self.joined()
        self.assertEqual(await self.up(key, 4, encode(sip("d"))), 200)
        self.assertEqual(await self.up(key, 3, encode(sip("c")) + VOICE), 200)
        self.assertEqual(self.hras.words(), ["up", "voice"])
        self.assertEqual(await self.up(key, 2, encode(sip("b"))), 200)
        self.assertEqual(self.hras.words(), ["up", "voice", "b", "c", "d"])

    @awaited
    async def test_twice(self) -> None:
        """A part that comes twice counts once; its media too."""
        key = await self.joined()
        for part in (3, 3, 2, 2, 3, 1):
            self.assertEqual(await self.up(key, part, encode(sip(str(part))) + VOICE), 200)
        self.assertEqual(self.hras.words(), ["up", "voice", "voice", "2", "3"])

    @awaited
    async def test_asked_twice(self) -> None:
        """What answered the first of two equal requests may be lost: the second must open new lanes."""
        key = await self.joined()
        self.assertEqual((await self.ask(key, Purpose.DOWN, 1, None)).status, 410)
        held = self.ask(key, Purpose.DOWN, 2, None)
        self.server.send(SITE, sip("a"))
        self.assertIn(encode(sip("a")), (await held).body)

    @awaited
    async def test_polls(self) -> None:
        """Polls are answered at once, in their order, and only once."""
        key = await self.session()
        second = self.ask(key, Purpose.BOTH, 2, encode(sip("b")))
        first = await self.ask(key, Purpose.BOTH, 1, ACK + encode(sip("a")))
        self.assertEqual((first.status, (await second).status), (200, 200))
        self.assertEqual(self.hras.words(), ["up", "a", "b"])
        self.assertEqual((await self.ask(key, Purpose.BOTH, 2, b"")).status, 410)
        self.assertEqual(self.server.status()[0]["rung"], "polls")

    @awaited
    async def test_too_long(self) -> None:
        """A part has a limit, announced or not."""
        key = await self.joined()
        bodies = (
            f"Content-Length: {MAX_PART + 1}\r\n\r\n",
            f"Transfer-Encoding: chunked\r\n\r\n{MAX_PART + 1:x}\r\n" + "x" * (MAX_PART + 1),
        )
        for part, body in enumerate(bodies, 2):
            path = lane_path(key.lane(Purpose.UP, 1, part))
            protocol = RawRequest(f"POST {path} HTTP/1.1\r\nHost: hras\r\n{body}".encode())
            await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), protocol)
            self.assertEqual((await protocol.done)[:13], b"HTTP/1.1 413 ")
        self.assertEqual(await self.up(key, 2, encode(sip("a"))), 200)
        self.assertEqual(self.hras.words(), ["up", "a"])

    @awaited
    async def test_broken(self) -> None:
        """A part that no sender makes costs the lanes, not the session."""
        key = await self.joined()
        for number, body in enumerate((IMPOSSIBLE, encode(sip("a"))[:-1], encode(sip("a")) + b"x"), 1):
            self.assertEqual(await self.up(key, 2, body, number), 200)
            self.assertEqual(self.server.status()[0]["state"], "resuming")
            self.assertEqual(await self.up(key, 3, b"", number), 410)
            await self.join(key, number + 1)
        self.assertEqual(self.hras.words(), ["up", "resumed", "resumed", "resumed"])

    @awaited
    async def test_too_far_ahead(self) -> None:
        """What waits for earlier parts is bounded, each way."""
        key = await self.joined()
        self.assertEqual(await self.up(key, 2 + MAX_AHEAD, b""), 200)
        self.assertEqual(self.server.status()[0]["state"], "resuming")
        await self.join(key, 2)
        self.assertEqual((await self.ask(key, Purpose.DOWN, 3 + MAX_AHEAD, None, 2)).status, 410)

    @awaited
    async def test_held_for_a_time(self) -> None:
        """A request that is held is answered after a time, if only with nothing."""
        self.patch(server_lanes, "HOLD", 0.02)
        key = await self.joined()
        bodies = [(await self.ask(key, Purpose.DOWN, part, None)).body for part in (2, 3, 4)]
        self.assertEqual(bodies[-1], b"")

    @awaited
    async def test_asker_gone(self) -> None:
        """When the connection of a held request is lost, so are the lanes."""
        key = await self.joined()
        wire = self.new_wire()
        path = lane_path(key.lane(Purpose.DOWN, 1, 3))
        asked = Deferred.fromCoroutine(wire.exchange("GET", path, {}, None))
        asked.addErrback(lambda _failure: None)
        self.assertEqual(await self.up(key, 2, b""), 200)
        wire.close()
        await asked
        while self.server.status()[0]["state"] != "resuming":
            await deferLater(reactor, 0)


class ProbeTests(PartCase):
    """What HRAS makes of probes."""

    @awaited
    async def test_bounds(self) -> None:
        """Probes are so many, with so many ticks, and those of a run before are forgotten."""
        key = await self.session()
        for part in range(1, MAX_TRIALS + 1):
            body = TICK * 9 if part % 2 else b"\xff" * 99
            self.assertEqual((await self.ask(key, Purpose.TRY, part, body, 7)).status, 200)
        for part, number in ((MAX_TRIALS + 1, 7), (1, 7), (1, 6)):
            self.assertEqual((await self.refused(key, part, number))[:13], b"HTTP/1.1 403 ")
        report = json.loads((await self.ask(key, Purpose.REPORT, 1, None, 7)).body)["arrived"]
        counts = {int(part): len(times) for part, times in report.items()}
        self.assertEqual(counts, {part: TICKS if part % 2 else 0 for part in range(1, MAX_TRIALS + 1)})
        self.assertEqual((await self.ask(key, Purpose.REPORT, 1, None, 8)).body, b'{"arrived": {}}')

    @awaited
    async def test_ticks(self) -> None:
        """Ticks come after some padding, and the answer ends."""
        answer = await self.ask(await self.session(), Purpose.TICKS, 0, None)
        self.assertEqual((answer.status, answer.body.count(TICK)), (200, TICKS))

    async def refused(self, key: SessionKey, part: int, number: int) -> bytes:
        """The answer to an upward probe, which closes the connection."""
        path = lane_path(key.lane(Purpose.TRY, number, part))
        protocol = RawRequest(f"POST {path} HTTP/1.1\r\nHost: hras\r\nContent-Length: 9\r\n\r\n".encode())
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), protocol)
        return await protocol.done
