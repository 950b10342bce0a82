"""More conversations: repetitions, timers, early dialogs, races, and that nothing is left behind."""

from __future__ import annotations

import gc

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow import signalling
from sofw.flow.actions import Action, ClosePorts, OpenPorts, Resolve, SaveBindings
from sofw.rtp.table import Row
from sofw.sip.locate import Destination
from sofw.sip.message import Request, Response
from tests.flow.test_signalling import invite, requests_in, responses_in
from tests.flow.world import ALICE, BOB, CAROL, World, reply, request, sdp, sent, summary

#: Every timer of RFC 3261 has run out after this long: Timer C, then 64*T1 twice.
LONG = 181 + 32 + 32 + 1
#: The caller's INVITE as it was admitted: sent again with credentials by `World.login`.
ADMITTED = "againINVITE1alicecall"
BOBS = "sip:bob@203.0.113.20:5060"
BOB2 = Flow(OUTSIDE, Transport.UDP, Address("203.0.113.21", 5060), 5060)
TCP_ALICE = Flow("tokyo", Transport.TCP, Address("192.168.1.10", 40001), 5060)
TCP_BOB = Flow(OUTSIDE, Transport.TCP, Address("203.0.113.20", 40002), 5060)


def statuses(actions: list[Action]) -> list[int]:
    """The statuses of the responses sent."""
    return [response.status for response in responses_in(actions)]


def methods(actions: list[Action]) -> list[str]:
    """The methods of the requests sent."""
    return [message.method for message in requests_in(actions)]


def ports(row: Row) -> tuple[Address | None, Address | None]:
    """Where the row's two terminals are."""
    return row.caller.terminal, row.callee.terminal


class Conversation(SynchronousTestCase):
    """Alice in tokyo has invited bob outside."""

    body: bytes | None = None

    def setUp(self) -> None:
        self.world = World()
        self.first = invite(self.world, "alice", ALICE, "bob", self.body)
        self.forwarded = requests_in(self.first)[0]

    def bob(
        self, status: int, body: bytes = b"", tag: str = "bob", to: Request | None = None
    ) -> list[Action]:
        """Bob responds."""
        return self.world.say(BOB, reply(to or self.forwarded, status, BOB, tag, body))

    def alice(
        self, method: str, cseq: int, body: bytes = b"", tag: str = "bob", branch: str = ""
    ) -> list[Action]:
        """Alice says something within the dialog."""
        headers = "".join(f"Route: {value}\r\n" for value in self.forwarded.headers.all("Record-Route")[::-1])
        data = request(
            method,
            BOBS,
            ALICE,
            "alice",
            "bob@example.com",
            tag,
            cseq,
            headers=headers,
            body=body,
            branch=branch,
        )
        return self.world.say(ALICE, data)

    def cancel(self) -> list[Action]:
        """Alice hangs up before bob answers."""
        return self.world.say(
            ALICE, request("CANCEL", "sip:bob@example.com", ALICE, "alice", cseq=2, branch=ADMITTED)
        )

    def talk(self) -> Response:
        """Bob answers and alice acknowledges; returns the 200 alice saw."""
        ok = responses_in(self.bob(200, sdp(BOB, 7000)))[0]
        self.alice("ACK", 2)
        return ok

    @property
    def row(self) -> Row:
        """The only row."""
        (row,) = self.world.table.rows()
        return row

    def assert_nothing_left(self) -> None:
        """Once every timer has run out, no transaction, way, call, row or port is kept."""
        self.world.run_timers(LONG)
        core = self.world.core
        left = (len(core._transactions), len(core._forwarding), len(core._forwarding._jobs))
        self.assertEqual(left, (0, 0, 0))
        self.assertEqual((len(self.world.calls), len(self.world.table), self.world.timers), (0, 0, {}))
        self.assertEqual([leg.ports.taken for leg in self.world.calls._legs.values()], [0, 0, 0])


