"""Tests for sofw.sip.digest."""

from __future__ import annotations

import hmac
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.credentials import format_auth
from sofw.errors import LocalError
from sofw.sip.digest import Challenger, Outcome, Verdict, answer, ha1
from sofw.sip.headers import parse_auth
from sofw.sip.message import SipError

REALM = "example.com"
URI = "sip:example.com"
NOW = 1_700_000_000.0
OK, STALE, WRONG = (Verdict(outcome, "alice") for outcome in (Outcome.OK, Outcome.STALE, Outcome.WRONG))
ABSENT = Verdict(Outcome.ABSENT)


def lookup(user: str, realm: str, algorithm: str) -> str | None:
    """alice is known, also by her full name."""
    known = user in ("alice", "alice@example.com", "Алиса") and realm == REALM
    return ha1(user, realm, "secret", algorithm) if known else None


def hashed(given: dict[str, str], user: str = "alice", secret: str = "") -> str:
    """SHA-256 credentials for a REGISTER with exactly these values and the hash they ask for."""

    def digest(*parts: str) -> str:
        return sha256(":".join(parts).encode()).hexdigest()

    secret = secret or digest(user, REALM, "secret")
    counted = [given[name] for name in ("nc", "cnonce", "qop") if name in given]
    response = digest(secret, given["nonce"], *counted, digest("REGISTER", given["uri"]))
    pairs = {"username": user, "realm": REALM, "algorithm": "SHA-256", "response": response}
    return format_auth("Digest", pairs | given)


class Registrar:
    """A challenger, and a phone that answers it."""

    def __init__(self) -> None:
        self.challenger = Challenger(b"k" * 32)

    def ask(self, algorithm: str = "SHA-256", qop: str | None = "auth", now: float = NOW) -> str:
        """One value of a fresh challenge, its qop replaced or dropped as an old phone would."""
        values = self.challenger.challenge(REALM, now)
        scheme, pairs = parse_auth(next(value for value in values if f"={algorithm}" in value))
        pairs.pop("qop")
        return format_auth(scheme, pairs if qop is None else pairs | {"qop": qop})

    def check(self, credentials: str, body: bytes = b"", now: float = NOW) -> Verdict:
        """The verdict on the credentials of a REGISTER."""
        return self.challenger.check(credentials, "REGISTER", body, lookup, now, REALM)


