"""Tests for the four transaction tables: every output of every step."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.message import format_message
from sofw.sip.timers import Timers
from sofw.sip.transaction import Transmit
from tests.sip.sending import Conversation

Steps = list[tuple[str, list[str]]]


class MachineTests(SynchronousTestCase):
    """What the four table tests share."""

    def play(self, role: str, method: str, reliable: bool, begun: list[str], steps: Steps) -> Conversation:
        """Run a conversation and compare every output of every step; then nothing must be left."""
        talk = Conversation(role, method, reliable, Timers())
        found = [talk.begun, *(talk.tell(step) for step, _ in steps)]
        self.assertEqual(found, [begun, *(expected for _, expected in steps)])
        self.assertEqual(len(talk.transactions), 0)
        self.assertIsNone(talk.transactions.get(talk.key))
        return talk


class InviteClientTests(MachineTests):
    """RFC 3261 figure 5 with RFC 6026."""

    def check(self, reliable: bool, steps: Steps) -> None:
        """Play with an INVITE we send."""
        begun = ["send INVITE", "start B 32"] if reliable else ["send INVITE", "start A 0.5", "start B 32"]
        self.play("client", "INVITE", reliable, begun, steps)

    def test_no_answer(self) -> None:
        """Timer A doubles without a bound until Timer B gives up (§17.1.1.2)."""
        repeats: Steps = [
            ("timer A", ["send INVITE", f"start A {seconds:g}"]) for seconds in (1, 2, 4, 8, 16, 32)
        ]
        self.check(False, [*repeats, ("timer B", ["timed out", "stop A", "ended"])])

    def test_no_answer_reliable(self) -> None:
        """Over TCP nothing is repeated, and Timer B still gives up."""
        self.check(True, [("timer A", []), ("timer B", ["timed out", "ended"])])

    def test_answered(self) -> None:
        """Every 2xx is delivered until Timer M; what came too late is not (RFC 6026 §7.2)."""
        self.check(
            False,
            [
                ("got 100", ["stop A", "stop B", "deliver 100"]),
                ("timer A", []),
                ("got 180", ["deliver 180"]),
                ("got 200", ["deliver 200", "start M 32"]),
                ("got 200", ["deliver 200"]),
                ("got 180", []),
                ("got 486", []),
                ("send failed", []),
                ("timer M", ["ended"]),
                ("got 200", []),
            ],
        )

    def test_answered_at_once(self) -> None:
        """A 2xx without any 1xx; Timer M runs over TCP as well."""
        self.check(True, [("got 200", ["stop B", "deliver 200", "start M 32"]), ("timer M", ["ended"])])

    def test_refused(self) -> None:
        """Each repetition of a refusal is acknowledged, and delivered once."""
        self.check(
            False,
            [
                ("got 180", ["stop A", "stop B", "deliver 180"]),
                ("got 486", ["send ACK", "deliver 486", "start D 32"]),
                ("got 486", ["send ACK"]),
                ("got 200", []),
                ("got 180", []),
                ("timer D", ["ended"]),
            ],
        )

    def test_refused_reliable(self) -> None:
        """Over TCP a refusal ends it: there is nothing to absorb."""
        self.check(True, [("got 603", ["stop B", "send ACK", "deliver 603", "ended"])])

    def test_refused_at_once(self) -> None:
        """A refusal without any 1xx."""
        self.check(
            False,
            [
                ("got 302", ["stop A", "stop B", "send ACK", "deliver 302", "start D 32"]),
                ("send failed", ["unreachable", "stop D", "ended"]),
            ],
        )

    def test_unreachable(self) -> None:
        """An INVITE that cannot be sent is reported at once (§17.1.4)."""
        self.check(False, [("send failed", ["unreachable", "stop A", "stop B", "ended"])])

    def test_failure_while_ringing(self) -> None:
        """Once the far side has answered, a failure to send concerns nobody; the user may drop it."""
        self.check(
            False,
            [
                ("got 180", ["stop A", "stop B", "deliver 180"]),
                ("send failed", []),
                ("abandon", ["ended"]),
                ("abandon", []),
            ],
        )

    def test_ack(self) -> None:
        """The ACK has the INVITE's URI, top Via and Routes, the response's To, and no body (§17.1.1.3)."""
        talk = Conversation("client", "INVITE", True, Timers())
        outputs = talk.transactions.receive(talk.key, talk.response(486))
        sent = [o.message for o in outputs if isinstance(o, Transmit)]
        self.assertEqual(
            [format_message(message).decode() for message in sent],
            [
                "ACK sip:bob@example.com SIP/2.0\r\n"
                "Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\r\n"
                "Route: <sip:p1.example.com;lr>\r\n"
                "Route: <sip:p2.example.com;lr>\r\n"
                "Max-Forwards: 70\r\n"
                "From: Alice <sip:alice@example.com>;tag=a\r\n"
                "To: Bob <sip:bob@example.com>;tag=b\r\n"
                "Call-ID: call@a\r\n"
                "CSeq: 7 ACK\r\n"
                "Content-Length: 0\r\n\r\n"
            ],
        )


class InviteServerTests(MachineTests):
    """RFC 3261 figure 7 with RFC 6026."""

    def check(self, reliable: bool, steps: Steps) -> None:
        """Play with an INVITE we got."""
        self.play("server", "INVITE", reliable, [], steps)

    def test_answered(self) -> None:
        """After a 2xx repetitions are absorbed; further 2xx pass until Timer L (RFC 6026 §7.1)."""
        self.check(
            False,
            [
                ("got INVITE", []),
                ("answer 100", ["send 100"]),
                ("got INVITE", ["send 100"]),
                ("answer 180", ["send 180"]),
                ("got INVITE", ["send 180"]),
                ("answer 200", ["send 200", "start L 32"]),
                ("got INVITE", []),
                ("answer 200", ["send 200"]),
                ("answer 180", []),
                ("answer 486", []),
                ("got ACK", []),
                ("send failed", ["unreachable"]),
                ("timer L", ["ended"]),
                ("answer 200", []),
            ],
        )

    def test_refused(self) -> None:
        """A refusal is repeated, at most every T2, until its ACK; Timer I absorbs what is under way."""
        self.check(
            False,
            [
                ("answer 486", ["send 486", "start G 0.5", "start H 32"]),
                ("timer G", ["send 486", "start G 1"]),
                ("got INVITE", ["send 486"]),
                ("timer G", ["send 486", "start G 2"]),
                ("timer G", ["send 486", "start G 4"]),
                ("timer G", ["send 486", "start G 4"]),
                ("answer 200", []),
                ("got ACK", ["stop H", "stop G", "start I 5"]),
                ("timer G", []),
                ("got ACK", []),
                ("got INVITE", []),
                ("timer I", ["ended"]),
            ],
        )

    def test_refused_reliable(self) -> None:
        """Over TCP a refusal is sent once, and its ACK ends it."""
        self.check(True, [("answer 486", ["send 486", "start H 32"]), ("got ACK", ["stop H", "ended"])])

    def test_no_ack(self) -> None:
        """Without an ACK Timer H gives up."""
        self.check(
            False,
            [
                ("answer 500", ["send 500", "start G 0.5", "start H 32"]),
                ("timer H", ["timed out", "stop G", "ended"]),
            ],
        )

    def test_unreachable(self) -> None:
        """A failure to send is told but ends nothing, so that repetitions find it (RFC 6026 §7.1)."""
        self.check(
            False,
            [
                ("answer 180", ["send 180"]),
                ("send failed", ["unreachable"]),
                ("answer 486", ["send 486", "start G 0.5", "start H 32"]),
                ("send failed", ["unreachable"]),
                ("abandon", ["stop G", "stop H", "ended"]),
            ],
        )

    def test_other_request(self) -> None:
        """Only its own INVITE and an ACK concern it; a response that came in never does."""
        steps: Steps = [("got BYE", []), ("got 200", []), ("abandon", ["ended"])]
        talk = self.play("server", "INVITE", False, [], steps)
        self.assertEqual(talk.transactions.ignored, {"INVITE server, proceeding: message": 2})


class ClientTests(MachineTests):
    """RFC 3261 figure 6."""

    def check(self, reliable: bool, steps: Steps) -> None:
        """Play with a REGISTER we send."""
        begun = ["send REGISTER", "start E 0.5", "start F 32"]
        self.play("client", "REGISTER", reliable, [b for b in begun if not (reliable and "E 0" in b)], steps)

    def test_no_answer(self) -> None:
        """Timer E doubles up to T2 until Timer F gives up (§17.1.2.2)."""
        repeats: Steps = [
            ("timer E", ["send REGISTER", f"start E {seconds:g}"]) for seconds in (1, 2, 4, 4, 4)
        ]
        self.check(False, [*repeats, ("timer F", ["timed out", "stop E", "ended"])])

    def test_provisional(self) -> None:
        """After a 1xx it is repeated every T2, and Timer F runs on."""
        self.check(
            False,
            [
                ("got 100", ["deliver 100"]),
                ("timer E", ["send REGISTER", "start E 4"]),
                ("got 100", ["deliver 100"]),
                ("timer F", ["timed out", "stop E", "ended"]),
            ],
        )

    def test_answered(self) -> None:
        """Timer K absorbs what is still under way."""
        for status in (200, 404):
            self.check(
                False,
                [
                    (f"got {status}", ["stop E", "stop F", f"deliver {status}", "start K 5"]),
                    (f"got {status}", []),
                    ("got 100", []),
                    ("send failed", []),
                    ("timer K", ["ended"]),
                ],
            )

    def test_answered_after_provisional(self) -> None:
        """A final response out of Proceeding."""
        self.check(
            False,
            [
                ("got 100", ["deliver 100"]),
                ("got 401", ["stop E", "stop F", "deliver 401", "start K 5"]),
                ("timer K", ["ended"]),
            ],
        )

    def test_answered_reliable(self) -> None:
        """Over TCP a final response ends it."""
        self.check(True, [("got 200", ["stop F", "deliver 200", "ended"])])

    def test_unreachable(self) -> None:
        """A request that cannot be sent, now or again, is reported."""
        lost = ("send failed", ["unreachable", "stop E", "stop F", "ended"])
        self.check(False, [lost])
        self.check(False, [("got 100", ["deliver 100"]), lost])


class ServerTests(MachineTests):
    """RFC 3261 figure 8 with RFC 4320."""

    def check(self, reliable: bool, steps: Steps) -> None:
        """Play with an OPTIONS we got."""
        self.play("server", "OPTIONS", reliable, ["start trying 3.5"], steps)

    def test_answered(self) -> None:
        """The answer is repeated whenever the request is, until Timer J."""
        for status in (200, 405):
            self.check(
                False,
                [
                    ("got OPTIONS", []),
                    (f"answer {status}", ["stop trying", f"send {status}", "start J 32"]),
                    ("got OPTIONS", [f"send {status}"]),
                    ("answer 500", []),
                    ("timer J", ["ended"]),
                ],
            )

    def test_answered_reliable(self) -> None:
        """Over TCP an answer ends it."""
        self.check(True, [("answer 200", ["stop trying", "send 200", "ended"])])

    def test_slow(self) -> None:
        """It answers 100 when it is due, never before, and passes on no other 1xx (RFC 4320 §4.1)."""
        self.check(
            False,
            [
                ("answer 100", []),
                ("answer 180", []),
                ("timer trying", ["send 100", "start F 28.5"]),
                ("got OPTIONS", ["send 100"]),
                ("answer 180", []),
                ("answer 200", ["stop F", "send 200", "start J 32"]),
                ("timer J", ["ended"]),
            ],
        )

    def test_too_late(self) -> None:
        """When nobody can be waiting any more it ends, and a late answer is not sent (§4.2)."""
        self.check(
            False,
            [
                ("timer trying", ["send 100", "start F 28.5"]),
                ("timer F", ["ended"]),
                ("answer 200", []),
            ],
        )

    def test_no_408(self) -> None:
        """A 408 always comes too late: it ends the transaction unsent (§4.2)."""
        self.check(False, [("answer 408", ["stop trying", "ended"])])

    def test_408_after_answer(self) -> None:
        """Once answered, even a 408 no longer changes anything."""
        self.check(
            False,
            [
                ("answer 200", ["stop trying", "send 200", "start J 32"]),
                ("answer 408", []),
                ("got OPTIONS", ["send 200"]),
                ("timer J", ["ended"]),
            ],
        )

    def test_unreachable(self) -> None:
        """An answer that cannot be sent ends it (§17.2.4)."""
        self.check(
            False,
            [
                ("send failed", []),
                ("answer 200", ["stop trying", "send 200", "start J 32"]),
                ("send failed", ["unreachable", "stop J", "ended"]),
            ],
        )
        self.check(
            False,
            [
                ("timer trying", ["send 100", "start F 28.5"]),
                ("send failed", ["unreachable", "stop F", "ended"]),
            ],
        )