class Repetitions(Conversation):
    """What comes twice is absorbed or answered again, not done again."""

    def test_invite_again(self) -> None:
        """The same INVITE again gets the last response again and is not forwarded again."""
        again = request("INVITE", "sip:bob@example.com", ALICE, "alice", cseq=2, branch=ADMITTED)
        self.assertEqual(summary(self.world.say(ALICE, again)), ["100 -> tokyo 192.168.1.10:5060"])
        self.bob(180)
        self.assertEqual(summary(self.world.say(ALICE, again)), ["180 -> tokyo 192.168.1.10:5060"])

    def test_invite_goes_out_again_until_something_comes(self) -> None:
        """Timer A repeats the INVITE over UDP; a 100 stops it."""
        self.assertEqual(methods(self.world.run_timers(1.6)), ["INVITE", "INVITE"])
        self.bob(100)
        self.assertEqual(methods(self.world.run_timers(10)), [])

    def test_200_again_until_ack(self) -> None:
        """Each repetition of bob's 200 goes to alice (RFC 6026 §7.1); the call stays one."""
        for _ in range(3):
            self.assertEqual(statuses(self.bob(200, sdp(BOB, 7000))), [200])
        self.assertEqual((len(self.world.calls), len(self.world.table)), (1, 1))

    def test_200_after_bye_opens_nothing(self) -> None:
        """A 200 that comes once more after the BYE neither brings rows back nor shows bob's address."""
        self.talk()
        (bye,) = requests_in(self.alice("BYE", 3))
        self.bob(200, to=bye)
        self.assertEqual(summary(self.bob(200, sdp(BOB, 7000))), ["StopTimer c"] * 2)
        self.assertEqual((len(self.world.calls), len(self.world.table)), (0, 0))
        self.assert_nothing_left()

    def test_bye_again(self) -> None:
        """The BYE again is absorbed; the 200 to it is repeated from memory."""
        self.talk()
        (bye,) = requests_in(self.alice("BYE", 3))
        self.assertEqual(summary(self.alice("BYE", 3)), [])
        self.bob(200, to=bye)
        self.assertEqual(statuses(self.alice("BYE", 3)), [200])

    def test_ack_again_is_forwarded_again(self) -> None:
        """An ACK for a 2xx has no transaction: each goes to bob."""
        self.bob(200, sdp(BOB, 7000))
        for _ in range(2):
            self.assertEqual(methods(self.alice("ACK", 2)), ["ACK"])

    def test_refusal_is_acknowledged_and_repeated(self) -> None:
        """We ACK bob's 486 each time; ours to alice is repeated until her ACK."""
        self.assertEqual(methods(self.bob(486)), ["ACK"])
        self.assertEqual(methods(self.bob(486)), ["ACK"])
        self.assertEqual(statuses(self.world.run_timers(0.6)), [486])
        self.world.say(ALICE, request("ACK", "sip:bob@example.com", ALICE, "alice", cseq=2, branch=ADMITTED))
        self.assertEqual(statuses(self.world.run_timers(10)), [])
        self.assert_nothing_left()


class Garbage(Conversation):
    """What a half that runs for months must not pile up."""

    def test_no_cycles(self) -> None:
        """A call leaves nothing that refers to itself, so that no search is needed to free it."""
        gc.collect()
        self.addCleanup(gc.enable)
        gc.disable()
        self.talk()
        self.bob(200, to=requests_in(self.alice("BYE", 3))[0])
        self.world.run_timers(LONG)
        self.assertEqual(gc.collect(), 0)