class VectorTests(SynchronousTestCase):
    """The examples the RFCs publish."""

    CASES = (
        # realm, qop, algorithm, nonce, cnonce, password, response
        (
            "http-auth@example.org",
            "auth, auth-int",
            "MD5",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "Circle of Life",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            "http-auth@example.org",
            "auth, auth-int",
            "SHA-256",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "Circle of Life",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (
            "testrealm@host.com",
            "auth,auth-int",
            "",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "0a4f113b",
            "Circle Of Life",
            "6629fae49393a05397450978507c4ef1",
        ),
    )

    def test_published(self) -> None:
        """RFC 7616 §3.9.1 with both algorithms, and RFC 2617 §3.5."""
        for realm, qop, algorithm, nonce, cnonce, password, response in self.CASES:
            pairs = {"realm": realm, "qop": qop, "nonce": nonce, "opaque": "x"}
            challenge = format_auth("Digest", pairs | ({"algorithm": algorithm} if algorithm else {}))
            found = answer(challenge, "Mufasa", password, "GET", "/dir/index.html", cnonce=cnonce)
            expected = {
                "username": "Mufasa",
                "realm": realm,
                "nonce": nonce,
                "uri": "/dir/index.html",
                "qop": "auth",
                "nc": "00000001",
                "cnonce": cnonce,
                "response": response,
                "opaque": "x",
            } | ({"algorithm": algorithm} if algorithm else {})
            self.assertEqual(parse_auth(found), ("Digest", expected))

    def test_ha1(self) -> None:
        """The stored hash is that of user, realm and password."""
        self.assertEqual(
            ha1("Mufasa", "testrealm@host.com", "Circle Of Life", "MD5"), "939e7578ed9e3c518a452acee763bce9"
        )


class ChallengeTests(SynchronousTestCase):
    """What a phone is asked."""

    def test_values(self) -> None:
        """SHA-256 before MD5 (RFC 8760 §2.4), each with realm, nonce and qop in quotes."""
        values = Challenger(b"k", random=bytes).challenge(REALM, NOW)
        nonce = parse_auth(values[0])[1]["nonce"]
        asked = f'Digest realm="{REALM}", nonce="{nonce}", qop="auth", '
        self.assertEqual(values, (f"{asked}algorithm=SHA-256", f"{asked}algorithm=MD5"))

    def test_stale(self) -> None:
        """A phone that need not ask for the password again is told so."""
        for value in Challenger(b"k").challenge(REALM, NOW, stale=True):
            self.assertEqual(parse_auth(value)[1]["stale"], "true")

    def test_phones_that_give_up_on_sha256(self) -> None:
        """Only phones known to fail at the sight of SHA-256 are asked for MD5 alone."""
        challenger = Challenger(b"k", md5_agents=("baresip v1.",))
        cases = (("baresip v1.0.0 (x86_64/Linux)", 1), ("baresip v3.5", 2), ("", 2))
        for agent, count in cases:
            with self.subTest(agent):
                values = challenger.challenge("example.com", 0.0, agent=agent)
                self.assertEqual(len(values), count)
                self.assertIn("MD5", values[-1])

    def test_fewer_algorithms(self) -> None:
        """Only the algorithms wanted are offered, and only they are taken."""
        challenger = Challenger(b"k", algorithms=("MD5",))
        asked = challenger.challenge(REALM, NOW)
        self.assertEqual([parse_auth(value)[1]["algorithm"] for value in asked], ["MD5"])
        for algorithm, outcome in (("MD5", Outcome.OK), ("SHA-256", Outcome.ABSENT)):
            scheme, pairs = parse_auth(challenger.challenge(REALM, NOW)[0])
            challenge = format_auth(scheme, pairs | {"algorithm": algorithm})
            given = answer(challenge, "alice", "secret", "REGISTER", URI)
            verdict = challenger.check(given, "REGISTER", b"", lookup, NOW, REALM)
            self.assertEqual(verdict.outcome, outcome, algorithm)


class CheckTests(SynchronousTestCase):
    """What becomes of credentials."""

    def test_right(self) -> None:
        """Either algorithm, each qop and none, with and without a body: the phone gets in."""
        for algorithm in ("SHA-256", "MD5"):
            for qop in ("auth", "auth-int", None):
                for body in (b"", b"v=0\xff"):
                    registrar = Registrar()
                    given_ = answer(registrar.ask(algorithm, qop), "alice", "secret", "REGISTER", URI, body)
                    self.assertEqual(registrar.check(given_, body=body), OK, (algorithm, qop))

    def test_wrong(self) -> None:
        """A wrong password, method, body or user does not; unknown users look just the same."""
        registrar = Registrar()
        ask = registrar.ask
        for credentials in (
            answer(ask(), "alice", "guess", "REGISTER", URI),
            answer(ask("MD5"), "alice", "", "REGISTER", URI),
            answer(ask(), "alice", "secret", "INVITE", URI),
            answer(ask(qop=None), "alice", "secret", "INVITE", URI),
            answer(ask(qop="auth-int"), "alice", "secret", "REGISTER", URI, b"other"),
        ):
            self.assertEqual(registrar.check(credentials), WRONG, credentials)
        unknown = answer(ask(), "mallory", "secret", "REGISTER", URI)
        self.assertEqual(registrar.check(unknown), Verdict(Outcome.WRONG, "mallory"))

    def test_altered(self) -> None:
        """Right credentials with any one value changed or taken away are wrong."""
        registrar = Registrar()
        credentials = answer(registrar.ask(), "alice", "secret", "REGISTER", URI)
        scheme, pairs = parse_auth(credentials)
        for name in ("nonce", "uri", "nc", "cnonce", "response", "qop"):
            for value in ("", "0", "x" * 32, "auth-int", "\udcff", "+1", "0x1", None):
                changed = {key: text for key, text in pairs.items() if (key, value) != (name, None)}
                changed |= {} if value is None else {name: value}
                self.assertEqual(registrar.check(format_auth(scheme, changed)), WRONG, (name, value))
        self.assertEqual(registrar.check(credentials), OK)

    def test_incomplete(self) -> None:
        """What RFC 7616 §3.4 asks for must be there and well-formed, even when the hash is right."""
        registrar = Registrar()
        nonce = parse_auth(registrar.ask())[1]["nonce"]
        good = {"uri": URI, "qop": "auth", "nc": "1", "cnonce": "c"}
        self.assertEqual(registrar.check(hashed(good | {"nonce": nonce})), OK)
        for change in (
            {"uri": ""},
            {"qop": "other"},
            {"qop": ""},
            {"nc": ""},
            {"nc": "123456789"},
            {"nc": "+2"},
            {"nc": "2_2"},
            {"cnonce": ""},
        ):
            self.assertEqual(registrar.check(hashed(good | {"nonce": nonce} | change)), WRONG, change)
        self.assertEqual(registrar.check(hashed({"uri": URI, "nonce": ""})), WRONG)

    def test_stand_in(self) -> None:
        """The secret that stands in for an unknown user's opens nothing, whatever it is."""
        registrar = Registrar()
        nonce = parse_auth(registrar.ask())[1]["nonce"]
        stand_in = hmac.digest(b"k" * 32, b"mallory", "sha256").hex()
        credentials = hashed({"uri": URI, "nonce": nonce}, "mallory", stand_in)
        self.assertEqual(registrar.check(credentials), Verdict(Outcome.WRONG, "mallory"))

    def test_nonce_counts(self) -> None:
        """A nonce serves again with the next count; the same request again is stale."""
        registrar = Registrar()
        challenge = registrar.ask()
        first, second = (answer(challenge, "alice", "secret", "REGISTER", URI, count=n) for n in (1, 2))
        found = [registrar.check(credentials) for credentials in (first, first, second, first)]
        self.assertEqual(found, [OK, STALE, OK, STALE])

    def test_no_qop_once(self) -> None:
        """Without qop there is no count, so a nonce serves once."""
        registrar = Registrar()
        credentials = answer(registrar.ask(qop=None), "alice", "secret", "REGISTER", URI)
        self.assertEqual([registrar.check(credentials), registrar.check(credentials)], [OK, STALE])

    def test_expired(self) -> None:
        """After its lifetime a nonce is stale for those who know the password, to others all is wrong."""
        registrar = Registrar()
        words = ("secret", "guess")
        right, wrong = (answer(registrar.ask(), "alice", word, "REGISTER", URI) for word in words)
        self.assertEqual(registrar.check(right, now=NOW + 301), STALE)
        self.assertEqual(registrar.check(wrong, now=NOW + 301), WRONG)

    def test_foreign_nonce(self) -> None:
        """A nonce that is not ours is stale: a phone kept it from before the key changed."""
        other = Challenger(b"other").challenge(REALM, NOW)[0]
        self.assertEqual(Registrar().check(answer(other, "alice", "secret", "REGISTER", URI)), STALE)

    def test_wrong_costs_no_memory(self) -> None:
        """Guessing does not use a nonce up for the one who knows the password."""
        registrar = Registrar()
        challenge = registrar.ask()
        registrar.check(answer(challenge, "alice", "guess", "REGISTER", URI))
        self.assertEqual(registrar.check(answer(challenge, "alice", "secret", "REGISTER", URI)), OK)

    def test_absent(self) -> None:
        """Credentials for another realm, scheme or algorithm are not looked at."""
        registrar = Registrar()
        scheme, pairs = parse_auth(answer(registrar.ask(), "alice", "secret", "REGISTER", URI))
        for credentials in (
            "Basic realm=x",
            format_auth("Basic", pairs),
            format_auth(scheme, pairs | {"realm": "example.org"}),
            format_auth(scheme, pairs | {"algorithm": "SHA-512-256"}),
            format_auth(scheme, pairs | {"algorithm": "MD5-sess"}),
            "Digest",
        ):
            self.assertEqual(registrar.check(credentials), ABSENT, credentials)

    def test_spelling(self) -> None:
        """Scheme, algorithm and hex digits have no case, and MD5 is meant where no algorithm is named."""
        registrar = Registrar()
        scheme, pairs = parse_auth(answer(registrar.ask("MD5"), "alice", "secret", "REGISTER", URI))
        pairs |= {"response": pairs["response"].upper(), "algorithm": "md5"}
        self.assertEqual(registrar.check(format_auth(scheme.upper(), pairs)), OK)
        scheme, pairs = parse_auth(answer(registrar.ask("MD5"), "alice", "secret", "REGISTER", URI))
        del pairs["algorithm"]
        self.assertEqual(registrar.check(format_auth(scheme.lower(), pairs)), OK)

    def test_names(self) -> None:
        """A name may have the domain or be in any script; the verdict has it without our domain."""
        registrar = Registrar()
        for name, user, outcome in (
            ("alice@example.com", "alice", Outcome.OK),
            ("Алиса", "Алиса", Outcome.OK),
            ("alice@EXAMPLE.com", "alice", Outcome.WRONG),
            ("alice@example.org", "alice@example.org", Outcome.WRONG),
        ):
            found = registrar.check(answer(registrar.ask(), name, "secret", "REGISTER", URI))
            self.assertEqual(found, Verdict(outcome, user))

    def test_any_uri(self) -> None:
        """Phones differ in the URI they name; it counts only as part of the hash."""
        for uri in ("sip:example.com", "sip:example.com:5060;transport=udp", "sip:192.0.2.1"):
            registrar = Registrar()
            self.assertEqual(registrar.check(answer(registrar.ask(), "alice", "secret", "REGISTER", uri)), OK)

    def test_malformed(self) -> None:
        """What is no credentials at all is the sender's fault."""
        for text in ("", 'Digest realm="', "Digest realm=a, realm=b", "Digest ="):
            self.assertEqual(self.assertRaises(SipError, Registrar().check, text).status, 400)

    @settings(deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(["username", "nonce", "uri", "nc", "cnonce", "response", "qop", "algorithm"]),
            st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
        )
    )
    def test_anything(self, pairs: dict[str, str]) -> None:
        """No values get in, or raise anything but a SipError."""
        text = ", ".join(f'{name}="{value}"' for name, value in {"realm": REALM, **pairs}.items())
        try:
            outcome = Registrar().check(f"Digest {text}").outcome
        except SipError:
            return
        self.assertIn(outcome, (Outcome.WRONG, Outcome.ABSENT))


class AnswerTests(SynchronousTestCase):
    """What the phone's side says of its own."""

    def test_unknown_algorithm(self) -> None:
        """An algorithm that is not known here cannot be answered."""
        challenge = 'Digest realm="a", nonce="b", algorithm=SHA-512-256'
        self.assertRaises(LocalError, answer, challenge, "alice", "secret", "REGISTER", URI)

    def test_cnonce(self) -> None:
        """Each answer has a cnonce of its own."""
        challenge = 'Digest realm="a", nonce="b", qop="auth"'
        found = {parse_auth(answer(challenge, "a", "p", "REGISTER", URI))[1]["cnonce"] for _ in range(9)}
        self.assertEqual(len(found), 9)
