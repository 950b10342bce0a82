"""Tests of the link: joining, dummies, loss of lanes, resuming."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import LocalError
from sofw.tunnel import outbox
from sofw.tunnel.frame import DataType, Decoder, Frame
from sofw.tunnel.link import Deliver, Down, DropLanes, Link, Output, Role, State, Up

ROOM = 65536


def sip(text: str) -> Frame:
    """A SIP frame that says something."""
    return Frame(DataType.SIP_UDP, None, 5060, text.encode())


def no_media(_head: bytes, _relay_port: int, _payload: bytes) -> None:
    """Nobody sends any."""


class Half:
    """A link, and a note of all it has put out."""

    def __init__(self, role: Role) -> None:
        self.link = Link(role, 0.0)
        self.events: list[Output] = []

    def note(self, outputs: list[Output]) -> None:
        """Write down outputs."""
        self.events += outputs

    def noted(self) -> list[Output]:
        """What was written down since the last look."""
        events, self.events = self.events, []
        return events

    def open(self, now: float = 0.0) -> None:
        """Both lanes are there."""
        self.link.receiving_opened()
        self.note(self.link.sending_opened(now))

    def take(self, now: float = 0.0) -> list[Frame]:
        """What leaves, as frames."""
        return Decoder().feed(self.link.outbox.take(now, ROOM), no_media)

    def receive(self, frames: list[Frame], now: float = 0.0) -> None:
        """Frames arrive."""
        self.note(self.link.received(frames, now))


def exchange(one: Half, other: Half, now: float = 0.0) -> None:
    """Carry frames both ways until nothing is left."""
    while not (one.link.outbox.empty and other.link.outbox.empty):
        other.receive(one.take(now), now)
        one.receive(other.take(now), now)


def joined() -> tuple[Half, Half]:
    """Two halves whose link is up."""
    hrac, hras = Half(Role.CLIENT), Half(Role.SERVER)
    hrac.open()
    hras.open()
    exchange(hrac, hras)
    hrac.noted(), hras.noted()
    return hrac, hras


class JoinTests(SynchronousTestCase):
    """How the link comes up."""

    def test_order(self) -> None:
        """HRAS is up when both lanes are and the ack is there, HRAC when it hears more than the ack."""
        hrac, hras = Half(Role.CLIENT), Half(Role.SERVER)
        hrac.open()
        hras.note(hras.link.sending_opened(0))
        hras.link.receiving_opened()
        greeting = hras.take()
        self.assertEqual([frame.type for frame in greeting], [DataType.ACK])
        hrac.receive(greeting)
        self.assertEqual((hrac.noted(), hras.noted()), ([], []))
        hras.receive(hrac.take())
        self.assertEqual(hras.noted(), [Up(resumed=False)])
        question = hras.take()
        self.assertEqual([frame.type for frame in question], [DataType.DUMMY])
        hrac.receive(question)
        self.assertEqual(hrac.noted(), [Up(resumed=False)])
        self.assertEqual([frame.type for frame in hrac.take()], [DataType.DUMMY, DataType.DUMMY])

    def test_sending_lane_last(self) -> None:
        """The order in which the lanes open does not matter."""
        hrac, hras = Half(Role.CLIENT), Half(Role.SERVER)
        hrac.open()
        hras.link.receiving_opened()
        hras.receive(hrac.take())
        self.assertEqual(hras.noted(), [])
        hras.note(hras.link.sending_opened(0))
        self.assertEqual(hras.noted(), [Up(resumed=False)])
        self.assertEqual([frame.type for frame in hras.take()], [DataType.ACK, DataType.DUMMY])

    def test_early_frames_wait(self) -> None:
        """What is sent before the link is up leaves as soon as it is."""
        hrac, hras = Half(Role.CLIENT), Half(Role.SERVER)
        hrac.note(hrac.link.send(sip("a"), 0))
        hrac.open()
        hras.open()
        exchange(hrac, hras)
        self.assertEqual(hras.noted(), [Up(resumed=False), Deliver(sip("a"))])

    def test_no_greeting(self) -> None:
        """A lane that opens with anything but an ack ends the session."""
        hras = Half(Role.SERVER)
        hras.open()
        hras.receive([sip("a")])
        self.assertEqual(hras.noted(), [DropLanes("The lane did not open with an ack frame")])
        self.assertIs(hras.link.state, State.CLOSED)

    def test_never_joined(self) -> None:
        """Lanes that carry nothing are given up after 10 s, the session after 60 s."""
        hrac = Half(Role.CLIENT)
        hrac.link.opening_lanes(0)
        hrac.open()
        self.assertEqual(hrac.link.due, 10)
        hrac.note(hrac.link.tick(9.9))
        self.assertEqual(hrac.noted(), [])
        hrac.note(hrac.link.tick(10))
        self.assertEqual(hrac.noted(), [DropLanes("The lanes carry nothing")])
        self.assertEqual(hrac.link.due, 60)
        hrac.note(hrac.link.tick(60))
        self.assertEqual(hrac.noted(), [DropLanes("No lanes in time")])
        self.assertIsNone(hrac.link.due)


class DummyTests(SynchronousTestCase):
    """Signs of life."""

    def test_round_trip(self) -> None:
        """The stamp in an answer gives the round trip."""
        hrac, hras = joined()
        hrac.note(hrac.link.tick(15.0))
        hras.receive(hrac.take(15.0), 500.0)
        hrac.receive(hras.take(500.0), 15.25)
        self.assertAlmostEqual(hrac.link.round_trip or 0.0, 0.25)

    def test_pace(self) -> None:
        """Idle: every 15 s, 10 s for an answer. Busy: every second, 3 s. The change counts at once."""
        for busy, interval, limit in ((False, 15, 10), (True, 1, 3)):
            hrac, _ = joined()
            hrac.link.set_busy(busy, 0)
            self.assertEqual(hrac.link.due, interval)
            hrac.note(hrac.link.tick(interval))
            for second in range(interval, interval + limit):
                hrac.note(hrac.link.tick(second))
            self.assertEqual(hrac.noted(), [])
            hrac.note(hrac.link.tick(interval + limit))
            self.assertEqual(hrac.noted(), [DropLanes("No answer in time")])

    def test_late_answers(self) -> None:
        """Answers that come late but come keep the lanes."""
        hrac, hras = joined()
        hrac.link.set_busy(True, 0)
        answers: list[list[Frame]] = []
        for second in range(1, 30):
            hrac.note(hrac.link.tick(second))
            hras.receive(hrac.take(second), second)
            answers.append(hras.take(second))
            if len(answers) > 2:
                hrac.receive(answers.pop(0), second)
        self.assertEqual(hrac.noted(), [])

    def test_odd_dummies(self) -> None:
        """Dummies that are too short, of an unknown kind or from the future change nothing."""
        hrac, _ = joined()
        before = hrac.link.due
        for data in (b"", b"\1", b"\3" + bytes(8), b"\1" + b"\xff" * 8):
            hrac.receive([Frame(DataType.DUMMY, None, 0, data)])
        self.assertEqual((hrac.noted(), hrac.take(), hrac.link.due), ([], [], before))


class GoodbyeTests(SynchronousTestCase):
    """A half that stops says so."""

    def test_goodbye(self) -> None:
        """Either half ends the session when it hears it, and what was sent before it still counts."""
        for leaves, stays in (joined(), reversed(joined())):
            leaves.note(leaves.link.send(sip("last"), 0))
            self.assertTrue(leaves.link.say_goodbye())
            stays.receive(leaves.take()[::-1])
            why = "The other half has stopped"
            self.assertEqual(stays.noted(), [Deliver(sip("last")), DropLanes(why), Down(why)])
            self.assertIs(stays.link.state, State.CLOSED)

    def test_nobody_to_tell(self) -> None:
        """Without lanes nothing is said, then or later."""
        hrac, _ = joined()
        hrac.note(hrac.link.lost("cut", 0))
        self.assertFalse(hrac.link.say_goodbye())
        self.assertEqual(hrac.take(), [])


class LossTests(SynchronousTestCase):
    """Lanes come and go."""

    def test_resume(self) -> None:
        """After a cut nothing is lost and nothing is doubled, and both sides say that they resumed."""
        hrac, hras = joined()
        for text in "ab":
            hrac.note(hrac.link.send(sip(text), 1))
        hras.receive(hrac.take())
        self.assertEqual(hras.noted(), [Deliver(sip("a")), Deliver(sip("b"))])
        hrac.note(hrac.link.send(sip("c"), 1))
        hrac.take()
        hrac.note(hrac.link.lost("cut", 2))
        hras.note(hras.link.lost("cut", 2))
        hrac.open(3)
        hras.open(3)
        exchange(hrac, hras, 3)
        self.assertEqual(hrac.noted(), [DropLanes("cut"), Up(resumed=True)])
        self.assertEqual(hras.noted(), [DropLanes("cut"), Up(resumed=True), Deliver(sip("c"))])
        self.assertEqual((hrac.link.outbox.queued, hrac.link.outbox.unacked), (0, 0))

    def test_window(self) -> None:
        """A session without lanes ends 60 s after it lost them."""
        hrac, _ = joined()
        hrac.note(hrac.link.lost("cut", 100))
        self.assertEqual(hrac.link.due, 160)
        hrac.note(hrac.link.tick(159))
        hrac.note(hrac.link.tick(160))
        self.assertEqual(
            hrac.noted(), [DropLanes("cut"), DropLanes("No lanes in time"), Down("No lanes in time")]
        )

    def test_failed_attempts(self) -> None:
        """Attempts that fail do not make the window longer."""
        hrac, _ = joined()
        hrac.note(hrac.link.lost("cut", 100))
        hrac.link.opening_lanes(150)
        hrac.note(hrac.link.lost("refused", 155))
        self.assertEqual(hrac.noted(), [DropLanes("cut"), DropLanes("refused")])
        self.assertEqual(hrac.link.due, 160)

    def test_end(self) -> None:
        """The end is told once; afterwards nothing changes any more."""
        hrac, _ = joined()
        later: list[Callable[[], list[Output]]] = [
            lambda: hrac.link.end("over", 1),
            lambda: hrac.link.end("again", 1),
            lambda: hrac.link.lost("cut", 1),
            lambda: hrac.link.received([sip("a")], 1),
            lambda: hrac.link.tick(1000),
        ]
        for step in later:
            hrac.note(step())
        self.assertEqual(hrac.noted(), [DropLanes("over"), Down("over")])

    def test_miscount(self) -> None:
        """Acks that cannot be true end the session: the halves have lost count."""
        for handled, following in ((1, 1), (0, 2)):
            hrac, _ = joined()
            data = handled.to_bytes(8, "big") + following.to_bytes(8, "big")
            hrac.receive([Frame(DataType.ACK, None, 0, data), sip("a")])
            self.assertEqual([type(event) for event in hrac.noted()], [DropLanes, Down])

    def test_unknown_sure_frames(self) -> None:
        """A sure frame of a later release counts and is not delivered."""
        hrac, _ = joined()
        hrac.receive([Frame(99, None, 0, b"?"), sip("a")])
        self.assertEqual(hrac.noted(), [Deliver(sip("a"))])
        self.assertEqual(hrac.link.outbox.handled, 2)

    def test_twice(self) -> None:
        """A sure frame whose number was handled before is not delivered again, but acknowledged."""
        hrac, _ = joined()
        hrac.receive([sip("a")])
        hrac.take()
        hrac.receive([Frame(DataType.ACK, None, 0, bytes(15) + b"\1"), sip("a"), sip("b")])
        self.assertEqual(hrac.noted(), [Deliver(sip("a")), Deliver(sip("b"))])
        hrac.receive([Frame(DataType.ACK, None, 0, bytes(15) + b"\1"), sip("a")])
        self.assertEqual((hrac.noted(), hrac.link.outbox.handled), ([], 2))
        self.assertEqual([frame.type for frame in hrac.take()], [DataType.ACK])

    def test_full(self) -> None:
        """SIP that finds no room is dropped; a control frame that finds none ends the session."""
        self.patch(outbox, "MAX_SURE_FRAMES", 1)
        hrac, _ = joined()
        for _ in range(3):
            hrac.note(hrac.link.send(sip("a"), 0))
        self.assertEqual((hrac.noted(), hrac.link.outbox.refused), ([], 2))
        for _ in range(2):
            hrac.note(hrac.link.send(Frame(DataType.CONTROL, None, 0, b"{}"), 0))
        self.assertEqual([type(event) for event in hrac.noted()], [DropLanes, Down])

    def test_too_long(self) -> None:
        """What no frame can carry is the sender's error."""
        hrac, _ = joined()
        self.assertRaises(LocalError, hrac.link.send, sip("x" * 65536), 0)
