"""What the phone's voice looks like on the wire, and when answers are repeated."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sofw.phone.line import Repeat
from sofw.phone.media import payload_of
from sofw.sip.timers import Timers

HEAD = bytes(11)


class PayloadTests(SynchronousTestCase):
    """payload_of."""

    def test_forms(self) -> None:
        """Contributors, extension and padding are left out; what is cut short carries nothing."""
        cases = [
            (b"\x80" + HEAD + b"voice", b"voice"),
            (b"\x82" + HEAD + bytes(8) + b"voice", b"voice"),
            (b"\x90" + HEAD + b"\xbe\xde\x00\x01" + bytes(4) + b"voice", b"voice"),
            (b"\xa0" + HEAD + b"voice" + b"\0\0\3", b"voice"),
            (b"\x80" + HEAD, b""),
            (b"\x82" + HEAD + bytes(7), None),
            (b"\x90" + HEAD + b"\xbe\xde", None),
            (b"\x90" + HEAD + b"\xbe\xde\x00\x02" + bytes(4), None),
            (b"\xa0" + HEAD + b"\xff", None),
        ]
        for datagram, payload in cases:
            self.assertEqual(payload_of(datagram), payload)


class RepeatTests(SynchronousTestCase):
    """Repeat."""

    def setUp(self) -> None:
        """A clock, and what was said when."""
        self.clock = Clock()
        self.said: list[object] = []

    def repeat(self) -> Repeat:
        """Something to be said until it is acknowledged."""
        return Repeat(
            self.clock,
            Timers(),
            lambda: self.said.append(self.clock.seconds()),
            lambda: self.said.append("silence"),
        )

    def test_unanswered(self) -> None:
        """The pauses double up to T2; after 64 T1 nobody is there (RFC 3261 §13.3.1.4)."""
        self.repeat()
        self.clock.pump([0.5] * 100)
        self.assertEqual(self.said, [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, "silence"])

    def test_answered(self) -> None:
        """Nothing more is said after the acknowledgement, which may come twice."""
        repeat = self.repeat()
        self.clock.pump([0.5] * 2)
        repeat.stop()
        repeat.stop()
        self.clock.pump([0.5] * 100)
        self.assertEqual(self.said, [0, 0.5])
