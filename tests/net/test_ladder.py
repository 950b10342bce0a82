"""Tests of the choice of a rung: when it is probed for, remembered, doubted and bettered."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from sofw.net import ladder as module
from sofw.net.client_probes import Probes
from sofw.net.http_wire import Route
from sofw.net.ladder import CLIMB_PAUSE, FAILURES, Ladder, Memory
from sofw.tunnel.proof import SessionKey
from sofw.tunnel.rungs import (
    HELD,
    LADDER,
    POLLS,
    POSTS,
    STREAMS,
    STREAMS_16K,
    Downward,
    Findings,
    Rung,
    rung_named,
    streams_up,
)
from tests.net.tunnels import SECRET, SITE, TunnelCase, awaited, sip

ROUTE = Route("http://hras", "http://proxy:3128")
KEY = SessionKey(SECRET, "0" * 32, "12.ab", "a" * 32)


def finding(rung: Rung) -> Findings:
    """What passes when this rung is the best."""
    down = {POSTS: Downward.STREAM, HELD: Downward.HELD}.get(rung, Downward.STREAM)
    return Findings(frozenset({down}), frozenset({rung} if streams_up(rung) else ()))


class End:
    """A TunnelEnd of which only the state matters."""

    def __init__(self) -> None:
        self.busy = self.closed = False
        self.reasons: list[str] = []

    def lost(self, reason: str) -> None:
        """The lanes are given up."""
        self.reasons.append(reason)


class LadderTests(SynchronousTestCase):
    """With probes that find what the test says."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.probed: list[int] = []
        self.next: Findings | None = finding(STREAMS)
        tests = self

        class Fake:
            """Probes that take no time."""

            def __init__(self, _reactor: Any, route: Route, _key: SessionKey, run: int) -> None:
                tests.assertEqual(route, ROUTE)
                tests.probed.append(run)

            async def run(self) -> Findings | None:
                return tests.next

        self.patch(module, "Probes", Fake)
        self.file = os.path.join(self.mktemp(), "below", "rungs.json")

    def ladder(self, fixed: Rung | None = None) -> Ladder:
        """A new one, as after a start of the program."""
        return Ladder(self.clock, ROUTE, self.file, fixed)

    def settled(self, ladder: Ladder) -> str:
        """The rung for the next opening."""
        return self.successResultOf(Deferred.fromCoroutine(ladder.settle(KEY))).name

    def test_first_time(self) -> None:
        """What is found is taken, told with the reason, and remembered without the login."""
        self.next = finding(POSTS)
        with capturedLogs() as events:
            ladder = self.ladder()
            self.assertEqual(ladder.name, "unknown")
            self.assertEqual(self.settled(ladder), "posts")
            self.assertEqual(self.settled(ladder), "posts")
        lines = [formatEvent(event) for event in events]
        said = (
            "tunnel.rung rung=posts route=http://hras by http://proxy:3128 reason=probed for the first time"
        )
        self.assertEqual(lines, [said])
        self.assertEqual(self.probed, [1])
        with open(self.file, encoding="utf-8") as file:
            self.assertEqual(json.load(file), {"http://hras by http://proxy:3128": "posts"})

    def test_remembered(self) -> None:
        """After a restart what is remembered is taken; when it carries nothing, it is probed at once."""
        self.next = finding(POSTS)
        self.settled(self.ladder())
        ladder = self.ladder()
        self.assertEqual((self.settled(ladder), self.probed), ("posts", [1]))
        self.next = finding(STREAMS)
        ladder.opened(carried=False)
        self.assertEqual((self.settled(ladder), self.probed), ("streams", [1, 1]))
        self.assertEqual(self.settled(self.ladder()), "streams")

    def test_failures(self) -> None:
        """A rung that has carried frames is doubted after some failures in a row."""
        ladder = self.ladder()
        self.settled(ladder)
        ladder.opened(carried=True)
        self.next = finding(HELD)
        for _ in range(FAILURES):
            self.assertEqual(self.settled(ladder), "streams")
            ladder.opened(carried=False)
        self.assertEqual(self.settled(ladder), "held")

    def test_nothing_passes(self) -> None:
        """When not even the probes pass, the rung is kept, and the last one tried before there is any."""
        self.next = None
        ladder = self.ladder()
        self.assertEqual(self.settled(ladder), "polls-each")
        self.next = finding(POSTS)
        self.assertEqual(self.settled(ladder), "posts")
        self.next = None
        for _ in range(3 * FAILURES):
            ladder.opened(carried=False)
            self.assertEqual(self.settled(ladder), "posts")

    def test_deceived(self) -> None:
        """A rung that probes well and carries nothing is passed over in the end."""
        self.next = Findings(frozenset(Downward), frozenset({STREAMS, STREAMS_16K}))
        ladder = self.ladder()
        for _ in range(2 * FAILURES):
            self.assertEqual(self.settled(ladder), "streams")
            ladder.opened(carried=False)
        self.assertEqual(self.settled(ladder), "streams-16k")

    def test_fixed(self) -> None:
        """With a fixed rung nothing is probed or written."""
        ladder = self.ladder(POLLS)
        for _ in range(2 * FAILURES):
            self.assertEqual(self.settled(ladder), "polls")
            ladder.opened(carried=False)
        self.assertEqual((self.probed, os.path.exists(self.file)), ([], False))

    def test_climbs(self) -> None:
        """Each hour a better rung is looked for, but not during a call; found, the lanes are opened anew."""
        self.next = finding(HELD)
        ladder, end = self.ladder(), End()
        self.settled(ladder)
        climbing = ladder.start_climbing(KEY, end)  # type: ignore[arg-type]
        self.clock.advance(CLIMB_PAUSE)
        self.assertEqual((self.probed, end.reasons), ([1, 2], []))
        self.next, end.busy = finding(POSTS), True
        self.clock.advance(CLIMB_PAUSE)
        self.assertEqual((self.probed, end.reasons), ([1, 2], []))
        end.busy = False
        self.clock.advance(CLIMB_PAUSE)
        self.assertEqual((self.probed, ladder.name), ([1, 2, 3], "posts"))
        self.assertEqual(end.reasons, ["The rung posts is better"])
        self.next = None
        self.clock.advance(CLIMB_PAUSE)
        self.assertEqual((self.probed, ladder.name), ([1, 2, 3, 4], "posts"))
        climbing.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_to_climb(self) -> None:
        """On the best rung nothing is probed any more."""
        ladder, end = self.ladder(), End()
        self.settled(ladder)
        climbing = ladder.start_climbing(KEY, end)  # type: ignore[arg-type]
        for _ in range(3):
            self.clock.advance(CLIMB_PAUSE)
        self.assertEqual(self.probed, [1])
        climbing.cancel()


