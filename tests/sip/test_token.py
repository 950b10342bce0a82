"""Tests for sofw.sip.token."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import LocalError
from sofw.sip.message import SipError
from sofw.sip.token import LONGEST_FIELD, Sealer
from sofw.sip.uri import parse_uri

FIELDS = ("outside", "UDP", "203.0.113.5", "5060", "5060")
SEALER = Sealer(bytes(range(32)))
#: Any text that came out of bytes: surrogates only where a byte was not UTF-8.
TEXT = st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


class SealerTests(SynchronousTestCase):
    """What is sealed comes back, and nothing else does."""

    @settings(deadline=None)
    @given(st.lists(TEXT, min_size=1, max_size=8).map(tuple))
    def test_round_trip(self, fields: tuple[str, ...]) -> None:
        """Any fields come back as they were, and the token has unreserved characters only."""
        token = SEALER.seal(fields)
        self.assertEqual(SEALER.open(token), fields)
        self.assertTrue(re.fullmatch(r"[A-Za-z0-9_-]+", token))

    def test_in_uri(self) -> None:
        """A token is the user of a URI just as it is, and short enough for a Record-Route."""
        token = SEALER.seal(FIELDS)
        self.assertEqual(parse_uri(f"sip:{token}@192.0.2.1:5060;lr").user, token)
        self.assertLess(len(token), 70)

    def test_hidden(self) -> None:
        """The token shows nothing of its fields, and one more letter changes all of it."""
        other = SEALER.seal((*FIELDS[:-1], "5061"))
        same = sum(a == b for a, b in zip(SEALER.seal(FIELDS), other, strict=True))
        self.assertLess(same, 15)

    def test_survives(self) -> None:
        """The same key opens it after a restart; another key does not."""
        token = SEALER.seal(FIELDS)
        self.assertEqual(Sealer(bytes(range(32))).open(token), FIELDS)
        self.assert_refused(Sealer(bytes(32)), token)

    def test_tampered(self) -> None:
        """A token with any letter changed, dropped or added is refused, even in its loose bits."""
        token = SEALER.seal(FIELDS)
        for place, letter in enumerate(token):
            for changed in ("A", "B", "Q", "", letter + "A", letter + "=", letter + "%41"):
                if changed != letter:
                    self.assert_refused(SEALER, token[:place] + changed + token[place + 1 :])

    def test_foreign(self) -> None:
        """What never was a token is refused: a user name, too short, too long, not ASCII."""
        for text in ("", "alice", "a" * 21, "A" * 22, "A" * 23, "A" * 5000, "käse", "\udcff" * 30, "=" * 40):
            self.assert_refused(SEALER, text)

    def test_longest_field(self) -> None:
        """A field too long to be counted is our own mistake, and so is no field at all."""
        fits = ("x" * LONGEST_FIELD,)
        self.assertEqual(SEALER.open(SEALER.seal(fits)), fits)
        self.assertRaises(LocalError, SEALER.seal, ("x" * (LONGEST_FIELD + 1),))
        self.assertRaises(LocalError, SEALER.seal, ())

    @settings(deadline=None)
    @given(st.text(max_size=120))
    def test_any_text(self, text: str) -> None:
        """No text raises anything but a 403."""
        self.assert_refused(SEALER, text)

    def assert_refused(self, sealer: Sealer, text: str) -> None:
        """Opening it is a 403."""
        self.assertEqual(self.assertRaises(SipError, sealer.open, text).status, 403)