class Leftovers(Conversation):
    """Whatever becomes of a call, nothing is left of it when its timers have run out."""

    def test_nobody_answers_at_all(self) -> None:
        """Timer B: 408 to the caller."""
        self.assertEqual(set(statuses(self.world.run_timers(33))), {408})
        self.assert_nothing_left()

    def test_it_rings_for_ever(self) -> None:
        """Timer C: bob is cancelled; when he does not even answer that, the caller is refused."""
        self.bob(180)
        rung = self.world.run_timers(182)
        self.assertEqual(methods(rung)[:1], ["CANCEL"])
        self.assertEqual(statuses(self.world.run_timers(33))[:1], [487])
        self.assert_nothing_left()

    def test_ringing_again_prolongs(self) -> None:
        """Each provisional response but 100 sets Timer C anew (§16.7 step 2)."""
        self.bob(180)
        self.world.run_timers(170)
        self.bob(180)
        self.assertEqual(methods(self.world.run_timers(170)), [])

    def test_ringing_after_the_cancel_does_not(self) -> None:
        """A branch that was cancelled has 64*T1 left, however often it still rings."""
        self.bob(180)
        self.cancel()
        self.bob(180)
        self.assertEqual(statuses(self.world.run_timers(33))[:1], [487])
        self.assert_nothing_left()

    def test_cancel_before_any_answer(self) -> None:
        """Bob never hears of it; Timer B ends the branch."""
        self.cancel()
        self.assert_nothing_left()

    def test_cancel_races_the_answer(self) -> None:
        """Bob's 200 crosses the CANCEL: it goes to alice all the same, who will say BYE."""
        self.bob(180)
        self.assertEqual(methods(self.cancel()), ["CANCEL"])
        self.assertEqual(statuses(self.bob(200, sdp(BOB, 7000))), [200])
        self.assertEqual(len(self.world.calls), 1)
        (bye,) = requests_in(self.alice("BYE", 3))
        self.bob(200, to=bye)
        self.assert_nothing_left()

    def test_cancel_after_the_answer(self) -> None:
        """A CANCEL that comes after the 200 is answered and does nothing (§9.2)."""
        self.bob(200, sdp(BOB, 7000))
        self.assertEqual(summary(self.cancel()), ["200 -> tokyo 192.168.1.10:5060"])
        self.assertEqual(len(self.world.calls), 1)

    def test_bye_answered_481_or_not_at_all(self) -> None:
        """The call is over for us, whatever bob thinks of it."""
        for status in (481, 500, None):
            with self.subTest(status):
                self.setUp()
                self.talk()
                (bye,) = requests_in(self.alice("BYE", 3))
                if status is not None:
                    self.bob(status, to=bye)
                self.assert_nothing_left()

    def test_bye_that_must_be_authenticated(self) -> None:
        """A BYE answered 407 by the far side ends nothing: it will come again."""
        self.talk()
        (bye,) = requests_in(self.alice("BYE", 3))
        self.bob(407, to=bye)
        self.assertEqual(len(self.world.calls), 1)

    def test_byes_that_cross(self) -> None:
        """Both hang up at once: each BYE is answered."""
        self.talk()
        (bye,) = requests_in(self.alice("BYE", 3))
        routes = "".join(f"Route: {value}\r\n" for value in self.forwarded.headers.all("Record-Route"))
        data = request(
            "BYE", "sip:alice@192.168.1.10", BOB, "bob", "alice@example.com", "alice", 9, headers=routes
        )
        (other,) = requests_in(self.world.say(BOB, data))
        self.assertEqual(statuses(self.bob(200, to=bye)), [200])
        self.assertEqual(statuses(self.world.say(ALICE, reply(other, 200, ALICE, "alice"))), [200])
        self.assert_nothing_left()

    def test_re_invite_that_is_never_answered(self) -> None:
        """A re-INVITE has a Timer C too; the call itself goes on."""
        self.talk()
        (again,) = requests_in(self.alice("INVITE", 3, sdp(ALICE, 5555)))
        self.bob(180, to=again)
        done = self.world.run_timers(LONG)
        self.assertIn(487, statuses(done))
        self.assertEqual(len(self.world.core._transactions), 0)
        self.assertEqual(ports(self.row), (Address("192.168.1.10", 4000), Address("203.0.113.20", 7000)))

    def test_a_deleted_site(self) -> None:
        """Its calls end at once, ringing or up, and its phones are forgotten."""
        for up in (False, True):
            with self.subTest(up=up):
                self.setUp()
                if up:
                    self.talk()
                actions = self.world.noted(self.world.core.site_gone("tokyo", self.world.now))
                closed = [action.leg for action in actions if isinstance(action, ClosePorts)]
                self.assertEqual(closed, ["tokyo", OUTSIDE])
                saved = sorted(action.aor for action in actions if isinstance(action, SaveBindings))
                self.assertEqual(saved, ["alice@example.com", "carol@example.com"])
                self.assertEqual((len(self.world.calls), len(self.world.table)), (0, 0))

    def test_an_answer_after_the_site_was_deleted(self) -> None:
        """Bob answers a call that is gone: the INVITE still comes to an end."""
        self.world.noted(self.world.core.site_gone("tokyo", self.world.now))
        self.assertEqual(statuses(self.bob(180)), [180])
        self.assertEqual(statuses(self.bob(200, sdp(BOB, 7000))), [481])
        self.world.run_timers(LONG)
        self.assertEqual((len(self.world.core._transactions), len(self.world.core._forwarding)), (0, 0))

    def test_early_answer_that_cannot_be_read(self) -> None:
        """A 183 whose SDP is nonsense fails the call; bob does not ring on."""
        done = self.bob(183, b"v=0\r\nm=audio nonsense\r\n")
        self.assertEqual((statuses(done), methods(done)), ([488], ["CANCEL"]))
        self.bob(487)
        self.assert_nothing_left()


