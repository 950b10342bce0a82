"""Signalling, told as conversations: what each terminal says and everything that follows."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.actions import OpenPorts, Resolve, SaveBindings
from sofw.sip.locate import Destination, Wanted
from sofw.sip.message import Request, Response, parse_message
from tests.flow.world import ALICE, BOB, CAROL, DAVE, HRAC, HRAS, World, reply, request, sdp, sent, summary


def invite(
    world: World, caller: str, flow: Flow, callee: str, body: bytes | None = None, **extra: str
) -> list:
    """Register all and let the caller invite the callee; returns the actions of the admitted INVITE."""
    world.register("alice", "bob", "carol", "dave")
    offer = sdp(flow, 4000, caller) if body is None else body
    uri = f"sip:{callee}@example.com"
    return world.login(flow, request("INVITE", uri, flow, caller, body=offer, **extra), caller)


def requests_in(actions: list) -> list[Request]:
    """The requests among the messages sent."""
    return [message for _, message in sent(actions) if isinstance(message, Request)]


def responses_in(actions: list) -> list[Response]:
    """The responses among the messages sent."""
    return [message for _, message in sent(actions) if isinstance(message, Response)]


class Registration(SynchronousTestCase):
    """REGISTER: challenge, binding, expiry."""

    def test_challenge_then_binding(self) -> None:
        """Without credentials 401 with both algorithms; with them the binding keeps the flow."""
        world = World()
        data = request("REGISTER", "sip:example.com", ALICE, "alice", "alice@example.com")
        first = responses_in(world.say(ALICE, data))[0]
        self.assertEqual(first.status, 401)
        algorithms = [v for v in first.headers.all("WWW-Authenticate")]
        self.assertIn("SHA-256", algorithms[0])
        self.assertIn("MD5", algorithms[1])
        world.register("alice")
        (binding,) = world.registrar.lookup("alice@example.com", world.now)
        self.assertEqual((binding.flow, binding.contact), (ALICE, "sip:alice@192.168.1.10:5060"))

    def test_saved_before_it_is_confirmed(self) -> None:
        """The store has the binding before the phone hears 200."""
        world = World()
        data = request("REGISTER", "sip:example.com", ALICE, "alice", "alice@example.com")
        kinds = [type(action).__name__ for action in world.login(ALICE, data, "alice")]
        self.assertLess(kinds.index("SaveBindings"), kinds.index("SendSip"))

    def test_wrong_password(self) -> None:
        """A wrong password is asked again and binds nothing."""
        world = World()
        data = request("REGISTER", "sip:example.com", ALICE, "alice", "alice@example.com")
        self.assertEqual(responses_in(world.login(ALICE, data, "alice", "wrong"))[0].status, 401)
        self.assertEqual(world.registrar.all(world.now), [])

    def test_somebody_elses_record(self) -> None:
        """Alice cannot register for bob."""
        world = World()
        data = request("REGISTER", "sip:example.com", ALICE, "bob", "bob@example.com")
        self.assertEqual(responses_in(world.login(ALICE, data, "alice"))[0].status, 403)

    def test_expiry_is_swept(self) -> None:
        """After its time a binding is gone, also from the store."""
        world = World()
        world.register("alice")
        actions = world.later(4000, ("sweep",))
        self.assertIn(SaveBindings("alice@example.com", ()), actions)


class Admission(SynchronousTestCase):
    """Never an open relay."""

    def test_cases(self) -> None:
        """Who may call whom."""
        cases = [
            ("a stranger to a local user", BOB, "eve@elsewhere.org", "sip:alice@example.com", 100),
            ("a stranger to a stranger", BOB, "eve@elsewhere.org", "sip:joe@elsewhere.org", 403),
            ("a local name without credentials", BOB, "bob@example.com", "sip:joe@elsewhere.org", 407),
            ("nobody of that name", BOB, "eve@elsewhere.org", "sip:nobody@example.com", 404),
            ("a user without a phone", BOB, "eve@elsewhere.org", "sip:dave@example.com", 480),
        ]
        for name, flow, sender, uri, status in cases:
            world = World()
            world.register("alice")
            data = request("INVITE", uri, flow, "bob", body=sdp(flow)).replace(
                b"bob@example.com", sender.encode()
            )
            with self.subTest(name):
                statuses = [response.status for response in responses_in(world.say(flow, data))]
                self.assertEqual([s for s in statuses if s != 100] or statuses, [status])

    def test_message_is_challenged_like_invite(self) -> None:
        """An instant message of a local user needs credentials too."""
        world = World()
        data = request("MESSAGE", "sip:alice@example.com", BOB, "bob")
        self.assertEqual(responses_in(world.say(BOB, data))[0].status, 407)

    def test_nothing_before_a_refusal(self) -> None:
        """An INVITE that is refused at once is not called tried before."""
        first = request("INVITE", "sip:bob@example.com", ALICE, "alice", body=sdp(ALICE))
        self.assertEqual(summary(World().say(ALICE, first)), ["407 -> tokyo 192.168.1.10:5060"])

    def test_credentials_do_not_travel_on(self) -> None:
        """The callee does not see the caller's credentials."""
        forwarded = requests_in(invite(World(), "alice", ALICE, "bob"))[0]
        self.assertEqual(forwarded.headers.all("Proxy-Authorization"), ())


