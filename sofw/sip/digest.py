"""Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), the server's side and a phone's.

Phones of all ages are served: SHA-256 and MD5 side by side, qop "auth", "auth-int", or none at all
(RFC 2069), a user name with or without the domain.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from enum import Enum
from secrets import token_bytes

from attrs import frozen

from sofw.credentials import ALGORITHMS, format_auth, ha1, octets, respond, response
from sofw.sip.headers import parse_auth
from sofw.sip.nonce import Nonces

__all__ = ["ALGORITHMS", "Challenger", "Lookup", "Outcome", "Verdict", "answer", "ha1"]

#: user, realm, algorithm → HA1 in hex, or None for a user or algorithm that is not there.
Lookup = Callable[[str, str, str], str | None]


class Outcome(Enum):
    """What came of a look at credentials.

    STALE: all right but for the nonce, so asking anew needs no password. ABSENT: not for this realm,
    or not of a kind that was asked for.
    """

    OK = "ok"
    STALE = "stale"
    WRONG = "wrong"
    ABSENT = "absent"


@frozen
class Verdict:
    """The outcome, and the user it is about, without a domain; "" when ABSENT."""

    outcome: Outcome
    user: str = ""


class Challenger:
    """Asks for credentials and checks them.

    `key` keys the nonces, `lifetime` is how many seconds one is good, `room` bounds how many used
    nonces are remembered (see Nonces). `now` is in seconds, of a clock that survives a restart.
    `algorithms` are offered, best first, but MD5 alone to phones whose User-Agent begins with one of
    `md5_agents`: they give up when they see an algorithm they do not know.
    """

    def __init__(
        self,
        key: bytes,
        lifetime: float = 300.0,
        room: int = 20000,
        random: Callable[[int], bytes] = token_bytes,
        algorithms: Sequence[str] = tuple(ALGORITHMS),
        md5_agents: tuple[str, ...] = (),
    ) -> None:
        self._key = key
        self._algorithms = algorithms
        self._md5_agents = md5_agents
        self._nonces = Nonces(key, lifetime, room, random)

    def challenge(self, realm: str, now: float, stale: bool = False, agent: str = "") -> tuple[str, ...]:
        """The values of WWW-Authenticate or Proxy-Authenticate: one per algorithm, best first.

        `agent` is the User-Agent of the phone, which may be one that gives up on what it does not know.
        """
        nonce = self._nonces.make(realm, now)
        common = {"realm": realm, "nonce": nonce, "qop": "auth"} | ({"stale": "true"} if stale else {})
        return tuple(format_auth("Digest", common | {"algorithm": name}) for name in self._offered(agent))

    def _offered(self, agent: str) -> Sequence[str]:
        limited = "MD5" in self._algorithms and agent.startswith(self._md5_agents)
        return ("MD5",) if limited else self._algorithms

    def check(
        self, credentials: str, method: str, body: bytes, lookup: Lookup, now: float, realm: str
    ) -> Verdict:
        """Judge the value of an Authorization or Proxy-Authorization header.

        The URI in it is only used as it stands: phones put in the Request-URI, the registrar's or one
        without parameters, and proxies rewrite the former. Raises SipError when it is malformed.
        """
        scheme, given = parse_auth(credentials)
        algorithm = given.get("algorithm", "MD5").upper()
        if scheme.lower() != "digest" or given.get("realm") != realm or algorithm not in self._algorithms:
            return Verdict(Outcome.ABSENT)
        name = given.get("username", "")
        user = _without_domain(name, realm)
        count = _count(given)
        right = self._is_right(given, algorithm, method, body, lookup(name, realm, algorithm))
        if not right or count is None:
            return Verdict(Outcome.WRONG, user)
        # Stale only after a right response (RFC 7616 §3.3): others learn nothing of the nonce.
        fresh = self._nonces.use(given["nonce"], realm, count, now)
        return Verdict(Outcome.OK if fresh else Outcome.STALE, user)

    def _is_right(
        self, given: dict[str, str], algorithm: str, method: str, body: bytes, found: str | None
    ) -> bool:
        """Whether the response is what the password gives; takes the same time for an unknown user."""
        secret = found or hmac.digest(self._key, octets(given.get("username", "")), "sha256").hex()
        expected = response(algorithm, secret, given, method, body)
        same = hmac.compare_digest(octets(expected), octets(given.get("response", "").lower()))
        complete = all(given.get(name) for name in ("username", "nonce", "uri"))
        return same and complete and found is not None


def answer(
    challenge: str,
    user: str,
    password: str,
    method: str,
    uri: str,
    body: bytes = b"",
    count: int = 1,
    cnonce: str | None = None,
) -> str:
    """The credentials a phone gives for one value of a challenge, with the best qop offered or none.

    `count` rises by one each time the same nonce is used. Raises SipError for a malformed challenge,
    LocalError for an algorithm that is not known here.
    """
    return respond(parse_auth(challenge)[1], user, password, method, uri, body, count, cnonce)


def _count(given: dict[str, str]) -> int | None:
    """The nonce count; 0 without qop, so that such a nonce serves once; None when it is malformed."""
    if "qop" not in given:
        return 0
    text = given.get("nc", "")
    known = given["qop"].lower() in ("auth", "auth-int") and bool(given.get("cnonce"))
    if not known or not 0 < len(text) <= 8 or any(digit not in "0123456789abcdefABCDEF" for digit in text):
        return None
    return int(text, 16)


def _without_domain(name: str, realm: str) -> str:
    user, at, domain = name.rpartition("@")
    return user if at and domain.lower() == realm.lower() else name