class InsideOnly(SynchronousTestCase):
    """A call between two phones of one site, which has no row."""

    def test_it_rings_for_ever(self) -> None:
        """Timer C runs for it as for every INVITE (§16.6 step 11)."""
        world = World()
        (forwarded,) = requests_in(invite(world, "alice", ALICE, "carol"))
        world.say(CAROL, reply(forwarded, 180, CAROL, "carol"))
        done = world.run_timers(LONG)
        self.assertIn("CANCEL", methods(done))
        self.assertIn(487, statuses(done))
        self.assertEqual((len(world.core._transactions), world.timers), (0, {}))


class Dialogs(Conversation):
    """What happens within a dialog, early or confirmed."""

    def test_early_media(self) -> None:
        """The SDP of a 183 completes the row before bob answers."""
        early = responses_in(self.bob(183, sdp(BOB, 7000)))[0]
        self.assertIn(b"c=IN IP4 192.168.1.2\r\n", early.body)
        self.assertEqual(ports(self.row), (Address("192.168.1.10", 4000), Address("203.0.113.20", 7000)))
        self.assertEqual(self.world.calls.all()[0].state, "ringing")

    def test_prack_and_update(self) -> None:
        """Both carry SDP across, before and after the answer."""
        self.bob(183, sdp(BOB, 7000))
        for number, method in ((3, "PRACK"), (4, "UPDATE")):
            (sent_on,) = requests_in(self.alice(method, number, sdp(ALICE, 4000 + number * 2)))
            self.assertIn(b"m=audio 20000", sent_on.body)
            (ok,) = responses_in(self.bob(200, sdp(BOB, 7000 + number * 2), to=sent_on))
            self.assertIn(b"m=audio 30000", ok.body)
            expected = Address("192.168.1.10", 4000 + number * 2), Address("203.0.113.20", 7000 + number * 2)
            self.assertEqual(ports(self.row), expected)

    def test_sdp_of_an_unknown_dialog_is_not_let_through(self) -> None:
        """UPDATE with an SDP for a call we do not have: 481; ACK with one: dropped."""
        self.bob(180)
        refused = self.alice("UPDATE", 3, sdp(ALICE), tag="somebody")
        self.assertEqual((statuses(refused), methods(refused)), ([481], []))
        self.assertEqual(methods(self.alice("ACK", 2, sdp(ALICE), tag="somebody")), [])
        self.assertEqual(methods(self.alice("INFO", 4, tag="somebody")), ["INFO"])

    def test_re_invite_of_a_call_that_was_lost(self) -> None:
        """After a restart the rows are made anew by the next re-INVITE."""
        self.talk()
        (call,) = self.world.calls.all()
        self.world.calls.end(call, "test", self.world.now)
        (again,) = requests_in(self.alice("INVITE", 3, sdp(ALICE, 5000)))
        self.assertIn(b"c=IN IP4 203.0.113.10", again.body)
        self.bob(200, sdp(BOB, 7000), to=again)
        self.assertEqual(ports(self.row), (Address("192.168.1.10", 5000), Address("203.0.113.20", 7000)))
        (bye,) = requests_in(self.alice("BYE", 4))
        self.bob(200, to=bye)
        self.assert_nothing_left()

    def test_first_re_invite_refused(self) -> None:
        """The session stays as it was agreed, not as it was before there was one (RFC 3261 §14.1)."""
        self.talk()
        (again,) = requests_in(self.alice("INVITE", 3, sdp(ALICE, 5555, extra="a=inactive\r\n")))
        self.bob(488, to=again)
        self.assertEqual(ports(self.row), (Address("192.168.1.10", 4000), Address("203.0.113.20", 7000)))
        self.assertFalse(self.row.held)

    def test_refused_info_does_not_disturb_a_re_invite(self) -> None:
        """What another request is answered says nothing about the offer under way."""
        self.talk()
        (again,) = requests_in(self.alice("INVITE", 3, sdp(ALICE, 5555)))
        (info,) = requests_in(self.alice("INFO", 4))
        self.bob(415, to=info)
        self.assertEqual(self.row.caller.terminal, Address("192.168.1.10", 5555))
        self.bob(200, sdp(BOB, 7000), to=again)
        self.assertEqual(self.row.caller.terminal, Address("192.168.1.10", 5555))

    def test_switching_a_stream_off_takes_effect_when_agreed(self) -> None:
        """A re-INVITE with port 0 that is refused leaves the stream; one that is accepted frees it."""
        self.talk()
        (again,) = requests_in(self.alice("INVITE", 3, sdp(ALICE, 0)))
        self.assertIn(b"m=audio 0 ", again.body)
        self.bob(488, to=again)
        self.assertEqual(len(self.world.table), 1)
        (again,) = requests_in(self.alice("INVITE", 4, sdp(ALICE, 0)))
        done = self.bob(200, sdp(BOB, 0), to=again)
        self.assertEqual([a.leg for a in done if isinstance(a, ClosePorts)], ["tokyo", OUTSIDE])
        self.assertEqual(len(self.world.table), 0)

    def test_a_stream_added_in_vain(self) -> None:
        """A refused re-INVITE gives the ports of its new stream back."""
        self.talk()
        two = sdp(ALICE, 4000, extra="m=video 4002 RTP/AVP 96\r\n")
        (again,) = requests_in(self.alice("INVITE", 3, two))
        self.assertEqual(len(self.world.table), 2)
        done = self.bob(488, to=again)
        self.assertEqual(len([a for a in done if isinstance(a, ClosePorts)]), 2)
        self.assertEqual(len(self.world.table), 1)

    def test_fork_behind_us(self) -> None:
        """Two early dialogs on one branch: both may PRACK, the first 200 makes the call."""
        self.bob(183, sdp(BOB, 7000), tag="b1")
        self.bob(183, sdp(BOB, 7100), tag="b2")
        (prack,) = requests_in(self.alice("PRACK", 3, sdp(ALICE), tag="b1"))
        self.assertIn(b"c=IN IP4 203.0.113.10", prack.body)
        self.bob(200, sdp(BOB, 7200), tag="b1")
        self.assertEqual((self.row.to_tag, self.row.callee.terminal), ("b1", Address("203.0.113.20", 7200)))

    def test_second_answer_of_a_fork_behind_us(self) -> None:
        """Alice says BYE to the one who came second: the first dialog keeps its media."""
        self.bob(200, sdp(BOB, 7000), tag="b1")
        (second,) = responses_in(self.bob(200, sdp(BOB, 7100), tag="b2"))
        self.assertIn(b"c=IN IP4 192.168.1.2\r\n", second.body)
        self.alice("ACK", 2, tag="b2")
        (bye,) = requests_in(self.alice("BYE", 3, tag="b2"))
        self.bob(200, tag="b2", to=bye)
        self.assertEqual((self.row.to_tag, self.row.callee.terminal), ("b1", Address("203.0.113.20", 7000)))
        (bye,) = requests_in(self.alice("BYE", 4, tag="b1"))
        self.bob(200, tag="b1", to=bye)
        self.assert_nothing_left()