class CallOut(SynchronousTestCase):
    """Inside to outside, the whole way."""

    def setUp(self) -> None:
        self.world = World()
        self.first = invite(self.world, "alice", ALICE, "bob")
        self.forwarded = requests_in(self.first)[0]

    def answer(self, status: int = 200, body: bytes | None = None) -> list:
        """Bob answers."""
        answer = sdp(BOB, 7000, "bob") if body is None else body
        return self.world.say(BOB, reply(self.forwarded, status, BOB, "bob", answer))

    def test_order_of_actions(self) -> None:
        """100 at once; both ports are open before the INVITE that mentions them leaves."""
        self.assertEqual(
            summary(self.first),
            [
                "100 -> tokyo 192.168.1.10:5060",
                "Busy tokyo",
                "OpenPorts tokyo [30000]",
                "OpenPorts outside [20000]",
                "StartTimer c",
                "INVITE -> outside 203.0.113.20:5060",
            ],
        )

    def test_nothing_of_the_inside_in_sdp_and_via(self) -> None:
        """Bob's INVITE names HRAS only."""
        self.assertIn(b"c=IN IP4 203.0.113.10\r\n", self.forwarded.body)
        self.assertIn(b"m=audio 20000 RTP/AVP 0", self.forwarded.body)
        self.assertNotIn(b"192.168", self.forwarded.body)
        self.assertEqual([via.host for via in self.forwarded.vias], [HRAS])

    def test_rat_row_complete_after_the_answer(self) -> None:
        """The row of the papers: IIP, IPort, OIP, OPort."""
        self.answer()
        (row,) = [row.as_dict() for row in self.world.table.rows()]
        names = ("To", "From", "Call-ID", "IIP", "IPort", "OIP", "OPort")
        self.assertEqual(
            [row[name] for name in names],
            ["bob", "alice", "call", "192.168.1.10", 4000, "203.0.113.20", 7000],
        )

    def test_answer_goes_back_with_hracs_address(self) -> None:
        """Alice sees HRAC as bob's media address, and her own Via."""
        ok = responses_in(self.answer())[0]
        self.assertEqual(ok.status, 200)
        self.assertIn(b"c=IN IP4 192.168.1.2\r\n", ok.body)
        self.assertIn(b"m=audio 30000 RTP/AVP 0", ok.body)
        self.assertEqual(ok.via.host, "192.168.1.10")

    def routes(self, message: Response | Request, backwards: bool) -> str:
        """The Route headers of a later request, from the Record-Routes a party saw."""
        values = message.headers.all("Record-Route")
        ordered = values[::-1] if backwards else values
        return "".join(f"Route: {value}\r\n" for value in ordered)

    def test_ack_and_bye_of_the_caller(self) -> None:
        """ACK and BYE find bob by the token alone; BYE frees rows and ports, in order."""
        ok = responses_in(self.answer())[0]
        routes = self.routes(ok, backwards=True)
        target = "sip:bob@203.0.113.20:5060"
        ack = request("ACK", target, ALICE, "alice", "bob@example.com", "bob", 2, headers=routes)
        self.assertEqual(summary(self.world.say(ALICE, ack)), ["ACK -> outside 203.0.113.20:5060"])
        bye = request("BYE", target, ALICE, "alice", "bob@example.com", "bob", 3, headers=routes)
        forwarded = self.world.say(ALICE, bye)
        self.assertEqual(summary(forwarded), ["BYE -> outside 203.0.113.20:5060"])
        done = self.world.say(BOB, reply(requests_in(forwarded)[0], 200, BOB, "bob"))
        self.assertEqual(
            summary(done),
            [
                "200 -> tokyo 192.168.1.10:5060",
                "ClosePorts tokyo [30000]",
                "ClosePorts outside [20000]",
                "Busy tokyo",
                "Note",
            ],
        )
        self.assertEqual((len(self.world.calls), len(self.world.table)), (0, 0))

    def test_bye_of_the_callee(self) -> None:
        """Bob's BYE goes through the tunnel to alice."""
        self.answer()
        routes = self.routes(self.forwarded, backwards=False)
        bye = request(
            "BYE", "sip:alice@192.168.1.10:5060", BOB, "bob", "alice@example.com", "alice", 9, headers=routes
        )
        self.assertEqual(summary(self.world.say(BOB, bye)), ["BYE -> tokyo 192.168.1.10:5060"])

    def test_a_token_of_somebody_else_opens_nothing(self) -> None:
        """A forged token is refused, not routed."""
        route = f"Route: <sip:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@{HRAS}:5060;lr>\r\n"
        bye = request("BYE", "sip:x@10.0.0.1", BOB, "eve", "alice@example.com", "alice", 9, headers=route)
        self.assertEqual(responses_in(self.world.say(BOB, bye))[0].status, 403)

    def test_refused_call_frees_everything(self) -> None:
        """486 goes back to alice; the row and both ports are free."""
        done = self.world.say(BOB, reply(self.forwarded, 486, BOB, "bob"))
        self.assertIn("486 -> tokyo 192.168.1.10:5060", summary(done))
        self.assertEqual((len(self.world.calls), len(self.world.table)), (0, 0))

    def test_unreadable_answer_is_not_let_through(self) -> None:
        """An answer whose SDP cannot be read fails the call with 488."""
        done = self.answer(body=b"v=0\r\nm=audio nonsense\r\n")
        self.assertIn(488, [response.status for response in responses_in(done)])
        self.assertEqual(len(self.world.table), 0)

    def test_cancel_before_and_after_ringing(self) -> None:
        """CANCEL is answered at once; bob's CANCEL waits for his first provisional response."""
        # The caller's INVITE was sent twice (before and after the challenge); the second one counts.
        cancel = request(
            "CANCEL", "sip:bob@example.com", ALICE, "alice", cseq=2, branch="againINVITE1alicecall"
        )
        self.assertEqual(summary(self.world.say(ALICE, cancel)), ["200 -> tokyo 192.168.1.10:5060"])
        ringing = self.world.say(BOB, reply(self.forwarded, 180, BOB, "bob"))
        self.assertIn("CANCEL -> outside 203.0.113.20:5060", summary(ringing))
        done = self.world.say(BOB, reply(self.forwarded, 487, BOB, "bob"))
        self.assertIn("487 -> tokyo 192.168.1.10:5060", summary(done))
        self.assertEqual(len(self.world.table), 0)

    def test_silence_frees_the_rows(self) -> None:
        """A call whose both phones died is over after the silence limit."""
        self.answer()
        self.world.later(59, ("sweep",))
        self.assertEqual(len(self.world.table), 1)
        self.world.later(5, ("sweep",))
        self.assertEqual((len(self.world.calls), len(self.world.table)), (0, 0))

    def test_hold_moves_and_restores(self) -> None:
        """A re-INVITE sets the same row anew; one that is refused leaves the row as it was."""
        ok = responses_in(self.answer())[0]
        routes = self.routes(ok, backwards=True)
        for status, port in ((200, 4444), (488, 4444)):
            new_port = port if status == 200 else 5555
            again = request(
                "INVITE", "sip:bob@203.0.113.20:5060", ALICE, "alice", "bob@example.com", "bob", status,
                headers=routes, body=sdp(ALICE, new_port, extra="a=sendonly\r\n"),
            )  # fmt: skip
            forwarded = requests_in(self.world.say(ALICE, again))[0]
            self.assertIn(b"m=audio 20000", forwarded.body)
            self.world.say(
                BOB, reply(forwarded, status, BOB, "bob", sdp(BOB, 7000) if status == 200 else b"")
            )
            (row,) = self.world.table.rows()
            self.assertEqual(row.caller.terminal, Address("192.168.1.10", port))


