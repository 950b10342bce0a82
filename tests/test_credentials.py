"""Tests of what SIP's and HTTP's authentication have in common."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.credentials import format_auth, quote, respond, unquote
from sofw.errors import LocalError

#: RFC 7616 §3.9.1.
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
ASKED = {
    "realm": "http-auth@example.org",
    "qop": "auth, auth-int",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
}
ANSWERS = {
    "MD5": "8ca523f5e9506fed4657c9700eebdbec",
    "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
}


class CredentialsTests(SynchronousTestCase):
    """Hashes and their text."""

    def test_rfc_example(self) -> None:
        """The answers of RFC 7616 §3.9.1 come out, and the parameters stand as they must."""
        for algorithm, answer in ANSWERS.items():
            asked = ASKED | {"algorithm": algorithm}
            found = respond(
                asked, "Mufasa", "Circle of Life", "GET", "/dir/index.html", count=1, cnonce=CNONCE
            )
            self.assertIn(f'response="{answer}"', found)
            for part in (
                f"algorithm={algorithm}",
                "nc=00000001",
                "qop=auth,",
                'username="Mufasa"',
                "opaque=",
            ):
                self.assertIn(part, found)

    def test_unknown_algorithm(self) -> None:
        """An algorithm that is not known is an error that names it."""
        error = self.assertRaises(LocalError, respond, {"algorithm": "X-1"}, "a", "b", "GET", "/")
        self.assertIn("X-1", str(error))

    def test_quoting(self) -> None:
        """Quotes and backslashes survive; a text without quotes is left alone."""
        for text in ("", 'a"b', "\\", '\\"', "a b,c"):
            self.assertEqual(unquote(quote(text)), text)
        self.assertEqual(unquote("token"), "token")
        self.assertEqual(
            format_auth("Digest", {"realm": 'a"b', "stale": "true"}), 'Digest realm="a\\"b", stale=true'
        )
