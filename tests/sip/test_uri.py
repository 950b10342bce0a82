"""URIs: reading, writing, comparing."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.grammar import SipError
from sofw.sip.uri import Uri, format_uri, parse_uri, same_uri, unescape
from tests.sip import strategies

#: Each is also written exactly as it was read.
URIS = [
    ("sip:example.com", Uri("sip", None, None, "example.com")),
    ("sip:alice@example.com", Uri("sip", "alice", None, "example.com")),
    ("sips:alice@example.com:5061", Uri("sips", "alice", None, "example.com", 5061)),
    ("sip:alice:pass@h", Uri("sip", "alice", "pass", "h")),
    ("sip:alice:@h", Uri("sip", "alice", "", "h")),
    ("sip:a@[2001:db8::10]:5070", Uri("sip", "a", None, "2001:db8::10", 5070)),
    ("sip:[2001:db8::10:5070]", Uri("sip", None, None, "2001:db8::10:5070")),
    ("sip:[::ffff:192.0.2.10]", Uri("sip", None, None, "::ffff:192.0.2.10")),
    ("sip:h;lr;transport=tcp", Uri("sip", None, None, "h", None, (("lr", None), ("transport", "tcp")))),
    ("sip:h;a=;b==", Uri("sip", None, None, "h", None, (("a", ""), ("b", "=")))),
    ("sip:h?Route=%3Csip:x%3E&a=b", Uri("sip", None, None, "h", None, (), "Route=%3Csip:x%3E&a=b")),
    ("sip:u;p=u%40e@h", Uri("sip", "u;p=u%40e", None, "h")),
    ("sip:#31#123@h_1.example", Uri("sip", "#31#123", None, "h_1.example")),
    ("sip:\u5927\udcff@h", Uri("sip", "\u5927\udcff", None, "h")),
    ("tel:+1-201-555-0123;phone-context=x", Uri("tel", "+1-201-555-0123;phone-context=x")),
    ("urn:service:sos", Uri("urn", "service:sos")),
    ("soap.beep://192.0.2.103:3002", Uri("soap.beep", "//192.0.2.103:3002")),
]

BAD = [
    "",
    "alice",
    ":a",
    "1sip:a",
    " sip:a",
    "<sip:a>",
    "sip:",
    "sip:@h",
    "sip::p@h",
    "sip:a@",
    "sip:a@b@c",
    "sip:a b@h",
    "sip:a@h ",
    "sip:h:",
    "sip:h:x",
    "sip:h:65536",
    "sip:h:123456",
    "sip:h;",
    "sip:h;;lr",
    "sip:h;=x",
    "sip:u@h;a=b@c",
    "sip:2001:db8::10",
    "sip:[2001:db8::10",
    "sip:[12]",
    "sip:[]",
    "sip:\u00e9.example",
    "sip:a\n@h",
    "tel:",
    "tel:1 2",
    "urn:a\x00",
]

#: RFC 3261 §19.1.4 and RFC 4475 §3.1.1.3.
SAME = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("sip:cal%6Cer@h;%6C%72;n%61me=v%61lue%25%34%31", "sip:caller@h;lr;name=value%2541"),
    ("tel:+1-201-555-0123", "tel:+12015550123"),
    ("sip:a%2fb@h", "sip:a%2Fb@h"),
]

DIFFERENT = [
    ("sip:ALICE@AtlanTa.CoM;Transport=udp", "sip:alice@AtlanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@h", "sips:a@h"),
    ("sip:a%2Fb@h", "sip:a/b@h"),
    ("sip:a:p@h", "sip:a@h"),
    ("sip:a@h;user=phone", "sip:a@h"),
    ("sip:a@h;maddr=1.2.3.4", "sip:a@h"),
    ("tel:+12015550123", "tel:+12015550124"),
]

AORS = [
    ("sip:Alice@Example.COM:5060;transport=tcp", "Alice@example.com"),
    ("sip:%61lice@h", "alice@h"),
    ("sip:a@[2001:DB8::1]", "a@[2001:db8::1]"),
    ("sip:Example.com", "example.com"),
    ("sip:null-%00@h", "null-\x00@h"),
    ("sip:%ff%zz@h", "\udcff%zz@h"),
    ("tel:+1-(201).555;ext=7", "+1201555"),
    ("urn:service:sos", "urn:service:sos"),
]


class UriTests(SynchronousTestCase):
    """Tables of URIs and what they are read as."""

    def test_read_and_write(self) -> None:
        """Each URI is read into its parts and written back character by character."""
        for text, expected in URIS:
            self.assertEqual(parse_uri(text), expected)
            self.assertEqual(format_uri(expected), text)
            self.assertEqual(str(expected), text)

    def test_scheme_in_any_case(self) -> None:
        """The scheme is made lower-case, the rest is kept."""
        self.assertEqual(str(parse_uri("SIP:Alice@H")), "sip:Alice@H")

    def test_bad(self) -> None:
        """What is no URI is refused with 400."""
        for text in BAD:
            self.assertEqual(self.assertRaises(SipError, parse_uri, text).status, 400, text)

    def test_same(self) -> None:
        """URIs that are equivalent, both ways round."""
        for a, b in SAME:
            self.assertTrue(same_uri(parse_uri(a), parse_uri(b)), (a, b))
            self.assertTrue(same_uri(parse_uri(b), parse_uri(a)), (a, b))

    def test_different(self) -> None:
        """URIs that are not equivalent, both ways round."""
        for a, b in DIFFERENT:
            self.assertFalse(same_uri(parse_uri(a), parse_uri(b)), (a, b))
            self.assertFalse(same_uri(parse_uri(b), parse_uri(a)), (a, b))

    def test_aor(self) -> None:
        """The key of an address-of-record has no port, parameters and escapes."""
        for text, expected in AORS:
            self.assertEqual(parse_uri(text).aor(), expected)

    def test_params(self) -> None:
        """Parameters are found in any case and escaped; values stay as received."""
        uri = parse_uri("sip:h;%6C%72;Transport=TCP;a=%41")
        found = [uri.param(name) for name in ("lr", "transport", "A", "x")]
        self.assertEqual(found, ["", "TCP", "%41", None])
        self.assertEqual([uri.has_param("lr"), uri.has_param("x")], [True, False])

    def test_change_params(self) -> None:
        """Setting replaces whatever stood there; removing what is not there changes nothing."""
        uri = parse_uri("sip:h;LR=on;a=1")
        self.assertEqual(str(uri.with_param("lr", None)), "sip:h;a=1;lr")
        self.assertEqual(str(uri.with_param("b", "2")), "sip:h;LR=on;a=1;b=2")
        self.assertEqual(str(uri.without_param("lr", "A", "x")), "sip:h")
        self.assertEqual(uri.without_param("x"), uri)

    def test_unescape_keeps_others(self) -> None:
        """Only valid escapes are replaced."""
        self.assertEqual(unescape("a%20%4z%"), "a %4z%")

    def test_hostile(self) -> None:
        """Long repetitions of what almost matches are refused, not pondered over."""
        for piece in ("a", "a:", ";a=", "a;", "%", "?", "[", "[:", "1"):
            self.assertRaises(SipError, parse_uri, "sip:" + piece * 60000 + "\x00")

    @settings(deadline=None)
    @given(strategies.uris)
    def test_round_trip(self, uri: Uri) -> None:
        """Any URI is read back as it was written, and is equivalent to itself."""
        self.assertEqual(parse_uri(format_uri(uri)), uri)
        self.assertTrue(same_uri(uri, evolve(uri)))

    @settings(deadline=None)
    @given(st.text(max_size=30) | st.text(max_size=30).map("sip:{}".format))
    def test_any_text(self, text: str) -> None:
        """Any text is read or refused; what is read is written back alike."""
        try:
            uri = parse_uri(text)
        except SipError:
            return
        self.assertEqual(parse_uri(format_uri(uri)), uri)
        uri.aor()