class OtherDirections(SynchronousTestCase):
    """Outside to inside, inside to inside, site to site, and beyond."""

    def test_outside_to_inside(self) -> None:
        """Bob calls alice: the INVITE goes through tokyo's tunnel and shows HRAC."""
        actions = invite(World(), "bob", BOB, "alice")
        (forwarded,) = requests_in(actions)
        self.assertIn("INVITE -> tokyo 192.168.1.10:5060", summary(actions))
        self.assertIn(f"c=IN IP4 {HRAC}".encode(), forwarded.body)
        self.assertEqual(forwarded.via.host, HRAC)

    def test_inside_to_inside_is_left_alone(self) -> None:
        """Two phones of one site: no Record-Route, SDP untouched, no row (paper 002 §3.5)."""
        world = World()
        actions = invite(world, "alice", ALICE, "carol")
        (forwarded,) = requests_in(actions)
        self.assertEqual(forwarded.headers.all("Record-Route"), ())
        self.assertEqual(forwarded.body, sdp(ALICE, 4000, "alice"))
        self.assertEqual((len(world.calls), len(world.table)), (0, 0))
        ok = world.say(CAROL, reply(forwarded, 200, CAROL, "carol", sdp(CAROL, 6000)))
        self.assertEqual(responses_in(ok)[0].body, sdp(CAROL, 6000))

    def test_site_to_site_with_the_same_private_addresses(self) -> None:
        """Alice in tokyo and dave in osaka share an address; the leg tells them apart."""
        world = World()
        actions = invite(world, "alice", ALICE, "dave")
        self.assertIn("INVITE -> osaka 192.168.1.10:5060", summary(actions))
        opened = [action for action in actions if isinstance(action, OpenPorts)]
        self.assertEqual(opened, [OpenPorts("tokyo", (30000,)), OpenPorts("osaka", (30000,))])
        (forwarded,) = requests_in(actions)
        world.say(DAVE, reply(forwarded, 200, DAVE, "dave", sdp(DAVE, 6000)))
        (row,) = world.table.rows()
        self.assertEqual((row.caller.leg, row.callee.leg), ("tokyo", "osaka"))

    def test_outside_to_outside_is_not_relayed(self) -> None:
        """Two phones outside: routed through us, media between themselves."""
        world = World()
        other = Flow(OUTSIDE, Transport.UDP, Address("203.0.113.21", 5060), 5060)
        world.register("bob")
        data = request("REGISTER", "sip:example.com", other, "carol", "carol@example.com")
        world.login(other, data, "carol")
        offer = sdp(BOB)
        (forwarded,) = requests_in(
            world.login(BOB, request("INVITE", "sip:carol@example.com", BOB, "bob", body=offer), "bob")
        )
        self.assertEqual((forwarded.body, len(world.table)), (offer, 0))
        self.assertEqual(len(forwarded.headers.all("Record-Route")), 2)

    def test_a_foreign_domain_is_looked_up(self) -> None:
        """A local user may call anywhere; the name is resolved first, the call goes on when it is known."""
        world = World()
        world.register("alice")
        data = request("INVITE", "sip:joe@elsewhere.org:5070", ALICE, "alice", body=sdp(ALICE))
        actions = world.login(ALICE, data, "alice")
        (look_up,) = [action for action in actions if isinstance(action, Resolve)]
        self.assertEqual((look_up.place, look_up.ipv6), (Wanted("elsewhere.org", 5070), False))
        found = (Destination(Transport.UDP, "198.51.100.7", 5070),)
        going = world.core.resolved(look_up.key, found, world.now)
        self.assertIn("INVITE -> outside 198.51.100.7:5070", summary(going))

    def test_a_name_that_does_not_resolve(self) -> None:
        """No address: the call fails and nothing stays."""
        world = World()
        world.register("alice")
        data = request("INVITE", "sip:joe@elsewhere.org", ALICE, "alice", body=sdp(ALICE))
        actions = world.login(ALICE, data, "alice")
        (look_up,) = [action for action in actions if isinstance(action, Resolve)]
        done = world.core.resolved(look_up.key, (), world.now)
        self.assertEqual([response.status for response in responses_in(done)], [500])
        self.assertEqual(len(world.table), 0)

    def test_fork_to_two_phones(self) -> None:
        """Two contacts ring; the one that answers wins, the other is cancelled, its row freed."""
        world = World()
        world.register("alice")
        second = Flow(OUTSIDE, Transport.UDP, Address("203.0.113.21", 5060), 5060)
        for flow in (BOB, second):
            data = request(
                "REGISTER",
                "sip:example.com",
                flow,
                "bob",
                "bob@example.com",
                call_id=f"reg-{flow.remote.host}",
            )
            world.login(flow, data, "bob")
        offer = request("INVITE", "sip:bob@example.com", ALICE, "alice", body=sdp(ALICE))
        one, two = requests_in(world.login(ALICE, offer, "alice"))
        self.assertEqual(len(world.table), 2)
        world.say(BOB, reply(one, 180, BOB, "bob1"))
        world.say(second, reply(two, 180, second, "bob2"))
        done = world.say(BOB, reply(one, 200, BOB, "bob1", sdp(BOB, 7000)))
        self.assertIn("200 -> tokyo 192.168.1.10:5060", summary(done))
        self.assertIn("CANCEL -> outside 203.0.113.21:5060", summary(done))
        world.say(second, reply(two, 487, second, "bob2"))
        self.assertEqual((len(world.calls), len(world.table)), (1, 1))

    def test_outbound_proxy_routes(self) -> None:
        """A preloaded Route to us is taken off, then the Request-URI decides."""
        actions = invite(World(), "alice", ALICE, "bob", headers=f"Route: <sip:{HRAC};lr>\r\n")
        (forwarded,) = requests_in(actions)
        self.assertEqual(forwarded.headers.all("Route"), ())
        self.assertIn("INVITE -> outside 203.0.113.20:5060", summary(actions))


