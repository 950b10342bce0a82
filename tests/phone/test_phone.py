"""Two of the built-in phones call each other over loopback, with real sockets and a real clock."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sofw.address import Transport
from sofw.demo.audio import compare_samples
from sofw.demo.speech import hum
from sofw.phone.call import Call
from sofw.phone.media import delays
from sofw.phone.phone import Phone

HOST = "127.0.0.1"
ALICE, BOB = hum(0.6, 11), hum(0.6, 12)


def seconds(duration: float) -> Deferred[None]:
    """Fires after so many seconds."""
    return deferLater(reactor, duration, lambda: None)


class PhoneCase(TestCase):
    """Makes phones that are put away after the test."""

    timeout = 4
    transport = Transport.UDP

    def phone(self, user: str, **settings: Any) -> Phone:
        """A new phone on a free port of loopback."""
        phone = Phone(reactor, HOST, 0, self.transport, user=user, **settings)
        self.addCleanup(phone.stop)
        return phone

    def pair(self, **settings: Any) -> tuple[Phone, Phone]:
        """Alice, who calls, and Bob, who has these settings."""
        return self.phone("alice", speech=ALICE), self.phone("bob", speech=BOB, **settings)

    def names(self, phone: Phone) -> list[str]:
        """The names of all that happened to a phone."""
        return [name for name, _detail in phone.events]


def uri(phone: Phone) -> str:
    """Where a phone is called directly."""
    return phone.contact[1:-1]


class CallTests(PhoneCase):
    """Whole calls."""

    @inlineCallbacks
    def test_voices(self):
        """Both hear what the other one says, whole, in order and at once; then one hangs up."""
        alice, bob = self.pair()
        incoming: list[Call] = []
        bob.on_call = incoming.append
        call = alice.call(uri(bob))
        yield alice.expect("up")
        yield seconds(0.9)
        call.hang_up()
        self.assertEqual((yield bob.expect("over")), "hung up there")
        for listener, speaker, said in ((call, incoming[0], BOB), (incoming[0], call, ALICE)):
            found = compare_samples(listener.media.recording.samples(), said)
            self.assertGreater(found.correlation, 0.99)
            self.assertEqual((found.gaps, listener.media.recording.lost), ((), 0))
            taken = delays(speaker.media, listener.media)
            self.assertEqual(len(taken), len(listener.media.heard))
            self.assertTrue(all(0 <= delay < 0.5 for delay in taken))
            self.assertGreater(listener.media.reports, 0)
        self.assertEqual(self.names(alice), ["up", "over"])
        self.assertEqual(self.names(bob), ["ringing", "up", "over"])

    @inlineCallbacks
    def test_hold(self):
        """On hold nothing is said; resumed, the sound goes on. Either side may do it, by either method."""
        alice, bob = self.pair(repeats=True)
        incoming: list[Call] = []
        bob.on_call = incoming.append
        call = alice.call(uri(bob))
        yield bob.expect("up")
        yield seconds(0.1)
        for holder, phone, method in ((call, bob, "INVITE"), (incoming[0], alice, "UPDATE")):
            response = yield holder.change(method, "inactive")
            self.assertEqual(response.status, 200)
            yield phone.expect("held")
            yield seconds(0.05)
            heard = holder.media.recording.received
            yield seconds(0.1)
            self.assertEqual(holder.media.recording.received, heard)
            response = yield holder.change(method, "sendrecv")
            yield phone.expect("changed")
            yield seconds(0.1)
            self.assertGreater(holder.media.recording.received, heard)
        call.hang_up()
        yield bob.expect("over")

    @inlineCallbacks
    def test_sendonly(self):
        """The one who holds by sendonly is still heard, and the other one is not."""
        alice, bob = self.pair(repeats=True)
        call = alice.call(uri(bob))
        yield bob.expect("up")
        yield call.hold()
        yield bob.expect("held")
        self.assertEqual((call.agreed.direction, bob.calls[0].agreed.direction), ("sendonly", "recvonly"))
        self.assertEqual((call.media.speaking, bob.calls[0].media.speaking), (True, False))
        yield call.resume()
        self.assertEqual((call.media.speaking, bob.calls[0].media.speaking), (True, True))
        call.hang_up()
        yield bob.expect("over")

    @inlineCallbacks
    def test_delayed_offer(self):
        """Without an offer in the INVITE the callee offers, and the ACK answers; so in a re-INVITE."""
        alice, bob = self.pair()
        call = alice.call(uri(bob), delayed_offer=True)
        yield bob.expect("up")
        yield seconds(0.2)
        self.assertGreater(call.media.recording.received, 0)
        self.assertGreater(bob.calls[0].media.recording.received, 0)
        response = yield call.change("INVITE", delayed=True)
        self.assertIn(b"m=audio", response.body)
        call.hang_up()
        yield bob.expect("over")

    @inlineCallbacks
    def test_early_media(self):
        """With 183 the caller hears before the answer; reliably so with a PRACK."""
        for reliable in (False, True):
            alice, bob = self.pair(answering="early", reliable=reliable, repeats=True)
            call = alice.call(uri(bob), reliable=reliable)
            self.assertEqual((yield alice.expect("progress")), "183")
            if reliable:
                yield bob.expect("confirmed")
            yield seconds(0.1)
            self.assertGreater(call.media.recording.received, 0)
            bob.calls[0].answer()
            yield alice.expect("up")
            yield bob.expect("up")
            call.hang_up()
            yield bob.expect("over")

    @inlineCallbacks
    def test_reliable_delayed_offer(self):
        """An offer in a reliable 183 is answered in its PRACK."""
        alice, bob = self.pair(answering="early", reliable=True)
        call = alice.call(uri(bob), delayed_offer=True)
        yield bob.expect("confirmed")
        self.assertIsNotNone(bob.calls[0].agreed.rtp)
        bob.calls[0].answer()
        yield bob.expect("up")
        call.hang_up()
        yield bob.expect("over")

    @inlineCallbacks
    def test_cancel(self):
        """A call that rings is given up: both sides see it end, with 487."""
        alice, bob = self.pair(answering="ring")
        call = alice.call(uri(bob))
        self.assertEqual((yield alice.expect("progress")), "180")
        call.hang_up()
        self.assertEqual((yield bob.expect("over")), "cancelled there")
        reason = yield call.over
        self.assertEqual(reason, "487 Request Terminated")

    @inlineCallbacks
    def test_refused(self):
        """A refusal tells its status, and nothing is left of the call."""
        alice, bob = self.pair(answering="reject")
        call = alice.call(uri(bob))
        self.assertEqual((yield call.over), "486 Busy Here")
        self.assertEqual((alice.calls, bob.calls), ([], []))

    @inlineCallbacks
    def test_hung_up_before_the_answer(self):
        """A caller who hangs up at once, before anything has come back, cancels when it may."""
        alice, bob = self.pair(answering="ring")
        call = alice.call(uri(bob))
        call.hang_up()
        self.assertEqual((yield bob.expect("over")), "cancelled there")
        self.assertEqual((yield call.over), "487 Request Terminated")

    @inlineCallbacks
    def test_answered_while_hanging_up(self):
        """When the answer crosses the hanging up, the call is taken down again."""
        alice, bob = self.pair()
        call = alice.call(uri(bob))
        call.hang_up()
        self.assertEqual((yield bob.expect("over")), "hung up there")
        yield call.over

    @inlineCallbacks
    def test_callee_hangs_up(self):
        """The callee may end the call as well."""
        alice, bob = self.pair()
        alice.call(uri(bob))
        yield bob.expect("up")
        bob.calls[0].hang_up()
        self.assertEqual((yield alice.expect("over")), "hung up there")

    @inlineCallbacks
    def test_message(self):
        """A MESSAGE outside a call arrives."""
        alice, bob = self.pair()
        response = yield alice.say(uri(bob), "grüß dich")
        self.assertEqual(response.status, 200)
        self.assertEqual((yield bob.expect("MESSAGE")), "grüß dich")

    @inlineCallbacks
    def test_nobody_there(self):
        """A call to nobody ends with a reason."""
        alice = self.phone("alice")
        call = alice.call("sip:bob@nowhere.invalid")
        self.assertEqual((yield call.over), "503 No way to this address")


class TcpCallTests(CallTests):
    """The same calls with SIP over TCP."""

    transport = Transport.TCP
