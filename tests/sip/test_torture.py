"""The messages of RFC 4475 (SIP torture tests), each with what becomes of it, and what they break into."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import SofwError
from sofw.sip.message import (
    Message,
    Request,
    SipError,
    check_request,
    check_response,
    format_message,
    parse_message,
    response_to,
)
from sofw.sip.stream import StreamFramer

FOLDER = Path(__file__).resolve().parents[1] / "data" / "torture"

#: "" for a message that is read and found valid, else the status and the fault it is refused with.
#: Where RFC 4475 leaves a choice between refusing and repairing, what would be passed on unrepaired
#: is refused. What is refused by a later step (schemes, extensions, Max-Forwards 0) is valid here.
OUTCOMES = {
    # §3.1.1 valid messages
    "wsinv": "",
    "intmeth": "",
    "esc01": "",
    "escnull": "",
    "esc02": "",
    "lwsdisp": "",
    "longreq": "",
    "dblreq": "",
    "semiuri": "",
    "transports": "",
    "mpart01": "",
    "unreason": "",
    "noreason": "",
    # §3.1.2 invalid messages
    "badinv01": "400 Malformed Via parameter",
    "clerr": "400 Body is shorter than Content-Length",
    "ncl": "400 Content-Length is not a number",
    "scalar02": "400 CSeq number is greater than 4294967295",
    "scalarlg": "400 CSeq number is greater than 4294967295",
    "quotbal": "400 Display name must be quoted and closed",
    "ltgtruri": "400 URI has no scheme",
    "lwsruri": "400 Malformed request line",
    "lwsstart": "400 Malformed request line",
    "trws": "",  # not passed on, as the line is written anew
    "escruri": "400 Request-URI has headers",
    "baddate": "",  # a proxy has no use for Date
    "regbadct": "400 URI must be in angle brackets",
    "badaspec": "400 URI has no scheme",
    "baddn": "400 No empty line after the headers",
    "badvers": "505 Only SIP/2.0 is supported",
    "mismatch01": "400 CSeq method differs from request method",
    "mismatch02": "400 CSeq method differs from request method",
    "bigcode": "400 Malformed status line",
    # §3.2 transaction layer
    "badbranch": "400 Via branch has no transaction identifier",
    # §3.3 application layer
    "insuf": "400 Missing From",
    "unkscm": "",
    "novelsc": "",
    "unksm2": "",
    "bext01": "",
    "invut": "",
    "regaut01": "",
    "multi01": "400 More than one From",
    "mcl01": "400 More than one Content-Length",
    "bcast": "",
    "zeromf": "",
    "cparam01": "",
    "cparam02": "",
    "regescrt": "",
    "sdp01": "",
    # §3.4 backward compatibility
    "inv2543": "",
}

#: Requests that lack what an answer needs, so that nothing can be answered.
UNANSWERABLE = {"insuf"}


def torture(name: str) -> bytes:
    """The bytes of one message."""
    return (FOLDER / f"{name}.dat").read_bytes()


def accept(data: bytes) -> Message:
    """The message, read and checked."""
    message = parse_message(data)
    if isinstance(message, Request):
        check_request(message)
    else:
        check_response(message)
    return message


def outcome(data: bytes) -> str:
    """What becomes of it, in the words of OUTCOMES."""
    try:
        accept(data)
    except SipError as error:
        return f"{error.status} {error}"
    return ""


class OutcomeTests(SynchronousTestCase):
    """What becomes of each."""

    def test_none_left_out(self) -> None:
        """Every file is in the table, every name of the table is a file."""
        self.assertEqual(sorted(path.stem for path in FOLDER.iterdir()), sorted(OUTCOMES))
        self.assertEqual(len(OUTCOMES), 49)

    def test_outcomes(self) -> None:
        """Each is read, or refused with its status and fault."""
        self.assertEqual({name: outcome(torture(name)) for name in OUTCOMES}, OUTCOMES)

    def test_baddn_with_its_end(self) -> None:
        """Were its last line not missing, its display name would be refused."""
        self.assertEqual(outcome(torture("baddn") + b"\r\n"), "400 Display name must be quoted and closed")

    def test_passed_on(self) -> None:
        """What is valid is valid still, and the same, once written and read again."""
        for name in (name for name, fault in OUTCOMES.items() if not fault):
            message = accept(torture(name))
            again = accept(format_message(message))
            self.assertEqual(
                (again.vias, again.from_, again.body), (message.vias, message.from_, message.body)
            )
            self.assertEqual(format_message(again), format_message(message))

    def test_refusals_can_be_sent(self) -> None:
        """Every refused request can be answered, but for those that say too little."""
        answered = set()
        for name, fault in OUTCOMES.items():
            request = self.refused(torture(name)) if fault else None
            if request is not None and all(request.headers.get(h) for h in ("From", "To", "Call-ID", "CSeq")):
                answer = parse_message(format_message(response_to(request, int(fault[:3]), fault[4:])))
                self.assertEqual(answer.headers.all("Via"), request.headers.all("Via"), name)
                answered.add(name)
        requests = {
            name for name, fault in OUTCOMES.items() if fault and not torture(name).startswith(b"SIP/")
        }
        self.assertEqual(requests - answered, UNANSWERABLE)

    def refused(self, data: bytes) -> Request | None:
        """The request as far as it could be read."""
        try:
            message = parse_message(data)
        except SipError as error:
            return error.request
        return message if isinstance(message, Request) else None


class MeaningTests(SynchronousTestCase):
    """What the valid ones say."""

    def test_wsinv(self) -> None:
        """White space and folding at every place where they may stand."""
        message = accept(torture("wsinv"))
        vias = [(via.transport, via.host, via.branch) for via in message.vias]
        expected = [
            ("UDP", "192.0.2.2", "390skdjuw"),
            ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
            ("UDP", "192.168.255.111", "z9hG4bK30239"),
        ]
        self.assertEqual(vias, expected)
        self.assertEqual((message.from_.display, message.from_.tag), ('J Rosenberg \\"', "98asjd8"))
        self.assertEqual((message.to.tag, message.max_forwards, message.cseq.number), ("1918181833n", 68, 9))
        contact = message.contacts[0]
        self.assertEqual(
            (contact.display, contact.param("newparam"), contact.param("q")),
            ('Quoted string ""', "newvalue", "0.33"),
        )
        self.assertEqual((message.headers.get("Subject"), len(message.body)), ("", 150))

    def test_intmeth(self) -> None:
        """Unusual characters wherever they are allowed."""
        message = accept(torture("intmeth"))
        assert isinstance(message, Request)
        self.assertEqual(message.method, "!interesting-Method0123456789_*+`.%indeed'~")
        self.assertEqual(message.to.display, "BEL:\x07 NUL:\x00 DEL:\x7f")
        self.assertEqual(message.from_.tag, "_token~1'+`*%!-.")
        self.assertEqual(
            message.from_.param("fromparam''~+*_!.-%"),
            "\u0440\u0430\u0431\u043e\u0442\u0430\u044e\u0449\u0438\u0439",
        )
        self.assertEqual(message.max_forwards, 255)

    def test_escapes(self) -> None:
        """Escapes are no delimiters, and make no other method or header name."""
        message = accept(torture("esc01"))
        self.assertEqual(message.contacts[0].uri.has_param("lr"), True)
        self.assertEqual(message.to.uri.aor(), "user@example.com")
        second = accept(torture("esc02"))
        self.assertEqual([contact.uri.user for contact in second.contacts], ["alias1", "alias3"])
        null = accept(torture("escnull"))
        self.assertEqual([contact.uri.user for contact in null.contacts], ["%00", "%00%00"])

    def test_params_belong_to_header(self) -> None:
        """Without angle brackets a parameter is the header's, within them the URI's."""
        outside, inside = (accept(torture(name)).contacts[0] for name in ("cparam01", "cparam02"))
        self.assertEqual((outside.param("unknownparam"), outside.uri.has_param("unknownparam")), ("", False))
        self.assertEqual((inside.param("unknownparam"), inside.uri.has_param("unknownparam")), (None, True))

    def test_dblreq(self) -> None:
        """As a datagram the first request alone counts; from a stream both come out."""
        self.assertEqual(accept(torture("dblreq")).body, b"")
        methods = [
            piece.split(b" ")[0]
            for piece in StreamFramer().feed(torture("dblreq"))
            if isinstance(piece, bytes)
        ]
        self.assertEqual(methods, [b"REGISTER", b"INVITE"])

    def test_longreq(self) -> None:
        """34 Vias in every spelling of their name."""
        self.assertEqual(len(accept(torture("longreq")).vias), 34)

    def test_inv2543(self) -> None:
        """No branch, no tag, no Content-Length, no Max-Forwards."""
        message = accept(torture("inv2543"))
        self.assertEqual((message.via.branch, message.from_.tag, message.max_forwards), (None, None, None))
        self.assertEqual(message.to.param("user"), "phone")
        self.assertTrue(message.body.startswith(b"v=0\r\n"))


class MutationTests(SynchronousTestCase):
    """What the torture messages break into."""

    @settings(deadline=None)
    @given(st.sampled_from(sorted(OUTCOMES)), st.randoms(use_true_random=False), st.integers(1, 6))
    def test_mutated(self, name: str, chance: random.Random, count: int) -> None:
        """However bytes are changed, moved or lost: read or refused, by datagram and stream alike."""
        data = torture(name)
        for _ in range(count):
            data = mutated(data, chance)
        self.handle(data)
        try:
            pieces = StreamFramer().feed(data)
        except SofwError:
            return
        for piece in pieces:
            self.handle(piece if isinstance(piece, bytes) else piece.value)

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are read or refused."""
        self.handle(data)

    def handle(self, data: bytes) -> None:
        """Read, check, write; look at every value. Only our own errors may come."""
        try:
            message = parse_message(data)
        except SofwError:
            return
        again = parse_message(format_message(message))
        self.assertEqual(format_message(again), format_message(message))
        if isinstance(message, Request):
            format_message(response_to(message, 400))
        try:
            accept(data)
            self.assertEqual(message.record_routes, again.record_routes)
        except SofwError:
            return


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The data with one stretch lost, doubled, or changed into what has a meaning in SIP."""
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.randrange(9))
    puts = (
        b"",
        data[start:end] * 2,
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b";",
        b",",
        b'"',
        b"<",
        b">",
        b":",
        b"@",
        b"\\",
        b"\xff",
        b"%",
        b"\x00",
        b"9" * 12,
    )
    return data[:start] + chance.choice(puts) + data[end:]
