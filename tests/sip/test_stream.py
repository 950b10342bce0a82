"""Cutting a byte stream into messages."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.grammar import SipError
from sofw.sip.message import format_message, parse_message
from sofw.sip.stream import KeepAlive, StreamFramer
from tests.sip import strategies
from tests.sip.test_message import LEAST

PING = KeepAlive.PING
A = b"A sip:h SIP/2.0\r\nl: 3\r\n\r\n\r\n\xff"
B = b"B sip:h SIP/2.0\r\nContent-Length:\r\n  0\r\n\r\n"
C = b"C sip:h SIP/2.0\nCONTENT-LENGTH \t: 002 \n\nxy"

#: What comes, the whole pieces in it, and what remains incomplete.
STREAMS: list[tuple[bytes, list[bytes | KeepAlive], bytes]] = [
    (b"", [], b""),
    (A, [A], b""),
    (A + B + C, [A, B, C], b""),
    (A + b"\r\n" + B, [A, B], b""),
    (A + b"\n\n\r" + B, [A, B], b""),
    (b"\r\n\r\n", [PING], b""),
    (b"\r\n\r\n\r\n\r\n" + A, [PING, PING, A], b""),
    (A + b"\r\n\r\n" + B, [A, PING, B], b""),
    (b"\r\n\r\n\r\n" + A, [PING, A], b""),
    (A + A[:-1], [A], A[:-1]),
    (B[:-1], [], B[:-1]),
    (A + b"\r\n\r", [A], b"\r\n\r"),
]

LOST = [
    (b"A sip:h SIP/2.0\r\n\r\n", "Missing Content-Length", 400),
    (b"A sip:h SIP/2.0\r\nl: 1\r\nContent-Length: 1\r\n\r\n", "More than one Content-Length", 400),
    (b"A sip:h SIP/2.0\r\nl:\r\n\r\n", "Content-Length is not a number", 400),
    (b"A sip:h SIP/2.0\r\nl: -1\r\n\r\n", "Content-Length is not a number", 400),
    (b"A sip:h SIP/2.0\r\nl: \xff\r\n\r\n", "Content-Length is not a number", 400),
    (b"A sip:h SIP/2.0\r\nl: 174\r\n\r\n", "Message is longer than 200 bytes", 513),
    (b"A sip:h SIP/2.0\r\nl: 99999999999\r\n\r\n", "Content-Length is greater than 4294967295", 400),
    (b"x" * 201, "Message is longer than 200 bytes", 513),
    (b" \r\n\r\n", "Missing Content-Length", 400),
]


def fed(data: bytes, size: int, framer: StreamFramer | None = None) -> list[bytes | KeepAlive]:
    """All pieces of the data, fed in chunks of that size."""
    framer = framer or StreamFramer()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    return [piece for chunk in chunks for piece in framer.feed(chunk)]


class StreamFramerTests(SynchronousTestCase):
    """Whole, byte by byte, and with what follows."""

    def test_streams(self) -> None:
        """The same pieces come out, however the stream is cut."""
        for data, expected, _ in STREAMS:
            for size in (1, 2, 3, 7, len(data) + 1):
                self.assertEqual(fed(data, size), expected, (data, size))

    def test_rest_waits(self) -> None:
        """What is incomplete is kept and completed by what follows."""
        for data, expected, rest in STREAMS:
            if rest and rest[0] not in b"\r\n":
                whole = B if rest == B[:-1] else A
                self.assertEqual(fed(data + whole[len(rest) :], len(data)), [*expected, whole])

    def test_fits_the_limit(self) -> None:
        """A message of exactly the limit passes, whole and byte by byte."""
        largest = b"A sip:h SIP/2.0\r\nl: 173\r\n\r\n".ljust(200, b"x")
        for size in (1, 300):
            self.assertEqual(fed(largest + A, size, StreamFramer(200)), [largest, A])

    def test_lost(self) -> None:
        """Framing is lost with the fault named; whatever comes then, it stays lost."""
        for data, sentence, status in LOST:
            for size in (1, 300):
                framer = StreamFramer(200)
                error = self.assertRaises(SipError, fed, data, size, framer)
                self.assertEqual((str(error), error.status), (sentence, status))
                self.assertRaises(SipError, framer.feed, A)

    def test_lost_behind_good(self) -> None:
        """What came whole before the fault is handed out; the next call raises."""
        framer = StreamFramer(200)
        self.assertEqual(framer.feed(A + b"\r\n\r\nB sip:h SIP/2.0\r\n\r\n"), [A, PING])
        self.assertEqual(str(self.assertRaises(SipError, framer.feed, b"")), "Missing Content-Length")

    def test_lost_can_be_answered(self) -> None:
        """The request whose framing is bad comes with the fault, when it can be answered."""
        data = format_message(LEAST).replace(b"Content-Length: 0\r\n", b"")
        error = self.assertRaises(SipError, StreamFramer().feed, data)
        assert error.request is not None
        self.assertEqual(error.request.headers, LEAST.headers)

    def test_hostile(self) -> None:
        """A flood of line ends or of nearly complete heads is taken piece by piece without delay."""
        self.assertEqual(fed(b"\r\n\r\n" * 9000, 1), [PING] * 9000)
        self.assertEqual(fed(b"\r" * 60000 + A, 5000), [A])
        self.assertEqual(fed(b"a:" + b" " * 60000, 10), [])

    @settings(deadline=None)
    @given(st.lists(strategies.messages, max_size=4), st.integers(1, 40))
    def test_round_trip(self, messages: list[object], size: int) -> None:
        """Messages written one after the other are cut where they were joined."""
        written = [format_message(message) for message in messages]  # type: ignore[arg-type]
        self.assertEqual(fed(b"".join(written), size), written)

    @settings(deadline=None)
    @given(
        st.lists(st.sampled_from([b"\r", b"\n", b"l: 1", b"A", b":", b" ", b"\xff", A, B]), max_size=12),
        st.integers(1, 9),
    )
    def test_any_bytes(self, pieces: list[bytes], size: int) -> None:
        """Any bytes are cut or refused; what comes out can be read or refused."""
        try:
            found = fed(b"".join(pieces), size)
        except SipError:
            return
        for piece in found:
            if isinstance(piece, bytes):
                try:
                    parse_message(piece)
                except SipError as error:
                    self.assertIn(error.status, (400, 505))