class BadInput(SynchronousTestCase):
    """Answered or counted, never raised."""

    def test_cases(self) -> None:
        """What comes back for each kind of fault."""
        good = request("OPTIONS", "sip:example.com", BOB, "eve")
        cases = [
            ("options to ourselves", good, [200]),
            (
                "no hops left",
                good.replace(b"Forwards: 70", b"Forwards: 0").replace(b"OPTIONS", b"MESSAGE"),
                [483],
            ),
            ("unknown extension", good.replace(b"Max-", b"Proxy-Require: teleport\r\nMax-"), [420]),
            ("method mismatch", good.replace(b"1 OPTIONS", b"1 INVITE"), [400]),
            ("no hope", b"\x00\x01\x02", []),
            ("a stray response", reply(_parsed(good), 200, BOB, "bob"), []),
            ("an ACK for nothing", request("ACK", "sip:alice@example.com", BOB, "eve"), []),
            ("a CANCEL for nothing", request("CANCEL", "sip:alice@example.com", BOB, "eve"), [481]),
            ("keep-alive", b"\r\n\r\n", []),
        ]
        for name, data, statuses in cases:
            with self.subTest(name):
                world = World()
                self.assertEqual([r.status for r in responses_in(world.say(BOB, data))], statuses)

    def test_offer_that_cannot_be_read(self) -> None:
        """488 rather than private addresses let through."""
        world = World()
        actions = invite(world, "alice", ALICE, "bob", body=b"v=0\r\nm=audio x\r\n")
        self.assertEqual([r.status for r in responses_in(actions)], [100, 488])
        self.assertEqual((requests_in(actions), len(world.calls)), ([], 0))

    def test_loop(self) -> None:
        """Our own request that comes back unchanged is a loop (§16.3 step 4)."""
        world = World()
        world.register("bob")
        data = request("MESSAGE", "sip:bob@example.com", ALICE, "eve").replace(
            b"eve@example.com", b"eve@x.org"
        )
        (forwarded,) = requests_in(world.say(ALICE, data))
        back = evolve(forwarded, uri="sip:bob@example.com")
        lines = [f"MESSAGE {back.uri} SIP/2.0"] + [f"{name}: {value}" for name, value in back.headers.fields]
        answer = world.say(BOB, ("\r\n".join(lines) + "\r\n\r\n").encode())
        self.assertEqual([r.status for r in responses_in(answer)], [482])


def _parsed(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message
