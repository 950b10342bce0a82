"""Header fields, and the values a proxy looks into."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.credentials import format_auth
from sofw.sip.grammar import SipError
from sofw.sip.headers import (
    CSeq,
    Headers,
    NameAddr,
    Via,
    canonical,
    format_name_addr,
    format_via,
    parse_auth,
    parse_cseq,
    parse_field,
    parse_name_addr,
    parse_via,
)
from sofw.sip.uri import Uri, parse_uri
from tests.sip import strategies

BOB = Uri("sip", "bob", None, "h")

FIELDS = [
    ("v: a, b", [("Via", "a"), ("Via", "b")]),
    ("VIA \t:a", [("Via", "a")]),
    ("Contact: *", [("Contact", "*")]),
    ('m: "a,b" <sip:x>, <sip:y>', [("Contact", '"a,b" <sip:x>'), ("Contact", "<sip:y>")]),
    ("record-route:<sip:a>,<sip:b>", [("Record-Route", "<sip:a>"), ("Record-Route", "<sip:b>")]),
    ("Route:", []),
    ("k: a, b", [("Supported", "a, b")]),
    ("s :", [("Subject", "")]),
    ("x-Own: a:b", [("x-Own", "a:b")]),
    ("x: 90", [("Session-Expires", "90")]),
    ("www-authenticate: Digest a=b, c=d", [("WWW-Authenticate", "Digest a=b, c=d")]),
]

NAME_ADDRS = [
    ("<sip:bob@h>", NameAddr("", BOB)),
    ("sip:bob@h;tag=1", NameAddr("", BOB, (("tag", "1"),))),
    (" sip:bob@h ;   tag    = 1n", NameAddr("", BOB, (("tag", "1n"),))),
    ("bob<sip:bob@h>;tag=1", NameAddr("bob", BOB, (("tag", "1"),))),
    ("The  Bob <sip:bob@h>", NameAddr("The  Bob", BOB)),
    ('"B, \\"b\\" \\\\" <sip:bob@h>', NameAddr('B, "b" \\', BOB)),
    ('""<sip:bob@h>', NameAddr("", BOB)),
    ("B\u00f6b (home) <sip:bob@h>", NameAddr("B\u00f6b (home)", BOB)),
    ("<sip:bob@h>;q=0.33;x", NameAddr("", BOB, (("q", "0.33"), ("x", None)))),
    (
        "<sip:bob@h;lr?a=b>;c",
        NameAddr("", Uri("sip", "bob", None, "h", None, (("lr", None),), "a=b"), (("c", None),)),
    ),
    ("isbn:2983792873", NameAddr("", Uri("isbn", "2983792873"))),
]

BAD_NAME_ADDRS = [
    ("", "URI has no scheme"),
    ("*", "URI has no scheme"),
    ('"Bob <sip:bob@h>', "Display name must be quoted and closed"),
    ('"a" b <sip:bob@h>', "Display name must be quoted and closed"),
    ("Bell, A <sip:bob@h>", "Display name must be quoted and closed"),
    ("<sip:bob@h", "Display name must be quoted and closed"),
    ("< sip:bob@h >", "URI has no scheme"),
    ("sip:bob@h?a=b", "URI must be in angle brackets"),
    ("sip:bob@h,sip:b@h", "URI must be in angle brackets"),
    ("<sip:bob@h>;;", "Malformed address parameter"),
    ("<sip:bob@h> x", "Malformed address parameter"),
]

VIAS = [
    ("SIP/2.0/UDP h", Via("UDP", "h", None)),
    ("sip / 2.0 /\ttcp  h : 5060 ; branch = z9 ", Via("TCP", "h", 5060, (("branch", "z9"),))),
    ("SIP/2.0/UDP [2001:db8::1]:1;rport", Via("UDP", "2001:db8::1", 1, (("rport", None),))),
    ('SIP/2.0/UNKNOWN h;a="b"', Via("UNKNOWN", "h", None, (("a", '"b"'),))),
]

BAD_VIAS = [
    "",
    "SIP/2.0/UDP",
    "SIP/7.0/UDP h",
    "SIP/2.0 h",
    "SIP/2.0/UDP h:65536",
    "SIP/2.0/UDP h:x",
    "SIP/2.0/UDP 2001:db8::1",
    "SIP/2.0/UDP h;;",
    "SIP/2.0/UDP h x",
]

CREDENTIALS = {
    "username": 'a"b',
    "realm": "r, s",
    "nonce": "n",
    "uri": "sip:h",
    "response": "0",
    "algorithm": "SHA-256",
    "qop": "auth",
    "nc": "00000001",
    "cnonce": "c=",
}


class FieldTests(SynchronousTestCase):
    """Header lines."""

    def test_fields(self) -> None:
        """A line gives one field, or one per value where a proxy needs them apart."""
        for line, expected in FIELDS:
            self.assertEqual(parse_field(line), expected, line)

    def test_bad_fields(self) -> None:
        """Lines without a colon or a proper name are refused."""
        for line in ("", "Via", ": a", "a b: c", "\u00e9: c", " Via: a"):
            self.assertEqual(self.assertRaises(SipError, parse_field, line).status, 400, line)

    def test_canonical(self) -> None:
        """Known names get the RFC's spelling, unknown ones stay."""
        names = ["i", "CALL-id", "cseq", "Www-Authenticate", "sip-etag", "X-foo"]
        expected = ["Call-ID", "Call-ID", "CSeq", "WWW-Authenticate", "SIP-ETag", "X-foo"]
        self.assertEqual([canonical(name) for name in names], expected)


