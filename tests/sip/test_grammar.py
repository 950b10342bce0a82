"""The words every SIP parser is built from."""

from __future__ import annotations

from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from sofw.credentials import quote, unquote
from sofw.sip.grammar import (
    SipError,
    find_head,
    find_param,
    format_params,
    is_token,
    parse_number,
    parse_params,
    split_list,
    unfold,
)
from tests.sip import strategies

HEADS: list[tuple[bytes, tuple[int, int] | None]] = [
    (b"", None),
    (b"a\r\n", None),
    (b"a\r\n\r", None),
    (b"a\r\n\r\n", (2, 5)),
    (b"a\n\nb", (1, 3)),
    (b"a\n\r\nb", (1, 4)),
    (b"a\r\n\r\nb\n\nc", (2, 5)),
    (b"a\n\nb\r\n\r\nc", (1, 3)),
    (b"a\r\n \r\n\r\n", (5, 8)),
]

LISTS = [
    ("", []),
    ("a", ["a"]),
    ("a,b", ["a", "b"]),
    (" a ,\tb , ", ["a", "b"]),
    (",,a,", ["a"]),
    ('"a,b" <sip:x>,<sip:y;p=1,2>', ['"a,b" <sip:x>', "<sip:y;p=1,2>"]),
    (r'"a\",b",c', [r'"a\",b"', "c"]),
    (r'"a\\",b', [r'"a\\"', "b"]),
    ('"never closed, a', ['"never closed, a']),
    ('"never closed, a\\', ['"never closed, a\\']),
    ("<sip:a, b", ["<sip:a, b"]),
]

PARAMS = [
    ("", ()),
    ("  ", ()),
    (";a", (("a", None),)),
    (";a=", (("a", ""),)),
    (" ; a = b ;\tc", (("a", "b"), ("c", None))),
    (';a="x;y,\\"z"', (("a", '"x;y,\\"z"'),)),
    (";received=2001:db8::1;x=[::1]", (("received", "2001:db8::1"), ("x", "[::1]"))),
    (";branch=z9hG4bK+/==", (("branch", "z9hG4bK+/=="),)),
    (";a=\u0430\udcff", (("a", "\u0430\udcff"),)),
]

BAD_PARAMS = [";", ";;", "a", ";a;", ";a=b c", ';a="b', ';a="b\\', ";a=<b>", ";a,b", ";=b", ";a==\x00"]


class GrammarTests(SynchronousTestCase):
    """Tables of words and what they are read as."""

    def test_tokens(self) -> None:
        """A token is one or more of its characters and nothing else."""
        for text in ("INVITE", "!interesting-Method0123456789_*+`.%indeed'~"):
            self.assertTrue(is_token(text), text)
        for text in ("", "a b", "a\n", "a:", "\u00e9", '"a"', "a@b"):
            self.assertFalse(is_token(text), text)

    def test_find_head(self) -> None:
        """The first empty line ends the head, whatever line ends are used."""
        for data, expected in HEADS:
            self.assertEqual(find_head(data), expected, data)

    def test_find_head_from_searched(self) -> None:
        """Searching on from where the last search ended, less two bytes, finds the same."""
        for data, expected in HEADS:
            for searched in range(expected[0] if expected else len(data)):
                self.assertEqual(find_head(data, max(0, searched - 2)), expected, data)

    def test_unfold(self) -> None:
        """A line that begins with white space continues the one before."""
        self.assertEqual(unfold("a:\n  b\n\tc\nd"), "a: b c\nd")
        self.assertEqual(unfold("a\nb"), "a\nb")

    def test_split_list(self) -> None:
        """Commas split, but not within quotes and angle brackets; empty values vanish."""
        for text, expected in LISTS:
            self.assertEqual(split_list(text), expected, text)

    def test_params(self) -> None:
        """Parameters are read in order, values as they stand."""
        for text, expected in PARAMS:
            self.assertEqual(parse_params(text, "Via"), expected, text)
            self.assertEqual(parse_params(format_params(expected), "Via"), expected, text)

    def test_bad_params(self) -> None:
        """What is no parameter is refused, naming where it stands."""
        for text in BAD_PARAMS:
            error = self.assertRaises(SipError, parse_params, text, "Via")
            self.assertEqual((str(error), error.status), ("Malformed Via parameter", 400), text)

    def test_find_param(self) -> None:
        """Names are found in any case; the first wins; a flag is empty text."""
        params = (("Tag", '"a\\"b"'), ("tag", "c"), ("lr", None))
        self.assertEqual([find_param(params, name) for name in ("tag", "LR", "x")], ['a"b', "", None])

    def test_numbers(self) -> None:
        """Digits up to the bound, leading zeros as many as one likes."""
        for text, expected in (("0", 0), ("0068", 68), ("255", 255), ("0" * 6000 + "1", 1)):
            self.assertEqual(parse_number(text, 255, "Hops"), expected)

    def test_bad_numbers(self) -> None:
        """Anything else is refused with the fault named."""
        for text in ("", "-1", "+1", " 1", "1.0", "\u0661", "\u00b2", "x"):
            self.assertEqual(
                str(self.assertRaises(SipError, parse_number, text, 9, "N")), "N is not a number"
            )
        for text in ("10", "9" * 6000):
            self.assertEqual(
                str(self.assertRaises(SipError, parse_number, text, 9, "N")), "N is greater than 9"
            )

    def test_unquote_leaves_others(self) -> None:
        """Text that is not quoted stays as it is."""
        for text in ("", '"', "a", 'a"b"'):
            self.assertEqual(unquote(text), text)

    @settings(deadline=None)
    @given(strategies.any_text)
    def test_quote_round_trip(self, text: str) -> None:
        """Any text survives being quoted, also as a parameter and within a list."""
        self.assertEqual(unquote(quote(text)), text)
        self.assertEqual(find_param(parse_params(f";a={quote(text)}", "x"), "a"), text)
        self.assertEqual(split_list(f"{quote(text)},b"), [quote(text), "b"])
