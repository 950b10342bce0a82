"""How the two halves show each other that they know the site's secret.

HRAC sends a nonce, HRAS answers with a challenge, and each proves the secret by an HMAC-SHA256 over both;
so nothing heard on the way can be said again. From the same values comes the session key, and under it the
proofs of the lanes, whose numbers rise. (Challenge and response as in RFC 5802's idea of mutual proof,
with a shared random key in place of a password.)
"""

from __future__ import annotations

import hmac

from sofw.tunnel.exchange import PROOF_LENGTH, Claim, ExchangeError, Hello, LaneRequest, signed
from sofw.tunnel.rungs import Purpose

#: Seconds within which a challenge must be answered.
CHALLENGE_LIFE = 60
#: Challenges that were answered are remembered until they expire: more sessions a minute are refused.
MAX_USED = 4096

_WRONG = "The site is not known here, or its secret is another one"


class Challenges:
    """HRAS's challenges. A hello leaves no trace here, so a flood of them cannot fill anything.

    `key` is random for each run. `now` is in seconds.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._used: dict[str, float] = {}

    def make(self, site: str, nonce: str, now: float) -> str:
        """A challenge that only this site may answer, with this nonce, and not for long."""
        return self._at(site, nonce, int(now) + CHALLENGE_LIFE)

    def redeem(self, claim: Claim, now: float) -> None:
        """Accept the challenge in a claim, once; raises ExchangeError (403, 503)."""
        expires = _number(claim.challenge.partition(".")[0])
        expected = self._at(claim.hello.site, claim.nonce, expires)
        if not _same(claim.challenge, expected) or not now < expires <= now + CHALLENGE_LIFE:
            raise ExchangeError("The challenge is not valid any more", 403)
        self._used = {used: until for used, until in self._used.items() if until > now}
        if claim.challenge in self._used:
            raise ExchangeError("The challenge was used before", 403)
        if len(self._used) >= MAX_USED:
            raise ExchangeError("Too many sessions at the moment", 503)
        self._used[claim.challenge] = expires

    def _at(self, site: str, nonce: str, expires: int) -> str:
        return f"{expires}.{_mac(self._key, 'challenge', str(expires), nonce, site)}"


class SessionKey:
    """What both halves derive from secret, nonce, challenge and session id; it opens lanes.

    A lane's number must be higher than any before for its purpose, so that a request cannot be repeated; only
    the parts of one lane share theirs, and whoever puts them in order drops what comes twice.
    """

    def __init__(self, secret: bytes, nonce: str, challenge: str, session: str) -> None:
        self.session = session
        self._key = bytes.fromhex(_mac(secret, "session key", nonce, challenge, session))
        self._last = {purpose: (0, False) for purpose in Purpose}

    def lane(self, purpose: Purpose, number: int, part: int = 0) -> LaneRequest:
        """The request for a lane, or for a part of one."""
        return LaneRequest(self.session, purpose, number, part, self._proof(purpose, number, part))

    def admit(self, lane: LaneRequest) -> None:
        """Check a request; raises ExchangeError (403)."""
        if not _same(lane.proof, self._proof(lane.purpose, lane.number, lane.part)):
            raise ExchangeError("The lane's proof is wrong", 403)
        number, parted = self._last[lane.purpose]
        if lane.number < number or (lane.number == number and not (parted and lane.part)):
            raise ExchangeError("A lane with this number was opened before", 403)
        self._last[lane.purpose] = (lane.number, lane.part > 0)

    def _proof(self, purpose: Purpose, number: int, part: int) -> str:
        return _mac(self._key, "lane", purpose.value, str(number), str(part))


def prove_claim(secret: bytes, hello: Hello, nonce: str, challenge: str) -> str:
    """HRAC's proof."""
    return _claim_proof(secret, nonce, challenge, signed(hello))


def check_claim(secret: bytes | None, claim: Claim) -> None:
    """Check HRAC's proof; raises ExchangeError (403), the same for an unknown site (no secret)."""
    # With an empty key no proof is right: the comparison takes its time all the same.
    expected = _claim_proof(secret or b"", claim.nonce, claim.challenge, claim.signed)
    if not _same(claim.proof, expected) or not secret:
        raise ExchangeError(_WRONG, 403)


def prove_session(secret: bytes, nonce: str, challenge: str, session: str) -> str:
    """HRAS's proof."""
    return _mac(secret, "hras", nonce, challenge, session)


def check_session(secret: bytes, nonce: str, challenge: str, session: str, proof: str) -> None:
    """Check HRAS's proof; raises ExchangeError (403)."""
    if not _same(proof, prove_session(secret, nonce, challenge, session)):
        raise ExchangeError("What answers there does not know the secret of this site", 403)


def _claim_proof(secret: bytes, nonce: str, challenge: str, said: bytes) -> str:
    return _mac(secret, "hrac", nonce, challenge, said.decode())


def _mac(key: bytes, purpose: str, *parts: str) -> str:
    """HMAC-SHA256 (RFC 2104) over the parts, each led by its length: no two lists look the same."""
    text = b"".join(b"%d:%b" % (len(part), part) for part in (each.encode() for each in (purpose, *parts)))
    return hmac.digest(key, text, "sha256").hex()


def _same(said: str, expected: str) -> bool:
    """Compare in constant time; text that is not ASCII is only wrong."""
    return hmac.compare_digest(said.encode(errors="replace"), expected.encode())


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= PROOF_LENGTH else 0