class HeadersTests(SynchronousTestCase):
    """The immutable list of fields."""

    headers = Headers((("Via", "1"), ("X-a", "2"), ("Via", "3"), ("To", "4")))

    def test_look_up(self) -> None:
        """Names are found in any case, values in their order."""
        self.assertEqual(self.headers.all("via"), ("1", "3"))
        self.assertEqual(
            [self.headers.get(name) for name in ("VIA", "x-A", "From", "X-b")], ["1", "2", None, None]
        )
        self.assertEqual(self.headers.all("X-b"), ())

    def test_changes(self) -> None:
        """Each change puts its values at the right place and leaves the rest in order."""
        cases = [
            (self.headers.prepend("via", "a", "b"), "a b 1 2 3 4"),
            (self.headers.prepend("Route", "a"), "a 1 2 3 4"),
            (self.headers.prepend("Via"), "1 2 3 4"),
            (self.headers.append("Via", "a", "b"), "1 2 3 a b 4"),
            (self.headers.append("Route", "a"), "1 2 3 4 a"),
            (self.headers.replace("Via", "a", "b"), "a b 2 4"),
            (self.headers.replace("x-A", "a"), "1 a 3 4"),
            (self.headers.replace("Route", "a"), "1 2 3 4 a"),
            (self.headers.replace("Via"), "2 4"),
            (self.headers.remove("via"), "2 4"),
            (self.headers.remove("Route"), "1 2 3 4"),
            (self.headers.remove_first("Via"), "2 3 4"),
            (self.headers.remove_first("Via", 5), "2 4"),
        ]
        for changed, expected in cases:
            self.assertEqual(" ".join(value for _, value in changed.fields), expected)
        self.assertEqual(self.headers.prepend("v", "a").fields[0], ("Via", "a"))
        self.assertEqual(len(self.headers.fields), 4)


