"""Who may do what."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE
from sofw.flow.admission import Admission, Domains, without_credentials
from sofw.sip.digest import Challenger, answer, ha1
from sofw.sip.headers import Headers
from sofw.sip.message import Request, SipError
from sofw.sip.proxy import Interface, Refusal
from sofw.sip.uri import parse_uri

NOW = 1000.0
DOMAINS = ("example.com", "example.org")
HERE = Interface(OUTSIDE, "203.0.113.10", 5060)


def lookup(user: str, domain: str, algorithm: str) -> str | None:
    """Alice is in both domains, with a password each; old is known by MD5 only."""
    if user == "alice" and domain in DOMAINS:
        return ha1(user, domain, f"secret of {domain}", algorithm)
    return ha1(user, domain, "old", algorithm) if (user, algorithm) == ("old", "MD5") else None


def request(method: str, from_: str, to: str = "sip:alice@example.com", *more: tuple[str, str]) -> Request:
    """A request from and to."""
    fields = (("From", f"<{from_}>;tag=a"), ("To", f"<{to}>"), *more)
    return Request(method, "sip:example.com", Headers(fields))


class Case(SynchronousTestCase):
    """An admission and a phone that answers it."""

    def setUp(self) -> None:
        self.admission = Admission(Domains(DOMAINS), lookup, Challenger(b"k" * 32))

    def ask(self, given: Request, now: float = NOW) -> str | None:
        """Ask in the way of its method."""
        check = self.admission.registrant if given.method == "REGISTER" else self.admission.sender
        return check(given, HERE, now)

    def with_credentials(
        self, given: Request, user: str, password: str, which: int = 0, now: float = NOW
    ) -> Request:
        """The request again, with an answer to one of the challenges it met."""
        refusal = self.assertRaises(Refusal, self.ask, given, now)
        header = "Authorization" if refusal.status == 401 else "Proxy-Authorization"
        credentials = answer(refusal.headers[which][1], user, password, given.method, "sip:example.com")
        return Request(given.method, given.uri, given.headers.append(header, credentials))


class DomainsOfUris(SynchronousTestCase):
    """Which URIs are ours."""

    def test_table(self) -> None:
        """By name without regard to case; our own address stands for the first."""
        cases = [
            ("sip:x@example.com", "example.com"),
            ("sip:x@EXAMPLE.ORG:5070", "example.org"),
            ("sip:x@203.0.113.10", "example.com"),
            ("sip:x@203.0.113.11", None),
            ("sip:x@sub.example.com", None),
            ("tel:123", None),
        ]
        for uri, domain in cases:
            with self.subTest(uri):
                self.assertEqual(Domains(DOMAINS).of(parse_uri(uri), HERE), domain)


class Registrants(Case):
    """REGISTER: §10.3 steps 3 to 5."""

    def test_challenge(self) -> None:
        """401 in the domain of the To, both algorithms, the better one first."""
        refusal = self.assertRaises(
            Refusal, self.ask, request("REGISTER", "sip:x@y", "sip:alice@example.org")
        )
        self.assertEqual(refusal.status, 401)
        self.assertEqual([name for name, _ in refusal.headers], ["WWW-Authenticate"] * 2)
        for (_, value), algorithm in zip(refusal.headers, ("SHA-256", "MD5"), strict=True):
            self.assertIn('realm="example.org"', value)
            self.assertIn(f"algorithm={algorithm}", value)

    def test_who_is_let_in(self) -> None:
        """The right password for the right record, in either algorithm."""
        cases = [
            ("sip:alice@example.com", "alice", "secret of example.com", 0, "alice@example.com"),
            ("sip:alice@example.com", "alice", "secret of example.com", 1, "alice@example.com"),
            ("sip:%61lice@EXAMPLE.com", "alice", "secret of example.com", 0, "alice@example.com"),
            ("sip:alice@203.0.113.10", "alice", "secret of example.com", 0, "alice@example.com"),
            ("sip:alice@example.org", "alice", "secret of example.org", 0, "alice@example.org"),
            ("sip:alice@example.org", "alice", "secret of example.com", 0, 401),
            ("sip:alice@example.com", "nobody", "x", 0, 401),
            ("sip:old@example.com", "old", "old", 1, "old@example.com"),
            ("sip:old@example.com", "old", "old", 0, 401),
            ("sip:bob@example.com", "alice", "secret of example.com", 0, 403),
            ("sip:Alice@example.com", "alice", "secret of example.com", 0, 403),
        ]
        for to, user, password, which, expected in cases:
            with self.subTest(to=to, user=user, which=which):
                given = self.with_credentials(request("REGISTER", to, to), user, password, which)
                if isinstance(expected, str):
                    self.assertEqual(self.ask(given), expected)
                else:
                    self.assertEqual(self.assertRaises(SipError, self.ask, given).status, expected)

    def test_foreign_domain(self) -> None:
        """404, or 400 for what can be no address-of-record; nobody is asked for a password."""
        for to, status in (("sip:alice@elsewhere.org", 404), ("tel:123", 400), ("isbn:2983792873", 400)):
            error = self.assertRaises(SipError, self.ask, request("REGISTER", "sip:x@y", to))
            self.assertEqual(error.status, status)

    def test_stale(self) -> None:
        """A right answer to an old nonce is asked again without blame, so that no user is bothered."""
        given = self.with_credentials(
            request("REGISTER", "sip:x@y", "sip:alice@example.com"), "alice", "secret of example.com"
        )
        refusal = self.assertRaises(Refusal, self.ask, given, NOW + 100000)
        self.assertTrue(all("stale=true" in value for _, value in refusal.headers))
        self.assertEqual(self.ask(given), "alice@example.com")
        refusal = self.assertRaises(Refusal, self.ask, given)
        self.assertIn("stale=true", refusal.headers[0][1])

    def test_several_credentials(self) -> None:
        """Those for another realm are passed over (§22.3); malformed ones are an error."""
        given = self.with_credentials(
            request("REGISTER", "sip:x@y", "sip:alice@example.com"), "alice", "secret of example.com"
        )
        other = 'Digest realm="elsewhere.org", username="alice", nonce="x", uri="sip:x", response="x"'
        both = Request(given.method, given.uri, given.headers.prepend("Authorization", other))
        self.assertEqual(self.ask(both), "alice@example.com")
        bad = request("REGISTER", "sip:x@y", "sip:alice@example.com", ("Authorization", 'Digest realm="'))
        self.assertEqual(self.assertRaises(SipError, self.ask, bad).status, 400)


class Senders(Case):
    """Every other request."""

    def test_foreign(self) -> None:
        """Somebody of elsewhere is nobody of ours; no password is asked for."""
        for from_ in ("sip:eve@elsewhere.org", "tel:123", "sip:anonymous@anonymous.invalid"):
            self.assertIsNone(self.ask(request("INVITE", from_)))

    def test_local(self) -> None:
        """407 first; then the user, and nobody else."""
        given = request("INVITE", "sip:alice@example.com")
        refusal = self.assertRaises(Refusal, self.ask, given)
        self.assertEqual((refusal.status, refusal.headers[0][0]), (407, "Proxy-Authenticate"))
        answered = self.with_credentials(given, "alice", "secret of example.com")
        self.assertEqual(self.ask(answered), "alice@example.com")
        forged = self.with_credentials(
            request("INVITE", "sip:bob@example.com"), "alice", "secret of example.com"
        )
        self.assertEqual(self.assertRaises(SipError, self.ask, forged).status, 403)

    def test_known(self) -> None:
        """Whoever has a hash in one algorithm or the other."""
        for user, domain, known in (
            ("alice", "example.com", True),
            ("old", "example.com", True),
            ("alice", "elsewhere.org", False),
            ("bob", "example.com", False),
        ):
            self.assertEqual(self.admission.known(user, domain), known)

    def test_without_credentials(self) -> None:
        """Ours are taken off, however they are written; those for others travel on (§22.3)."""
        theirs = ('Digest realm="elsewhere.org", username="example.com"', "Bearer abc")
        ours = ('Digest realm="example.com"', 'Digest username="a", Realm = "example.org"')
        given = request(
            "INVITE", "sip:x@y", "sip:b@c", *(("Proxy-Authorization", value) for value in (*ours, *theirs))
        )
        left = without_credentials(given, DOMAINS).headers.all("Proxy-Authorization")
        self.assertEqual(left, theirs)