class DelayedOffer(Conversation):
    """INVITE without SDP: the offer comes in the 200, the answer in the ACK."""

    body = b""

    def test_the_whole_way(self) -> None:
        """The row is made by bob's offer and completed by alice's ACK."""
        self.assertEqual(len(self.world.table), 0)
        done = self.bob(200, sdp(BOB, 7000))
        self.assertEqual(len([a for a in done if isinstance(a, OpenPorts)]), 2)
        self.assertIn(b"m=audio 30000", responses_in(done)[0].body)
        self.assertEqual(ports(self.row), (None, Address("203.0.113.20", 7000)))
        (ack,) = requests_in(self.alice("ACK", 2, sdp(ALICE, 4000)))
        self.assertIn(b"m=audio 20000", ack.body)
        self.assertEqual(ports(self.row), (Address("192.168.1.10", 4000), Address("203.0.113.20", 7000)))
        self.assertEqual(self.row.to_tag, "bob")

    def test_refused_re_invite_leaves_what_the_ack_said(self) -> None:
        """What an ACK carries needs no agreement any more."""
        self.bob(200, sdp(BOB, 7000))
        self.alice("ACK", 2, sdp(ALICE, 4000))
        (again,) = requests_in(self.alice("INVITE", 3, sdp(ALICE, 5555)))
        self.bob(488, to=again)
        self.assertEqual(self.row.caller.terminal, Address("192.168.1.10", 4000))