class NameAddrTests(SynchronousTestCase):
    """From, To, Contact, Route."""

    def test_read(self) -> None:
        """All forms are read; parameters without brackets belong to the header."""
        for text, expected in NAME_ADDRS:
            self.assertEqual(parse_name_addr(text), expected, text)
            self.assertEqual(parse_name_addr(format_name_addr(expected)), expected, text)

    def test_write(self) -> None:
        """The URI always stands in brackets; a name is quoted when it must be."""
        for display, expected in (
            ("", ""),
            ("The Bob", "The Bob "),
            ('B"\x01', '"B\\"\\\x01" '),
            ("a  b", '"a  b" '),
        ):
            self.assertEqual(str(NameAddr(display, BOB, (("tag", "1"),))), f"{expected}<sip:bob@h>;tag=1")

    def test_bad(self) -> None:
        """What could be read in two ways is refused, naming the fault."""
        for text, expected in BAD_NAME_ADDRS:
            self.assertEqual(str(self.assertRaises(SipError, parse_name_addr, text)), expected, text)

    def test_params(self) -> None:
        """Parameters are found in any case, values without quotes."""
        value = parse_name_addr('<sip:bob@h>;Tag=a;+sip.instance="<urn:uuid:1>";ob')
        found = [value.tag, value.param("+SIP.instance"), value.param("ob"), value.param("q")]
        self.assertEqual(found, ["a", "<urn:uuid:1>", "", None])
        self.assertIsNone(parse_name_addr("sip:bob@h").tag)

    @settings(deadline=None)
    @given(strategies.name_addrs)
    def test_round_trip(self, value: NameAddr) -> None:
        """Any name-addr is read back as it was written."""
        self.assertEqual(parse_name_addr(format_name_addr(value)), value)

    @settings(deadline=None)
    @given(st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        """Any text is read or refused, nothing else."""
        try:
            value = parse_name_addr(text)
        except SipError:
            return
        self.assertEqual(parse_name_addr(format_name_addr(value)), value)

    def test_hostile(self) -> None:
        """Long repetitions of what almost matches are refused, not pondered over."""
        for piece in (" ", '"', '\\"', "<", ";a= ", "a ", '";"', "\t;"):
            self.assertRaises(SipError, parse_name_addr, '"' + piece * 8000 + "\x00")
            self.assertRaises(SipError, parse_name_addr, "<sip:h>;a=" + piece * 8000 + "\x00")


class ViaTests(SynchronousTestCase):
    """Via."""

    def test_read_and_write(self) -> None:
        """White space is allowed where the RFC has it, and not written."""
        for text, expected in VIAS:
            self.assertEqual(parse_via(text), expected, text)
            self.assertEqual(parse_via(str(expected)), expected, text)
        self.assertEqual(str(VIAS[2][1]), VIAS[2][0])

    def test_bad(self) -> None:
        """Other versions, bad hosts and ports, empty parameters are refused."""
        for text in BAD_VIAS:
            self.assertEqual(self.assertRaises(SipError, parse_via, text).status, 400, text)

    def test_params(self) -> None:
        """branch, received and rport have names of their own; an IPv6 source stands without brackets."""
        via = parse_via("SIP/2.0/UDP h;branch=z9;received=[2001:db8::1];rport;ttl=1")
        self.assertEqual(
            (via.branch, via.received, via.rport, via.param("TTL")), ("z9", "2001:db8::1", "", "1")
        )
        self.assertEqual(parse_via("SIP/2.0/UDP h;received=2001:db8::1;rport=9").received, "2001:db8::1")
        bare = parse_via("SIP/2.0/UDP h")
        self.assertEqual((bare.branch, bare.received, bare.rport), (None, None, None))

    @settings(deadline=None)
    @given(strategies.vias)
    def test_round_trip(self, via: Via) -> None:
        """Any Via is read back as it was written."""
        self.assertEqual(parse_via(format_via(via)), via)


class CSeqTests(SynchronousTestCase):
    """CSeq."""

    def test_read_and_write(self) -> None:
        """Number and method, with leading zeros and any white space between."""
        for text in ("9 INVITE", "0009  INVITE", "9\tINVITE "):
            self.assertEqual(parse_cseq(text), CSeq(9, "INVITE"))
        self.assertEqual(str(CSeq(2**32 - 1, "ACK")), "4294967295 ACK")

    def test_bad(self) -> None:
        """Too large a number and anything else is refused."""
        for text in (
            "",
            "1",
            "INVITE",
            "1INVITE",
            "-1 INVITE",
            "1 A B",
            "1 A:",
            "4294967296 ACK",
            "1\x1fACK",
        ):
            self.assertEqual(self.assertRaises(SipError, parse_cseq, text).status, 400, text)


class AuthTests(SynchronousTestCase):
    """The digest headers."""

    def test_credentials(self) -> None:
        """Credentials quote what RFC 7616 quotes and nothing else, and are read back."""
        text = format_auth("Digest", CREDENTIALS)
        expected = (
            'Digest username="a\\"b", realm="r, s", nonce="n", uri="sip:h", response="0", '
            'algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c="'
        )
        self.assertEqual(text, expected)
        self.assertEqual(parse_auth(text), ("Digest", CREDENTIALS))

    def test_challenge(self) -> None:
        """A challenge quotes qop; pairs may come as pairs."""
        text = format_auth("Digest", [("realm", "r"), ("qop", "auth"), ("stale", "true")])
        self.assertEqual(text, 'Digest realm="r", qop="auth", stale=true')

    def test_read(self) -> None:
        """White space, case of names, unquoted and missing values are no obstacle."""
        cases = [
            ("NoOneKnowsThisScheme opaque-data=here", ("NoOneKnowsThisScheme", {"opaque-data": "here"})),
            ("Digest", ("Digest", {})),
            ('digest\tRealm = "a" ,Nonce=b+/==,', ("digest", {"realm": "a", "nonce": "b+/=="})),
            ("Digest a=", ("Digest", {"a": ""})),
        ]
        for text, expected in cases:
            self.assertEqual(parse_auth(text), expected, text)

    def test_bad(self) -> None:
        """Unclosed quotes, doubled names and text without "=" are refused."""
        for text in (
            "",
            '"Digest" a=b',
            'Digest a="b',
            "Digest a=1, A=2",
            "Digest a b",
            "Digest a=b c=d",
            "Digest =b",
        ):
            self.assertEqual(self.assertRaises(SipError, parse_auth, text).status, 400, text)

    def test_hostile(self) -> None:
        """Long repetitions of what almost matches are refused, not pondered over."""
        for piece in (" ", '"', "\\", "=", "a", '\\"'):
            self.assertRaises(SipError, parse_auth, 'Digest a="' + piece * 16000 + "\x00 x")
            self.assertRaises(SipError, parse_auth, "Digest a=" + piece * 16000 + ' "\x00')

    @settings(deadline=None)
    @given(st.dictionaries(strategies.tokens.map(str.lower), strategies.any_text, min_size=1, max_size=4))
    def test_round_trip(self, pairs: dict[str, str]) -> None:
        """Any values are read back as they were written, when they are of the quoted kind."""
        quoted = {f"x-{name}": value for name, value in pairs.items()}
        self.assertEqual(parse_auth(format_auth("Digest", quoted)), ("Digest", quoted))


class UriInHeaderTests(SynchronousTestCase):
    """URIs inside headers."""

    def test_contact_keeps_uri(self) -> None:
        """A Contact's URI is written as it was received."""
        text = "<sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>"
        self.assertEqual(str(parse_name_addr(text)), text)
        self.assertEqual(parse_name_addr(text).uri, parse_uri(text[1:-1]))