class MemoryTests(SynchronousTestCase):
    """The file."""

    def test_routes(self) -> None:
        """Each route has its own rung."""
        file = self.mktemp()
        Memory(file).remember(ROUTE, "posts")
        Memory(file).remember(Route("http://hras"), "streams")
        Memory(file).remember(ROUTE, "held")
        self.assertEqual(
            [Memory(file).recall(route) for route in (ROUTE, Route("http://hras"))], ["held", "streams"]
        )
        self.assertIsNone(Memory(file).recall(Route("http://other")))

    def test_no_file(self) -> None:
        """Without a file nothing is remembered, and nothing said."""
        with capturedLogs() as events:
            memory = Memory("")
            memory.remember(ROUTE, "posts")
            self.assertIsNone(memory.recall(ROUTE))
        self.assertEqual(events, [])

    def test_unusable(self) -> None:
        """A file that cannot be used is named once, and the tunnel does without it."""
        garbage = self.mktemp()
        with open(garbage, "w", encoding="utf-8") as file:
            file.write("[" * 5000)
        for path in ("/proc/sofw/rungs.json", garbage):
            with capturedLogs() as events:
                memory = Memory(path)
                for _ in range(2):
                    self.assertIsNone(memory.recall(Route("http://a")))
                    Memory.remember(memory, ROUTE, "posts")
            named = [event for event in events if path in formatEvent(event)]
            self.assertEqual(len(named), 1, path)

    def test_foreign_content(self) -> None:
        """JSON of another form, and names of rungs that this release does not know, are as nothing."""
        for text in ("[]", "7", '{"http://hras by http://proxy:3128": ["x"]}'):
            path = self.mktemp()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            self.assertIsNone(rung_named(Memory(path).recall(ROUTE)))


class ProbesTests(TunnelCase):
    """The probes, on loopback, where everything passes."""

    @awaited
    async def test_all_pass(self) -> None:
        """Everything that streams is found, and the best rung is carried on without a hitch."""
        client = self.start_client(rung=None, memory=self.mktemp())
        self.assertEqual(client.status()[0]["rung"], "unknown")
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        self.assertEqual(client.status()[0]["rung"], "streams")
        client.send(sip("a"))
        await self.hras.until("up", "a")
        end: Any = client._end
        findings = await Probes(reactor, Route(self.settings().hras), self.key(client), 7).run()
        self.assertEqual(findings, Findings(frozenset({Downward.STREAM, Downward.HELD}), UPLOADS, True))
        self.assertEqual((end.closed, self.server.status()[0]["reconnects"]), (False, 0))

    @awaited
    async def test_nobody_there(self) -> None:
        """Without an HRAS nothing is found."""
        await self.stop_server(self.server, self.listening)
        self.assertIsNone(await Probes(reactor, Route(self.settings().hras), KEY, 1).run())

    @awaited
    async def test_unknown_session(self) -> None:
        """Refusals are no findings."""
        self.assertIsNone(await Probes(reactor, Route(self.settings().hras), KEY, 1).run())

    @awaited
    async def test_change_of_rung(self) -> None:
        """From each rung to the next while frames flow: each arrives once and in order."""
        client = self.start_client()
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        said = []
        for number, rung in enumerate([*LADDER, *LADDER[::-1]]):
            for word in range(20):
                said.append(f"{number}.{word}")
                client.send(sip(said[-1]))
                self.server.send(SITE, sip(said[-1]))
                if word == number:
                    client._ladder.rung = rung
                    end: Any = client._end
                    end.lost("another rung")
            for recorder in (self.hras, self.hrac):
                await recorder.when(
                    lambda recorder=recorder: [word for word in recorder.words() if "." in word] == said
                )
        self.assertNotIn("down", self.hras.words() + self.hrac.words())

    def key(self, client: Any) -> SessionKey:
        """The key of the client's session."""
        return next(iter(self.server._by_leg.values())).key


UPLOADS = frozenset(rung for rung in LADDER if streams_up(rung))