class Forks(SynchronousTestCase):
    """Bob has two phones."""

    def setUp(self) -> None:
        self.world = World()
        self.world.register("alice")
        for flow in (BOB, BOB2):
            host = flow.remote.host
            data = request("REGISTER", "sip:example.com", flow, "bob", "bob@example.com", call_id=host)
            self.world.login(flow, data, "bob")
        offer = request("INVITE", "sip:bob@example.com", ALICE, "alice", body=sdp(ALICE))
        self.one, self.two = requests_in(self.world.login(ALICE, offer, "alice"))

    def left(self) -> tuple[int, ...]:
        """What is left when all timers have run out."""
        self.world.run_timers(LONG)
        core = self.world.core
        return len(core._transactions), len(core._forwarding), len(self.world.calls), len(self.world.table)

    def test_nobody_answers(self) -> None:
        """Timer B on both: one 408, all rows freed."""
        self.assertEqual(len(self.world.table), 2)
        done = self.world.run_timers(32.5)
        self.assertEqual(statuses(done)[:1], [408])
        self.assertEqual(len(self.world.table), 0)
        self.assertEqual(self.left(), (0, 0, 0, 0))

    def test_one_declines_for_all(self) -> None:
        """6xx: the other phone is cancelled, the 603 is sent when it is done (§16.7 step 5)."""
        self.world.say(BOB2, reply(self.two, 180, BOB2, "b2"))
        done = self.world.say(BOB, reply(self.one, 603, BOB, "b1"))
        self.assertEqual((methods(done), statuses(done)), (["ACK", "CANCEL"], []))
        done = self.world.say(BOB2, reply(self.two, 487, BOB2, "b2"))
        self.assertEqual(statuses(done), [603])
        self.assertEqual(self.left(), (0, 0, 0, 0))

    def test_busy_then_answered(self) -> None:
        """A refusal waits for the other phone, whose answer wins."""
        done = self.world.say(BOB, reply(self.one, 486, BOB, "b1"))
        self.assertEqual(statuses(done), [])
        done = self.world.say(BOB2, reply(self.two, 200, BOB2, "b2", sdp(BOB2, 7000)))
        self.assertEqual(statuses(done), [200])
        self.assertEqual(len(self.world.table), 1)

    def test_both_answer(self) -> None:
        """Two 200s that cross: both go to alice, each call has its row until its BYE."""
        self.world.say(BOB, reply(self.one, 200, BOB, "b1", sdp(BOB, 7000)))
        done = self.world.say(BOB2, reply(self.two, 200, BOB2, "b2", sdp(BOB2, 7000)))
        self.assertEqual((statuses(done), len(self.world.table)), ([200], 2))

    def test_unreachable_phone(self) -> None:
        """A branch that cannot be sent counts as 503 and leaves no row; the other one rings on."""
        key = next(k for k in self.world.core._forwarding._ways if "id" in str(k))
        self.world.noted(self.world.core.failed(key, self.world.now))
        self.assertEqual(len(self.world.table), 1)
        done = self.world.say(BOB2, reply(self.two, 486, BOB2, "b2"))
        self.assertEqual(statuses(done), [486])
        self.assertEqual(self.left(), (0, 0, 0, 0))


