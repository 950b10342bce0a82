"""Tests of the login at a web proxy."""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.credentials import respond
from sofw.tunnel.login import Login, parse_challenges

DIGEST = 'Digest realm="proxy", nonce="n1", qop="auth", algorithm=MD5'
SHA = 'Digest realm="proxy", nonce="n2", qop="auth", algorithm=SHA-256'
BASIC = 'Basic realm="proxy"'
URI = "http://hras/tunnel/hello"
WRONG = "The web proxy refuses the login of clerk (407)"


class ParserTests(SynchronousTestCase):
    """What proxies write."""

    def test_challenges(self) -> None:
        """Several in one field or in many, with tokens, quotes and odd spaces; names in lower case."""
        digest = ("digest", {"realm": "a, b=c", "nonce": 'x"y', "stale": "TRUE"})
        basic = ("basic", {"realm": "p"})
        cases = [
            (['Digest realm="a, b=c", nonce="x\\"y", stale=TRUE'], [digest]),
            (['Digest realm="a, b=c",nonce="x\\"y" ,STALE=TRUE,Basic realm="p"'], [digest, basic]),
            (['Basic realm="p", Digest realm = "a, b=c", nonce= "x\\"y", stale =TRUE'], [basic, digest]),
            (["Negotiate", "NTLM", "Basic realm=p"], [("negotiate", {}), ("ntlm", {}), basic]),
            (["Negotiate, NTLM, BASIC realm=p"], [("negotiate", {}), ("ntlm", {}), basic]),
            (["NTLM TlRMTVNTUAACAAAA==, Basic realm=p"], [("ntlm", {}), basic]),
            (["Basic"], [("basic", {})]),
            (["", ", ,", '"', "=", "Digest realm="], [("digest", {})]),
        ]
        for values, expected in cases:
            self.assertEqual(parse_challenges(values), expected, values)

    @given(st.lists(st.text(st.sampled_from('Basic Digest=",\\ \tx\x00é'), max_size=60), max_size=4))
    @settings(deadline=None)
    def test_anything(self, values: list[str]) -> None:
        """Whatever stands there, nothing is raised, and there is a limit."""
        self.assertLessEqual(len(parse_challenges(values)), 16)

    def test_long(self) -> None:
        """A hostile field costs no time worth mentioning."""
        for piece in ("a ", "a=", 'a="', "a,", "Digest a=b, ", "\\"):
            parse_challenges([piece * 20000])


class LoginTests(SynchronousTestCase):
    """What is said, and what is made of the answers."""

    def setUp(self) -> None:
        """A login of a user whose password can be changed."""
        self.known = ("clerk", "open sesame")
        self.login = Login(lambda: self.known)

    def say(self) -> str:
        """What the next request carries; there must be something."""
        said = self.login.header("POST", URI)
        assert said is not None
        return said

    def test_nothing_unasked(self) -> None:
        """Before the proxy asks nothing is said."""
        self.assertIsNone(self.login.header("POST", URI))
        self.assertEqual(self.login.kind, "")

    def test_digest(self) -> None:
        """An answer as RFC 7616 computes it; the count rises with each use of a nonce."""
        self.assertTrue(self.login.challenged([DIGEST], None))
        for count in (1, 2):
            said = self.say()
            cnonce = said.partition('cnonce="')[2].partition('"')[0]
            asked = parse_challenges([DIGEST])[0][1]
            expected = respond(asked, "clerk", "open sesame", "POST", URI, count=count, cnonce=cnonce)
            self.assertEqual(said, expected)

    def test_choice(self) -> None:
        """Digest goes before Basic and SHA-256 before MD5, in whatever order they are offered."""
        for offered, beginning in (
            ([BASIC, DIGEST, SHA], 'Digest username="clerk", realm="proxy", nonce="n2"'),
            ([BASIC, DIGEST], 'Digest username="clerk", realm="proxy", nonce="n1"'),
            (["NTLM", "Negotiate", BASIC], f"Basic {b64encode(b'clerk:open sesame').decode()}"),
            ([BASIC, DIGEST.replace("MD5", "MD5-sess")], "Basic "),
        ):
            self.login.forget()
            self.assertTrue(self.login.challenged(offered, None))
            self.assertTrue(self.say().startswith(beginning), offered)

    def test_stale(self) -> None:
        """An old nonce is no refusal: the new one is used, counted from 1."""
        self.login.challenged([DIGEST], None)
        self.assertTrue(self.login.challenged([SHA + ", stale=true"], self.say()))
        self.assertIn('nonce="n2"', said := self.say())
        self.assertIn("nc=00000001", said)

    def test_next_nonce(self) -> None:
        """The proxy may name the next nonce in any answer."""
        self.login.next_nonce('nextnonce="n0"')
        self.login.challenged([DIGEST], None)
        self.login.next_nonce('qop=auth, nextnonce="n9"')
        self.assertIn('nonce="n9"', self.say())

    def test_wrong(self) -> None:
        """A refused password is said once; nothing more is said before it is forgotten."""
        for offered in ([DIGEST], [BASIC]):
            self.login.forget()
            self.login.challenged(offered, None)
            self.assertFalse(self.login.challenged(offered, self.say()))
            self.assertEqual(self.login.refused, WRONG)
            self.assertIsNone(self.login.header("POST", URI))
            self.assertFalse(self.login.challenged(offered, None))
            self.assertFalse(self.login.is_changed())

    def test_changed_password(self) -> None:
        """A password that was changed meanwhile is tried; one that changes later is noticed."""
        self.login.challenged([DIGEST], None)
        said = self.say()
        self.known = ("clerk", "another")
        self.assertTrue(self.login.challenged([DIGEST], said))
        self.assertFalse(self.login.challenged([DIGEST], self.say()))
        self.assertFalse(self.login.is_changed())
        self.known = ("clerk", "a third")
        self.assertTrue(self.login.is_changed())

    def test_other_kind(self) -> None:
        """A proxy that asks for Digest where it took Basic before gets it."""
        self.login.challenged([BASIC], None)
        self.assertTrue(self.login.challenged([DIGEST], self.say()))
        self.assertEqual(self.login.kind, "Digest")

    def test_no_way(self) -> None:
        """Without credentials, or where only unknown kinds are offered, the reason is told."""
        self.assertFalse(self.login.challenged(["NTLM"], None))
        self.assertIn("not known here", self.login.refused)
        nobody = Login(lambda: ("", ""))
        self.assertFalse(nobody.challenged([BASIC], None))
        self.assertIn("none is configured", nobody.refused)
