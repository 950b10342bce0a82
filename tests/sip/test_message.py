"""Whole messages: reading, writing, checking, answering."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.headers import CSeq, Headers
from sofw.sip.message import (
    MAX_FIELDS,
    MAX_LINE,
    MAX_MESSAGE,
    REASONS,
    Message,
    Request,
    Response,
    SipError,
    check_request,
    check_response,
    format_message,
    parse_message,
    response_to,
)
from sofw.sip.uri import Uri
from tests.sip import strategies

LEAST = Request(
    "INVITE",
    "sip:bob@h",
    Headers(
        (
            ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"),
            ("From", "<sip:alice@a>;tag=1"),
            ("To", "<sip:bob@h>"),
            ("Call-ID", "x@a"),
            ("CSeq", "7 INVITE"),
        )
    ),
)

INVITE = b"""INVITE sip:bob@h SIP/2.0\r
v: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b\r
F: Alice <sip:alice@a>\r
 ;tag=1\r
To: sip:bob@h\r
i: x@a\r
CSeq: 7 INVITE\r
Contact: <sip:alice@a>, sip:alice@b;q=0.1\r
Route: <sip:p;lr>,<sip:q;lr>\r
Record-Route: <sip:r;lr>\r
Max-Forwards: 70\r
Expires: 60\r
c: Application/SDP ;x=y\r
l: 4\r
\r
\x00\xff\r\n"""

#: The message, the fault in it, the status to answer; see `broken`.
BROKEN = [
    (b"", "No empty line after the headers", 400),
    (b"\r\n\r\n", "No empty line after the headers", 400),
    (b"a\r\nb", "No empty line after the headers", 400),
    (b"\x16\x03\x01\r\n\r\n", "Malformed request line", 400),
    (b"INVITE sip:h\r\n\r\n", "Malformed request line", 400),
    (b"INVITE  SIP/2.0\r\n\r\n", "Malformed request line", 400),
    (b"INVITE  sip:h SIP/2.0\r\n\r\n", "Malformed request line", 400),
    (b"IN@VITE sip:h SIP/2.0\r\n\r\n", "Malformed method", 400),
    (b"GET / HTTP/1.1\r\n\r\n", "Only SIP/2.0 is supported", 400),
    (b"INVITE sip:h SIP/3.0\r\n\r\n", "Only SIP/2.0 is supported", 505),
    (b"SIP/3.0 200 OK\r\n\r\n", "Only SIP/2.0 is supported", 505),
    (b"SIP/2.0 2000 OK\r\n\r\n", "Malformed status line", 400),
    (b"SIP/2.0 099 OK\r\n\r\n", "Malformed status line", 400),
    (b"SIP/2.0 700 OK\r\n\r\n", "Malformed status line", 400),
    (b"SIP/2.0\r\n\r\n", "Malformed status line", 400),
    (b"A sip:h SIP/2.0\r\nVia\r\n\r\n", "Header line without a colon", 400),
    (b"A sip:h SIP/2.0\r\na b: c\r\n\r\n", "Malformed header name", 400),
    (b"A sip:h SIP/2.0\r\na: b\rc: d\r\n\r\n", "Bare CR in header", 400),
    (b"A sip:h SIP/2.0\r\nl: 1\r\nContent-Length: 1\r\n\r\nx", "More than one Content-Length", 400),
    (b"A sip:h SIP/2.0\r\nl: 2\r\n\r\nx", "Body is shorter than Content-Length", 400),
    (b"A sip:h SIP/2.0\r\nl: -1\r\n\r\nx", "Content-Length is not a number", 400),
    (b"A sip:h SIP/2.0\r\nl: 65536\r\n\r\nx", "Content-Length is greater than 65535", 400),
    (
        b"A sip:h SIP/2.0\r\na:" + b"x" * MAX_LINE + b"\r\n\r\n",
        "Header line is longer than 16384 characters",
        400,
    ),
    (b"A sip:h SIP/2.0\r\n" + b"a:\r\n" * (MAX_FIELDS + 1) + b"\r\n", "More than 300 header values", 400),
    (b"A sip:h SIP/2.0\r\n" + b"v:\r\n" * (MAX_FIELDS + 1) + b"\r\n", "More than 300 header values", 400),
    (b"A sip:h SIP/2.0\r\nv:" + b"a," * (MAX_FIELDS + 1) + b"\r\n\r\n", "More than 300 header values", 400),
    (b"A sip:h SIP/2.0\r\n\r\n" + b"x" * MAX_MESSAGE, "Message is longer than 65535 bytes", 513),
]

#: What is put in place of a header of LEAST, and the fault it makes; None takes the header away.
UNFIT = [
    ("Via", None, "Missing Via"),
    ("From", None, "Missing From"),
    ("To", None, "Missing To"),
    ("Call-ID", None, "Missing Call-ID"),
    ("CSeq", None, "Missing CSeq"),
    ("To", "", "Missing To"),
    ("Via", "SIP/2.0/UDP", "Malformed Via"),
    ("From", "<sip:alice@a>;;", "Malformed address parameter"),
    ("To", "bob", "URI has no scheme"),
    ("Call-ID", "a b", "Malformed Call-ID"),
    ("CSeq", "INVITE", "Malformed CSeq"),
]

UNFIT_REQUEST = [
    ("CSeq", "7 ACK", "CSeq method differs from request method"),
    ("CSeq", "7 invite", "CSeq method differs from request method"),
    ("Max-Forwards", "256", "Max-Forwards is greater than 255"),
    ("Max-Forwards", "", "Max-Forwards is not a number"),
    ("Via", "SIP/2.0/UDP a;branch=z9hG4bK", "Via branch has no transaction identifier"),
    ("Route", "<sip:a", "Display name must be quoted and closed"),
    ("Contact", "sip:a?b=c", "URI must be in angle brackets"),
]


def with_value(message: Message, name: str, value: str | None) -> Message:
    """The message with one header changed or taken away."""
    values = () if value is None else (value,)
    return evolve(message, headers=message.headers.replace(name, *values))


class ParseTests(SynchronousTestCase):
    """From bytes."""

    def test_request(self) -> None:
        """A request with compact names, folding, lists and a binary body."""
        message = parse_message(INVITE)
        assert isinstance(message, Request)
        self.assertEqual(
            (message.method, message.uri, message.body), ("INVITE", "sip:bob@h", b"\x00\xff\r\n")
        )
        names = "Via Via From To Call-ID CSeq Contact Contact Route Route Record-Route Max-Forwards Expires"
        self.assertEqual([name for name, _ in message.headers.fields][:-2], names.split())
        self.assertEqual(message.headers.get("From"), "Alice <sip:alice@a> ;tag=1")

    def test_accessors(self) -> None:
        """Every header a proxy looks at has its typed value."""
        message = parse_message(INVITE)
        self.assertEqual([via.host for via in message.vias], ["a", "b"])
        self.assertEqual((message.via.branch, message.from_.tag, message.to.tag), ("z9hG4bK1", "1", None))
        self.assertEqual((message.call_id, message.cseq), ("x@a", CSeq(7, "INVITE")))
        hosts = [
            [a.uri.host for a in found] for found in (message.contacts, message.routes, message.record_routes)
        ]
        self.assertEqual(hosts, [["a", "b"], ["p", "q"], ["r"]])
        self.assertEqual((message.max_forwards, message.expires), (70, 60))
        self.assertEqual(message.content_type, "application/sdp")

    def test_absent(self) -> None:
        """What may be absent reads as None or empty."""
        found = (LEAST.max_forwards, LEAST.expires, LEAST.content_type, LEAST.contacts, LEAST.routes)
        self.assertEqual(found, (None, None, "", (), ()))

    def test_accessors_follow_changes(self) -> None:
        """A copy with other headers gives other values."""
        self.assertEqual(LEAST.to.uri.user, "bob")
        self.assertEqual(with_value(LEAST, "To", "sip:carol@h").to.uri.user, "carol")

    def test_expires(self) -> None:
        """Malformed Expires means none, too large ones mean the largest."""
        cases = (("x", None), ("-1", None), ("", None), ("0", 0), ("0" * 99 + "5", 5), ("9" * 99, 2**32 - 1))
        for text, expected in cases:
            self.assertEqual(with_value(LEAST, "Expires", text).expires, expected)

    def test_contact_star(self) -> None:
        """A `*` is no address."""
        self.assertEqual(with_value(LEAST, "Contact", "*").contacts, ())

    def test_response(self) -> None:
        """Responses, with any reason phrase or none."""
        for reason in ("OK", "", "= 2**3 \u0434\u0430", "\udcff"):
            data = f"SIP/2.0 200 {reason}\r\n\r\n".encode("utf-8", "surrogateescape")
            self.assertEqual(parse_message(data), Response(200, reason, Headers()))
        self.assertEqual(parse_message(b"sip/2.0 699\r\n\r\n"), Response(699, "", Headers()))

    def test_line_ends(self) -> None:
        """LF alone ends a line, empty lines before the message and white space after it are ignored."""
        whole = parse_message(format_message(LEAST))
        head, _, _ = format_message(LEAST).partition(b"\r\n\r\n")
        for data in (
            head.replace(b"\r\n", b"\n") + b"\n\n",
            head.replace(b"\r\n", b"\n") + b"\n\r\n",
            b"\r\n\r\n" + head + b"\r\n\r\n",
            head.replace(b"SIP/2.0\r", b"SIP/2.0 \t\r", 1) + b"\r\n\r\n",
        ):
            self.assertEqual(parse_message(data), whole, data)

    def test_body_length(self) -> None:
        """Without Content-Length the body is all the rest; with it, what follows is dropped."""
        for field, expected in (
            (b"", b"abc"),
            (b"l:0\r\n", b""),
            (b"L : 002\r\n", b"ab"),
            (b"l:\r\n 3\r\n", b"abc"),
        ):
            self.assertEqual(parse_message(b"A sip:h SIP/2.0\r\n" + field + b"\r\nabc").body, expected)

    def test_largest(self) -> None:
        """A message of exactly the largest size, line length and number of values is read."""
        data = (
            b"A sip:h SIP/2.0\r\na:"
            + b"x" * (MAX_LINE - 2)
            + b"\r\n"
            + b"b:\r\n" * (MAX_FIELDS - 1)
            + b"\r\n"
        )
        message = parse_message(data.ljust(MAX_MESSAGE, b"y"))
        self.assertEqual(len(message.headers.fields), MAX_FIELDS)

    def test_broken(self) -> None:
        """Each fault is named in a short sentence, with its status."""
        for data, sentence, status in BROKEN:
            error = self.assertRaises(SipError, parse_message, data)
            self.assertEqual((str(error), error.status, error.request), (sentence, status, None))

    def test_sentences_fit_a_reason_phrase(self) -> None:
        """No sentence is long or holds anything but ASCII."""
        for _, sentence, _ in BROKEN:
            self.assertTrue(sentence.isascii() and sentence.isprintable() and len(sentence) < 50)

    def test_broken_can_be_answered(self) -> None:
        """A malformed request comes with what could be read, when an answer can be made of it."""
        good = format_message(LEAST)
        for bad in (
            good.replace(b"INVITE sip:bob@h SIP/2.0", b"INVITE sip:bob@h SIP/7.0"),
            good.replace(b"INVITE sip:bob@h SIP", b"INVITE  sip:bob@h SIP"),
            good.replace(b"Content-Length: 0", b"Content-Length: 9"),
            good.replace(b"\r\nContent-Length: 0", b"\r\nbad line"),
            good.replace(b"Content-Length: 0", b"X: a\rb"),
            good.replace(b"Content-Length: 0\r\n\r\n", b""),
            good + b"x" * MAX_MESSAGE,
        ):
            request = self.assertRaises(SipError, parse_message, bad).request
            assert request is not None
            self.assertEqual((request.method, request.uri), ("INVITE", "sip:bob@h"))
            answer = response_to(request, 400)
            self.assertEqual(
                (answer.cseq, answer.call_id, answer.via.branch), (CSeq(7, "INVITE"), "x@a", "z9hG4bK1")
            )

    def test_broken_response_is_not_answered(self) -> None:
        """There is nothing to answer to a response."""
        response = format_message(response_to(LEAST, 200)).replace(b"Length: 0", b"Length: 9")
        self.assertIsNone(self.assertRaises(SipError, parse_message, response).request)

    def test_hostile(self) -> None:
        """Long repetitions of what almost matches are refused, not pondered over."""
        for piece in (
            b" ",
            b"\r\n ",
            b"\t\r",
            b"\n",
            b"a:",
            b",",
            b'"',
            b"<",
            b"v:,\n",
            b";a=",
            b"\\",
            b"\x00",
        ):
            data = b"@ sip:h SIP/2.0\r\nm: " + piece * (MAX_MESSAGE // len(piece) - 40)
            self.assertRaises(SipError, parse_message, data)
            self.assertRaises(SipError, parse_message, data + b"\r\nl: x\r\n\r\n")


class FormatTests(SynchronousTestCase):
    """To bytes."""

    def test_request(self) -> None:
        """Headers in their order, Content-Length last."""
        request = evolve(LEAST, headers=Headers((("Via", "x"), ("To", "\u00e9\udcff"))), body=b"\x00\xff")
        self.assertEqual(
            format_message(request),
            b"INVITE sip:bob@h SIP/2.0\r\nVia: x\r\nTo: \xc3\xa9\xff\r\nContent-Length: 2\r\n\r\n\x00\xff",
        )

    def test_response(self) -> None:
        """A wrong Content-Length is put right."""
        response = Response(180, "Ringing", Headers((("Content-Length", "9"), ("a", ""))))
        self.assertEqual(format_message(response), b"SIP/2.0 180 Ringing\r\na: \r\nContent-Length: 0\r\n\r\n")

    def test_line_breaks(self) -> None:
        """No value can bring in a header of its own."""
        response = Response(400, "a\r\nb: c", Headers((("d", "e\nf"), ("g", "h\ri"))), b"\r\n")
        self.assertEqual(
            format_message(response),
            b"SIP/2.0 400 a b: c\r\nd: e f\r\ng: h i\r\nContent-Length: 2\r\n\r\n\r\n",
        )

    @settings(deadline=None)
    @given(strategies.messages)
    def test_round_trip(self, message: Message) -> None:
        """Any message is read back as it was written, with its Content-Length."""
        headers = message.headers.append("Content-Length", str(len(message.body)))
        expected = evolve(message, headers=headers)
        self.assertEqual(parse_message(format_message(message)), expected)
        self.assertEqual(parse_message(format_message(message) + b"INVITE"), expected)
        self.assertEqual(format_message(expected), format_message(message))


class CheckTests(SynchronousTestCase):
    """What a proxy refuses."""

    def test_good(self) -> None:
        """The least a request and a response need, and forms as in RFC 2543."""
        check_request(LEAST)
        check_request(with_value(LEAST, "From", "sip:alice@a"))
        check_request(with_value(LEAST, "Via", "SIP/2.0/UDP a"))
        check_request(evolve(LEAST, uri="tel:+1201"))
        check_request(evolve(LEAST, uri="http://h?a=b"))
        check_response(response_to(LEAST, 200))

    def test_unfit(self) -> None:
        """Missing and malformed headers, in requests and in responses."""
        for name, value, sentence in UNFIT:
            error = self.assertRaises(SipError, check_request, with_value(LEAST, name, value))
            self.assertEqual((str(error), error.status), (sentence, 400))
            response = with_value(response_to(LEAST, 200), name, value)
            self.assertEqual(str(self.assertRaises(SipError, check_response, response)), sentence)

    def test_unfit_request(self) -> None:
        """What is only wrong in a request."""
        for name, value, sentence in UNFIT_REQUEST:
            error = self.assertRaises(SipError, check_request, with_value(LEAST, name, value))
            self.assertEqual((str(error), error.status), (sentence, 400))

    def test_twice(self) -> None:
        """Headers that may stand only once."""
        values = (
            ("From", "sip:a@b"),
            ("To", "sip:a@b"),
            ("Call-ID", "b"),
            ("CSeq", "7 INVITE"),
            ("Max-Forwards", "1"),
        )
        for name, value in values:
            once = with_value(LEAST, name, value)
            twice = evolve(once, headers=once.headers.append(name, value))
            self.assertEqual(str(self.assertRaises(SipError, check_request, twice)), f"More than one {name}")

    def test_request_uri(self) -> None:
        """The Request-URI must be a URI, a SIP URI without headers."""
        for uri, sentence in (
            ("<sip:h>", "URI has no scheme"),
            ("sip:h;;", "Malformed SIP URI"),
            ("sip:h?a=b", "Request-URI has headers"),
        ):
            self.assertEqual(
                str(self.assertRaises(SipError, check_request, evolve(LEAST, uri=uri))), sentence
            )


class ResponseTests(SynchronousTestCase):
    """Answering."""

    request = evolve(
        LEAST,
        headers=LEAST.headers.append("Via", "SIP/2.0/TCP b")
        .append("Timestamp", "54")
        .append("Route", "<sip:a>"),
    )

    def test_final(self) -> None:
        """Vias, From, Call-ID and CSeq are copied, To gets the tag, more headers and a body follow."""
        response = response_to(self.request, 486, None, "9", (("Retry-After", "5"),), body=b"x")
        self.assertEqual((response.status, response.reason, response.body), (486, "Busy Here", b"x"))
        self.assertEqual(
            response.headers.fields,
            (
                ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"),
                ("Via", "SIP/2.0/TCP b"),
                ("From", "<sip:alice@a>;tag=1"),
                ("Call-ID", "x@a"),
                ("CSeq", "7 INVITE"),
                ("To", "<sip:bob@h>;tag=9"),
                ("Retry-After", "5"),
            ),
        )

    def test_trying(self) -> None:
        """A 100 has no tag, and the Timestamp."""
        response = response_to(self.request, 100)
        self.assertEqual((response.to.tag, response.headers.get("Timestamp")), (None, "54"))
        self.assertIsNone(response_to(self.request, 180).headers.get("Timestamp"))

    def test_tag(self) -> None:
        """A tag that is there stays; else repetitions get the same one and other requests another."""
        tagged = with_value(LEAST, "To", "<sip:bob@h>;TAG=5")
        self.assertEqual(response_to(tagged, 200, to_tag="9").to.tag, "5")
        other = with_value(LEAST, "Call-ID", "y")
        tags = [response_to(request, 200).to.tag for request in (LEAST, LEAST, other)]
        self.assertEqual(tags[0], tags[1])
        self.assertNotEqual(tags[0], tags[2])

    def test_malformed_to(self) -> None:
        """A To that cannot be read is answered nevertheless."""
        for to, expected in (('"a <sip:b>', '"a <sip:b>;tag=9'), ('"a <sip:b>;tag=1', '"a <sip:b>;tag=1')):
            self.assertEqual(
                response_to(with_value(LEAST, "To", to), 400, to_tag="9").headers.get("To"), expected
            )

    def test_reasons(self) -> None:
        """Known statuses have their phrase, others that of their class; ours may be given."""
        self.assertEqual(
            [response_to(LEAST, status).reason for status in (200, 299, 499)], ["OK", "OK", "Bad Request"]
        )
        self.assertEqual(response_to(LEAST, 400, "Missing To").reason, "Missing To")
        for status in REASONS:
            self.assertEqual(
                parse_message(format_message(response_to(LEAST, status))).to.uri, Uri("sip", "bob", host="h")
            )