class OverTcp(SynchronousTestCase):
    """Both phones on TCP: nothing is repeated, answers take the connection they came for."""

    def setUp(self) -> None:
        self.world = World()
        for user, flow in (("alice", TCP_ALICE), ("bob", TCP_BOB)):
            data = request("REGISTER", "sip:example.com", flow, user, f"{user}@example.com", call_id=user)
            self.world.login(flow, data, user)
        data = request("INVITE", "sip:bob@example.com", TCP_ALICE, "alice", body=sdp(TCP_ALICE))
        self.actions = self.world.login(TCP_ALICE, data, "alice")
        self.forwarded = requests_in(self.actions)[0]

    def test_flow_and_headers(self) -> None:
        """The INVITE goes over bob's own connection and names TCP."""
        flow = next(flow for flow, message in sent(self.actions) if isinstance(message, Request))
        self.assertEqual((flow, self.forwarded.via.transport), (TCP_BOB, "TCP"))
        for record_route in self.forwarded.record_routes:
            self.assertEqual(record_route.uri.param("transport"), "tcp")

    def test_nothing_is_repeated(self) -> None:
        """Only Timer B remains."""
        self.assertEqual(methods(self.world.run_timers(31)), [])
        self.assertEqual(statuses(self.world.run_timers(2)), [408])

    def test_response_goes_over_the_connection(self) -> None:
        """Alice's answers do not look at her Via's port."""
        (flow, _), *_ = sent(self.world.say(TCP_BOB, reply(self.forwarded, 180, TCP_BOB, "bob")))
        self.assertEqual(flow, TCP_ALICE)

    def test_closed_connection_unbinds(self) -> None:
        """A contact that lived on a connection goes with it."""
        actions = self.world.core.flow_closed(TCP_BOB, self.world.now)
        self.assertEqual(actions, [SaveBindings("bob@example.com", ())])
        self.assertEqual(self.world.core.flow_closed(TCP_BOB, self.world.now), [])


class Registering(SynchronousTestCase):
    """REGISTER without Contact and with `*`."""

    def setUp(self) -> None:
        self.world = World()
        self.world.register("alice")

    def say(self, contact: str, cseq: int, call_id: str = "reg-alice") -> tuple[Response, list[Action]]:
        """Alice registers with these Contact lines."""
        data = request("REGISTER", "sip:example.com", ALICE, "alice", "alice@example.com", "", cseq, call_id)
        begin, end = data.index(b"Contact:"), data.index(b"Content-Length")
        actions = self.world.login(ALICE, data[:begin] + contact.encode() + data[end:], "alice")
        return responses_in(actions)[-1], actions

    def test_fetch(self) -> None:
        """Without Contact the bindings are told and stay (§10.3 step 6)."""
        answer, _ = self.say("", 10)
        self.assertEqual(answer.headers.all("Contact"), ("<sip:alice@192.168.1.10:5060>;expires=3600",))

    def test_star(self) -> None:
        """`*` with Expires 0 removes all, also from the store; without, it is refused."""
        self.assertEqual(self.say("Contact: *\r\n", 10)[0].status, 400)
        answer, actions = self.say("Contact: *\r\nExpires: 0\r\n", 20)
        self.assertEqual((answer.status, answer.headers.all("Contact")), (200, ()))
        self.assertIn(SaveBindings("alice@example.com", ()), actions)

    def test_too_brief(self) -> None:
        """423 says how long it must be."""
        answer, _ = self.say("Contact: <sip:alice@192.168.1.10:5060>;expires=5\r\n", 10)
        self.assertEqual((answer.status, answer.headers.get("Min-Expires")), (423, "60"))


class Overload(Conversation):
    """More transactions than we take."""

    def setUp(self) -> None:
        super().setUp()
        self.talk()
        self.patch(signalling, "MAX_TRANSACTIONS", len(self.world.core._transactions) - 1)

    def test_new_requests_are_refused_without_memory(self) -> None:
        """503 with Retry-After, and nothing is kept for it."""
        before = len(self.world.core._transactions)
        data = request("INVITE", "sip:alice@example.com", BOB, "bob", call_id="new", body=sdp(BOB))
        first, again = (responses_in(self.world.say(BOB, data)) for _ in range(2))
        self.assertEqual([r.status for r in first], [503])
        self.assertEqual(first[0].headers.get("Retry-After"), "5")
        self.assertEqual(first, again)
        self.assertEqual(len(self.world.core._transactions), before)

    def test_running_calls_are_kept(self) -> None:
        """What belongs to a dialog is still served."""
        self.assertEqual(methods(self.alice("BYE", 3)), ["BYE"])

    def test_not_without_end(self) -> None:
        """Even those have a bound."""
        self.patch(signalling, "MAX_TRANSACTIONS", 0)
        self.assertEqual(statuses(self.alice("BYE", 3)), [503])


