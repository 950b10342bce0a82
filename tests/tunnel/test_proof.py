"""Tests of the proofs of the secret."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address
from sofw.tunnel import proof as module
from sofw.tunnel.exchange import Claim, ExchangeError, Hello, claim_body, read_claim
from sofw.tunnel.proof import (
    CHALLENGE_LIFE,
    Challenges,
    SessionKey,
    check_claim,
    check_session,
    prove_claim,
    prove_session,
)
from sofw.tunnel.rungs import Purpose

SECRET = b"a secret of the right length ...."
HELLO = Hello("head-office", Address("192.168.1.10", 5060), 20000, 29999, "192.168.1.10")
NONCE, SESSION = "0" * 32, "a" * 32


def claim(challenge: str, nonce: str = NONCE, hello: Hello = HELLO, secret: bytes = SECRET) -> Claim:
    """A claim as HRAC makes it and HRAS reads it."""
    return read_claim(claim_body(hello, nonce, challenge, prove_claim(secret, hello, nonce, challenge)))


class ClaimTests(SynchronousTestCase):
    """HRAC proves the secret."""

    def test_right(self) -> None:
        """The right secret is accepted."""
        check_claim(SECRET, claim("12.ab"))

    def test_wrong(self) -> None:
        """Another secret, an unknown site, or anything changed on the way is refused with 403."""
        good = claim("12.ab")
        cases = [
            (b"another", good),
            (None, good),
            (b"", claim("12.ab", secret=b"")),
            (SECRET, evolve(good, nonce="1" * 32)),
            (SECRET, evolve(good, challenge="13.ab")),
            (SECRET, evolve(good, signed=good.signed.replace(b"29999", b"39999"))),
            (SECRET, evolve(good, proof="0" * 64)),
        ]
        for secret, wrong in cases:
            self.assertEqual(self.assertRaises(ExchangeError, check_claim, secret, wrong).status, 403)

    def test_secret_stays(self) -> None:
        """The secret is in none of the bodies."""
        body = claim_body(HELLO, NONCE, "12.ab", prove_claim(SECRET, HELLO, NONCE, "12.ab"))
        self.assertNotIn(SECRET, body)
        self.assertNotIn(SECRET.hex().encode(), body)


class ChallengeTests(SynchronousTestCase):
    """HRAS's challenges."""

    def setUp(self) -> None:
        self.challenges = Challenges(b"key")

    def refused(self, wrong: Claim, now: float) -> int:
        """The status with which a claim is refused."""
        return self.assertRaises(ExchangeError, self.challenges.redeem, wrong, now).status

    def test_once(self) -> None:
        """A challenge is good for one session."""
        good = claim(self.challenges.make("head-office", NONCE, 1000.5))
        self.challenges.redeem(good, 1001)
        self.assertEqual(self.refused(good, 1002), 403)

    def test_not_for_others(self) -> None:
        """It is good for its site, its nonce, its HRAS and its time only."""
        made = self.challenges.make("head-office", NONCE, 1000)
        other = Challenges(b"other").make("head-office", NONCE, 1000)
        cases = [
            (claim(made, hello=evolve(HELLO, site="branch")), 1001.0),
            (claim(made, nonce="1" * 32), 1001.0),
            (claim(other), 1001.0),
            (claim(made), 1000.0 + CHALLENGE_LIFE),
            (claim(made), 900.0),
            (claim("9" * 200), 1001.0),
        ]
        for wrong, now in cases:
            self.assertEqual(self.refused(wrong, now), 403)
        self.challenges.redeem(claim(made), 1001)

    def test_bound(self) -> None:
        """The memory of used challenges is bounded, and empties with time."""
        self.patch(module, "MAX_USED", 2)
        nonces = [digit * 32 for digit in "123"]
        claims = [claim(self.challenges.make("head-office", nonce, 1000), nonce) for nonce in nonces]
        for good in claims[:2]:
            self.challenges.redeem(good, 1001)
        self.assertEqual(self.refused(claims[2], 1001), 503)
        later = claim(self.challenges.make("head-office", NONCE, 1061))
        self.challenges.redeem(later, 1062)


class SessionTests(SynchronousTestCase):
    """HRAS's proof, and the lanes."""

    def test_server(self) -> None:
        """HRAS proves the secret too."""
        right = prove_session(SECRET, NONCE, "12.ab", SESSION)
        check_session(SECRET, NONCE, "12.ab", SESSION, right)
        for secret, nonce, wrong in (
            (b"x", NONCE, right),
            (SECRET, "1" * 32, right),
            (SECRET, NONCE, "0" * 64),
        ):
            self.assertRaises(ExchangeError, check_session, secret, nonce, "12.ab", SESSION, wrong)

    def test_lanes(self) -> None:
        """Each number opens one lane for each purpose, and numbers rise; parts of one lane share theirs."""
        here, there = (SessionKey(SECRET, NONCE, "12.ab", SESSION) for _ in range(2))
        steps = [
            (here.lane(Purpose.UP, 1), True),
            (here.lane(Purpose.UP, 1), False),
            (evolve(here.lane(Purpose.UP, 1), purpose=Purpose.DOWN), False),
            (here.lane(Purpose.DOWN, 1), True),
            (here.lane(Purpose.DOWN, 7), True),
            (here.lane(Purpose.DOWN, 6), False),
            (evolve(here.lane(Purpose.UP, 8), number=9), False),
            (SessionKey(b"x", NONCE, "12.ab", SESSION).lane(Purpose.UP, 9), False),
            (here.lane(Purpose.UP, 2), True),
            (here.lane(Purpose.UP, 2, 1), False),
            (here.lane(Purpose.UP, 3, 2), True),
            (here.lane(Purpose.UP, 3, 1), True),
            (here.lane(Purpose.UP, 3, 1), True),
            (evolve(here.lane(Purpose.UP, 3, 1), part=3), False),
            (here.lane(Purpose.UP, 3), False),
            (here.lane(Purpose.UP, 2, 9), False),
        ]
        for number, (lane, admitted) in enumerate(steps):
            if admitted:
                there.admit(lane)
            else:
                error = self.assertRaises(ExchangeError, there.admit, lane)
                self.assertEqual(error.status, 403, number)
