"""When a destination fails: the next one is tried (RFC 3263 §4.3), and the call stays the same call."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.actions import Action, Note, Resolve
from sofw.flow.forwarding import PATIENCE
from sofw.net.sip_stream import CONNECT_TIMEOUT
from sofw.sip.locate import Destination, Wanted
from sofw.sip.message import Request, Response
from sofw.sip.proxy import Interface
from sofw.sip.timers import Timers
from tests.flow.world import ALICE, BOB, World, reply, request, sdp, sent, summary


def _server(number: int) -> Flow:
    return Flow(OUTSIDE, Transport.UDP, Address(f"198.51.100.{number}", 5060), 5060)


#: Servers of elsewhere.org, as they are to be tried.
ONE, TWO, THREE = map(_server, (1, 2, 3))
#: Longer than any timer of a transaction, and than Timer C.
LONG = 1000.0
#: The branch of alice's INVITE after the challenge.
ADMITTED = "againINVITE1alicecall"


def destination(flow: Flow) -> Destination:
    """What a search finds for a server at that flow."""
    return Destination(flow.transport, flow.remote.host, flow.remote.port)


class Case(SynchronousTestCase):
    """Alice, inside, sends something to joe@elsewhere.org."""

    def setUp(self) -> None:
        self.world = World()
        self.world.register("alice")
        #: Every request that went out, oldest first, with its flow.
        self.out: list[tuple[Flow, Request]] = []

    def begin(self, *servers: Flow, method: str = "INVITE") -> list[str]:
        """The request is admitted and its servers are found; what follows in short."""
        body = sdp(ALICE, 4000, "alice") if method == "INVITE" else b""
        data = request(method, "sip:joe@elsewhere.org", ALICE, "alice", body=body)
        actions = self.world.login(ALICE, data, "alice")
        (look_up,) = [action for action in actions if isinstance(action, Resolve)]
        self.assertEqual(look_up.place, Wanted("elsewhere.org"))
        found = tuple(destination(server) for server in servers)
        return self.seen(self.world.noted(self.world.core.resolved(look_up.key, found, self.world.now)))

    def seen(self, actions: list[Action]) -> list[str]:
        """The actions in short; new requests are kept."""
        for flow, message in sent(actions):
            if isinstance(message, Request) and (flow, message) not in self.out:
                self.out.append((flow, message))
        return summary(actions)

    def says(self, server: Flow, status: int, body: bytes = b"") -> list[str]:
        """A server answers the request it got last, other than ACK and CANCEL."""
        got = [message for flow, message in self.out if flow == server]
        (*_, asked) = [message for message in got if message.method not in ("ACK", "CANCEL")]
        return self.seen(self.world.say(server, reply(asked, status, server, "joe", body)))

    def unreachable(self) -> list[str]:
        """The edge could not send the last request."""
        key = self.world.core._transactions.match_response(_answer(self.out[-1][1]))
        assert key is not None
        return self.seen(self.world.noted(self.world.core.failed(key, self.world.now)))

    def wait(self, seconds: float) -> list[str]:
        """Time passes; what happens, repetitions left out."""
        known = [message for _flow, message in self.out]
        actions = self.world.run_timers(seconds)
        repeated = [a for a in actions if any(message in known for _flow, message in sent([a]))]
        return self.seen([action for action in actions if action not in repeated])

    def servers_asked(self) -> list[str]:
        """Who got the request, in order."""
        return [flow.remote.host for flow, message in self.out if message.method in ("INVITE", "MESSAGE")]

    def over(self) -> None:
        """After all timers nothing is left."""
        self.world.run_timers(LONG)
        core = self.world.core
        self.assertEqual((len(core._transactions), len(core._forwarding)), (0, 0))
        self.assertEqual(self.world.timers, {})


def _answer(asked: Request) -> Response:
    return Response(200, "OK", asked.headers)


def tried(failed: Flow, following: Flow) -> Note:
    """The line for the log."""
    return Note("sip.next_destination", (("failed", failed), ("next", following)))


class EveryWayToFail(Case):
    """503, no connection, silence."""

    def test_refused_with_503(self) -> None:
        """The 503 stays with us; the next server gets the INVITE at once, under a branch of its own."""
        first = self.begin(ONE, TWO)
        self.assertEqual(
            first[-3:], ["StartTimer c", "StartTimer next", "INVITE -> outside 198.51.100.1:5060"]
        )
        self.assertEqual(
            self.says(ONE, 503),
            [
                "ACK -> outside 198.51.100.1:5060",
                "StopTimer c",
                "StopTimer next",
                "Note",
                "StartTimer c",
                "INVITE -> outside 198.51.100.2:5060",
            ],
        )
        (_, one), (_, _ack), (_, two) = self.out
        self.assertNotEqual(one.via.branch, two.via.branch)
        self.assertEqual(one.body, two.body)

    def test_unreachable(self) -> None:
        """A server that cannot be reached is passed over."""
        self.begin(ONE, TWO)
        self.assertEqual(
            self.unreachable(),
            ["StopTimer c", "StopTimer next", "Note", "StartTimer c", "INVITE -> outside 198.51.100.2:5060"],
        )

    def test_silence(self) -> None:
        """After 8 s without any response; the first is asked no more, the last has its full time."""
        self.begin(ONE, TWO)
        self.assertEqual(self.wait(7.9), [])
        self.assertEqual(
            self.wait(0.1),
            ["StopTimer c", "StopTimer next", "Note", "StartTimer c", f"INVITE -> {_place(TWO)}"],
        )
        late = sent(self.world.run_timers(31.9))
        self.assertEqual({flow for flow, message in late if isinstance(message, Request)}, {TWO})
        self.assertIn("408 -> tokyo 192.168.1.10:5060", self.wait(0.1))
        self.over()

    def test_connecting_takes_less(self) -> None:
        """A TCP connection that comes about too late must not carry what was given up."""
        self.assertLess(CONNECT_TIMEOUT, PATIENCE * Timers().t1)

    def test_log(self) -> None:
        """The operator reads which server failed, and where the request goes instead."""
        self.begin(ONE, TWO, THREE)
        self.unreachable()
        actions = self.world.say(TWO, reply(self.out[-1][1], 503, TWO, "joe"))
        self.assertIn(tried(TWO, THREE), actions)

    def test_any_response_is_patience(self) -> None:
        """Who has said 100 may take its time; the next one is for when it fails after all."""
        self.begin(ONE, TWO)
        self.assertEqual(self.says(ONE, 100), ["StopTimer next"])
        self.assertEqual(self.wait(60), [])
        self.says(ONE, 180)
        self.assertEqual(self.wait(60), [])
        self.says(ONE, 503)
        self.assertEqual(self.servers_asked(), ["198.51.100.1", "198.51.100.2"])

    def test_one_after_the_other(self) -> None:
        """Each in its turn, until nobody is left: then as if there had been one only."""
        self.begin(ONE, TWO, THREE)
        self.wait(8)
        self.unreachable()
        done = self.says(THREE, 503)
        self.assertEqual(self.servers_asked(), ["198.51.100.1", "198.51.100.2", "198.51.100.3"])
        self.assertIn("500 -> tokyo 192.168.1.10:5060", done)
        self.assertEqual((len(self.world.calls), len(self.world.table)), (0, 0))
        self.over()

    def test_other_transport(self) -> None:
        """The next destination may be by TCP: its Via says so."""
        tcp = Flow(OUTSIDE, Transport.TCP, Address("198.51.100.9", 5060), 5060)
        self.begin(ONE, tcp)
        self.says(ONE, 503)
        flow, message = self.out[-1]
        self.assertEqual((flow, message.via.transport), (tcp, "TCP"))

    def test_other_refusals_are_answers(self) -> None:
        """Only 503 says that this server, and not joe, is the trouble (RFC 3263 §4.3)."""
        for status in (302, 404, 408, 480, 486, 500, 504, 600, 603):
            self.setUp()
            self.begin(ONE, TWO)
            with self.subTest(status):
                self.assertIn(f"{status} -> tokyo 192.168.1.10:5060", self.says(ONE, status))
                self.over()
                self.assertEqual(self.servers_asked(), ["198.51.100.1"])

    def test_message(self) -> None:
        """The same for a request that is no INVITE."""
        for fail in (lambda: self.says(ONE, 503), self.unreachable, lambda: self.wait(8)):
            self.setUp()
            self.assertEqual(self.begin(ONE, TWO, method="MESSAGE")[-1], f"MESSAGE -> {_place(ONE)}")
            self.assertIn(f"MESSAGE -> {_place(TWO)}", fail())
            self.assertEqual(self.says(TWO, 200), ["200 -> tokyo 192.168.1.10:5060"])
            self.over()

    def test_nobody_waits_any_more(self) -> None:
        """Who sent something else than INVITE gives up after 32 s (RFC 4320 §4.2): no use in going on."""
        self.begin(ONE, TWO, THREE, *(_server(n) for n in range(4, 9)), method="MESSAGE")
        self.wait(LONG)
        self.assertEqual(self.servers_asked(), [f"198.51.100.{n}" for n in (1, 2, 3, 4)])
        self.over()

    def test_invite_goes_through_all(self) -> None:
        """A caller of INVITE was told 100 and waits."""
        self.begin(*(_server(n) for n in range(1, 9)))
        done = self.wait(LONG)
        self.assertEqual(self.servers_asked(), [f"198.51.100.{n}" for n in range(1, 9)])
        self.assertIn("408 -> tokyo 192.168.1.10:5060", done)
        self.over()


class OneCall(Case):
    """What the fail-over leaves as it was."""

    def test_rows_stay(self) -> None:
        """One call, one row, the same ports; media is learned from the server that answers."""
        opened = self.begin(ONE, TWO)
        self.assertIn("OpenPorts tokyo [30000]", opened)
        (row,) = self.world.table.rows()
        self.assertEqual(row.callee.signalling_host, ONE.remote.host)
        again = self.says(ONE, 503)
        self.assertEqual([line for line in again if "Ports" in line], [])
        self.assertEqual(list(self.world.table.rows()), [row])
        self.assertEqual(row.callee.signalling_host, TWO.remote.host)
        self.assertIn("200 -> tokyo 192.168.1.10:5060", self.says(TWO, 200, sdp(TWO, 7000)))
        self.assertEqual(row.callee.terminal, Address("198.51.100.2", 7000))
        ((call),) = self.world.calls.all()
        self.assertEqual((call.state, call.callee.host), ("up", "198.51.100.2"))

    def test_early_media_of_the_one_that_failed(self) -> None:
        """What the first server had said of its media is forgotten once the next one answers."""
        self.begin(ONE, TWO)
        self.says(ONE, 183, sdp(ONE, 6000))
        self.says(ONE, 503)
        self.says(TWO, 200, sdp(TWO, 7000))
        (row,) = self.world.table.rows()
        self.assertEqual(row.callee.terminal, Address("198.51.100.2", 7000))

    def test_ringing_after_a_failure(self) -> None:
        """A new branch starts from nothing: CANCEL waits for its own first response (§9.1)."""
        self.begin(ONE, TWO)
        self.says(ONE, 180)
        self.says(ONE, 503)
        self.cancel()
        self.assertEqual([flow for flow, message in self.out if message.method == "CANCEL"], [])
        self.assertIn(f"CANCEL -> {_place(TWO)}", self.says(TWO, 180))
        self.assertIn("487 -> tokyo 192.168.1.10:5060", self.says(TWO, 487))
        self.over()

    def cancel(self) -> None:
        """Alice gives up."""
        data = request("CANCEL", "sip:joe@elsewhere.org", ALICE, "alice", cseq=2, branch=ADMITTED)
        self.assertEqual(self.seen(self.world.say(ALICE, data)), ["200 -> tokyo 192.168.1.10:5060"])

    def test_cancelled(self) -> None:
        """Who has given up is not put through to the next server."""
        for fail in (lambda: self.says(ONE, 503), self.unreachable, lambda: self.wait(40)):
            self.setUp()
            self.begin(ONE, TWO)
            self.cancel()
            fail()
            self.over()
            self.assertEqual(self.servers_asked(), ["198.51.100.1"])
            self.assertEqual(len(self.world.table), 0)

    def test_cancelled_and_unreachable(self) -> None:
        """Nobody is to be tried next, so no timer need tell of it."""
        self.begin(ONE, TWO)
        self.cancel()
        self.assertIn("StopTimer next", self.unreachable())

    def test_late_answer_of_the_one_given_up(self) -> None:
        """It belongs to nothing any more (RFC 6026 §7.1), and disturbs nothing."""
        self.begin(ONE, TWO)
        self.wait(8)
        self.assertEqual(self.says(ONE, 200, sdp(ONE, 6000)), [])
        self.assertEqual(self.world.core.counts["stray responses"], 1)
        self.assertIn("200 -> tokyo 192.168.1.10:5060", self.says(TWO, 200, sdp(TWO, 7000)))

    def test_repeated_503(self) -> None:
        """The 503 that comes again is acknowledged again, and fails nobody else."""
        self.begin(ONE, TWO, THREE)
        self.says(ONE, 503)
        asked = self.out[0][1]
        self.assertEqual(
            summary(self.world.say(ONE, reply(asked, 503, ONE, "joe"))), [f"ACK -> {_place(ONE)}"]
        )
        self.assertEqual(self.servers_asked(), ["198.51.100.1", "198.51.100.2"])


class AfterTheAnswer(Case):
    """A call that is up."""

    def test_nobody_is_tried_after_the_answer(self) -> None:
        """Once another branch has answered, a failing server has no successor."""
        self.begin(ONE, TWO)
        self.says(ONE, 200, sdp(ONE, 7000))
        self.world.run_timers(8)
        self.assertEqual(self.servers_asked(), ["198.51.100.1"])

    def test_within_a_dialog(self) -> None:
        """A BYE by way of a far proxy goes round a server that is down, with the call it ends."""
        world = self.world
        world.register("bob")
        invite = request("INVITE", "sip:bob@example.com", ALICE, "alice", body=sdp(ALICE))
        (_, asked) = sent(world.login(ALICE, invite, "alice"))[-1]
        assert isinstance(asked, Request)
        answered = reply(asked, 200, BOB, "bob", sdp(BOB, 7000))
        far = b"Record-Route: <sip:proxy.far.org;lr>\r\nRecord-Route:"
        ok = world.say(BOB, answered.replace(b"Record-Route:", far, 1))
        (_, answer) = sent(ok)[-1]
        routes = "".join(f"Route: {value}\r\n" for value in answer.headers.all("Record-Route")[::-1])
        target = str(answer.contacts[0].uri)
        bye = request("BYE", target, ALICE, "alice", "bob@example.com", "bob", 3, headers=routes)
        actions = world.say(ALICE, bye)
        (look_up,) = [action for action in actions if isinstance(action, Resolve)]
        self.assertEqual(look_up.place, Wanted("proxy.far.org"))
        found = (destination(ONE), destination(TWO))
        self.seen(world.noted(world.core.resolved(look_up.key, found, world.now)))
        self.assertIn(f"BYE -> {_place(TWO)}", self.says(ONE, 503))
        self.assertEqual(len(world.calls), 1)
        self.assertIn("200 -> tokyo 192.168.1.10:5060", self.says(TWO, 200))
        self.assertEqual((len(world.calls), len(world.table)), (0, 0))


class Families(Case):
    """Which addresses are asked for."""

    def test_those_of_the_leg(self) -> None:
        """An HRAS on IPv6 looks for IPv6."""
        self.world.core._interfaces[OUTSIDE] = Interface(OUTSIDE, "2001:db8::10", 5060)
        data = request("MESSAGE", "sip:joe@elsewhere.org", ALICE, "alice")
        (look_up,) = [a for a in self.world.login(ALICE, data, "alice") if isinstance(a, Resolve)]
        self.assertEqual((look_up.place, look_up.ipv6), (Wanted("elsewhere.org"), True))


def _place(flow: Flow) -> str:
    return f"{flow.leg} {flow.remote}"