class Details(SynchronousTestCase):
    """Single rules."""

    def test_options_with_no_hops_left(self) -> None:
        """Max-Forwards 0: we answer in place of the one it is for (§16.3 step 3), -1 is never sent."""
        world = World()
        world.register("alice")
        data = request("OPTIONS", "sip:alice@example.com", BOB, "eve").replace(
            b"eve@example.com", b"eve@x.org"
        )
        actions = world.say(BOB, data.replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
        self.assertEqual((statuses(actions), methods(actions)), ([200], []))

    def test_cancelled_while_the_name_is_looked_up(self) -> None:
        """The INVITE is never sent; 487 to the caller."""
        world = World()
        world.register("alice")
        data = request("INVITE", "sip:joe@elsewhere.org", ALICE, "alice", body=sdp(ALICE))
        actions = world.login(ALICE, data, "alice")
        (look_up,) = [action for action in actions if isinstance(action, Resolve)]
        world.say(ALICE, request("CANCEL", "sip:joe@elsewhere.org", ALICE, "alice", cseq=2, branch=ADMITTED))
        found = (Destination(Transport.UDP, "198.51.100.7", 5060),)
        done = world.noted(world.core.resolved(look_up.key, found, world.now))
        self.assertEqual((statuses(done), methods(done)), ([487], []))
        world.run_timers(LONG)
        self.assertEqual((len(world.core._transactions), len(world.core._forwarding)), (0, 0))

    def test_non_invite_that_is_not_answered(self) -> None:
        """RFC 4320 §4.2: no 408 to a MESSAGE; it is simply over."""
        world = World()
        world.register("alice")
        data = request("MESSAGE", "sip:alice@example.com", BOB, "eve").replace(
            b"eve@example.com", b"eve@x.org"
        )
        self.assertEqual(methods(world.say(BOB, data)), ["MESSAGE"])
        self.assertEqual(set(statuses(world.run_timers(LONG))), {100})
        self.assertEqual((len(world.core._transactions), len(world.core._forwarding)), (0, 0))

    def test_foreign_token_in_a_route(self) -> None:
        """A Route to us with a token that is not ours: 403, not an exception."""
        world = World()
        data = request(
            "MESSAGE", "sip:alice@example.com", BOB, "eve", headers="Route: <sip:203.0.113.10;lr>\r\n"
        )
        evil = data.replace(b"<sip:203.0.113.10;lr>", b"<sip:whoever@203.0.113.10;lr>")
        self.assertEqual(statuses(world.say(BOB, evil)), [403])

    def test_offer_is_not_sent_to_a_leg_that_is_gone(self) -> None:
        """A phone whose site is not there any more: 480, and no port stays taken."""
        world = World()
        world.register("alice", "dave")
        world.core._interfaces.pop("osaka")
        data = request("INVITE", "sip:dave@example.com", ALICE, "alice", body=sdp(ALICE))
        self.assertEqual(statuses(world.login(ALICE, data, "alice"))[-1], 480)
        self.assertEqual(world.calls._legs[OUTSIDE].ports.taken, 0)
        self.assertEqual(world.calls._legs["tokyo"].ports.taken, 0)

    def test_contact_of_a_phone_without_brackets(self) -> None:
        """A Request-URI that is a registered contact finds its phone, on its own leg first."""
        world = World()
        world.register("alice", "bob", "dave")
        data = request("MESSAGE", "sip:alice@192.168.1.10:5060", BOB, "eve")
        data = data.replace(b"eve@example.com", b"eve@x.org")
        self.assertEqual(summary(world.say(BOB, data)), ["MESSAGE -> tokyo 192.168.1.10:5060"])

    def test_evolved_request_of_another_source_is_no_loop(self) -> None:
        """A spiral, that is, another Request-URI, is let pass (§16.3 step 4)."""
        world = World()
        world.register("alice", "bob")
        data = request("MESSAGE", "sip:bob@example.com", ALICE, "eve").replace(
            b"eve@example.com", b"eve@x.org"
        )
        (forwarded,) = requests_in(world.say(ALICE, data))
        back = evolve(forwarded, uri="sip:alice@example.com")
        lines = [f"MESSAGE {back.uri} SIP/2.0"] + [f"{name}: {value}" for name, value in back.headers.fields]
        self.assertEqual(methods(world.say(BOB, ("\r\n".join(lines) + "\r\n\r\n").encode())), ["MESSAGE"])
