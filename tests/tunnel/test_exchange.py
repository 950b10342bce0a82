"""Tests of what the tunnel's HTTP requests look like."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address
from sofw.tunnel.exchange import (
    MAX_BODY,
    ExchangeError,
    Hello,
    LaneRequest,
    ceiling_capability,
    challenge_body,
    claim_body,
    hello_body,
    lane_path,
    read_challenge,
    read_claim,
    read_hello,
    read_lane_path,
    read_refusal,
    read_session,
    refusal_body,
    session_body,
    signed,
    tls_capability,
)
from sofw.tunnel.rungs import Purpose

HELLO = Hello("head-office", Address("192.168.1.10", 5060), 20000, 29999, "192.168.1.10", ("video",))
NONCE, SESSION, PROOF = "0" * 32, "a" * 32, "f" * 64

#: Keys of a hello and values they may not have.
WRONG_HELLO: list[tuple[str, Any]] = [
    ("site", ""),
    ("site", 7),
    ("site", "x" * 64),
    ("site", "line\nbreak"),
    ("site", "\udc80"),
    ("host", "phone.example"),
    ("host", None),
    ("port", 0),
    ("port", 65536),
    ("port", True),
    ("port", "5060"),
    ("first_port", 20001),
    ("last_port", 20000),
    ("last_port", 1.5),
    ("media_host", ""),
    ("capabilities", "video"),
    ("capabilities", [1]),
    ("capabilities", ["x" * 65]),
    ("capabilities", ["x"] * 65),
]

#: Bodies that are refused whatever they are for, and the status.
WRONG_BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"[]", 400),
    (b"null", 400),
    (b"\xff", 400),
    (b"[" * 5000, 400),
    (b'{"a":' * 3000, 400),
    (b" " * (MAX_BODY + 1), 413),
]

WRONG_PATHS = [
    "/",
    "/tunnel",
    "/tunnel/hello",
    f"/tunnel/{SESSION}/up/1/0",
    f"/tunnel/{SESSION}/up/1/0/{PROOF}/",
    f"/tunnel/{SESSION}/up/-1/0/{PROOF}",
    f"/tunnel/{SESSION}/up/1/-1/{PROOF}",
    f"/tunnel/{SESSION}/up/²/0/{PROOF}",
    f"/tunnel/{SESSION}/up//0/{PROOF}",
    f"/tunnel/{SESSION}/up/1//{PROOF}",
    f"/tunnel/{SESSION}/up/{'1' * 13}/0/{PROOF}",
    f"/tunnel/{SESSION}/up/1/{'1' * 13}/{PROOF}",
    f"/tunnel/{SESSION}/sideways/1/0/{PROOF}",
    f"/tunnel/{SESSION}/UP/1/0/{PROOF}",
    f"/tunnel/{SESSION[1:]}/up/1/0/{PROOF}",
    f"/tunnel/{SESSION}/up/1/0/{PROOF[1:]}g",
    f"/tunnel/{SESSION.upper()}/up/1/0/{PROOF}",
    f"/funnel/{SESSION}/up/1/0/{PROOF}",
    f"http://hras/tunnel/{SESSION}/up/1/0/{PROOF}",
]


class BodyTests(SynchronousTestCase):
    """Bodies and their readers."""

    def test_round_trips(self) -> None:
        """Each body is read as it was meant."""
        self.assertEqual(read_hello(hello_body("head-office", NONCE)), ("head-office", NONCE))
        self.assertEqual(read_challenge(challenge_body("12.ab")), "12.ab")
        self.assertEqual(read_session(session_body(SESSION, PROOF)), (SESSION, PROOF))
        self.assertEqual(read_refusal(refusal_body("No.")), "No.")
        claim = read_claim(claim_body(HELLO, NONCE, "12.ab", PROOF))
        self.assertEqual(
            (claim.hello, claim.nonce, claim.challenge, claim.proof), (HELLO, NONCE, "12.ab", PROOF)
        )

    def test_wrong_hellos(self) -> None:
        """A hello with a wrong value is refused with 400, and the value is named."""
        for key, value in WRONG_HELLO:
            fields = json.loads(claim_body(HELLO, NONCE, "12.ab", PROOF))
            fields["hello"][key] = value
            error = self.assertRaises(ExchangeError, read_claim, json.dumps(fields).encode())
            self.assertEqual(error.status, 400)
            self.assertIn(key.partition("_")[0], str(error))

    def test_wrong_claims(self) -> None:
        """A claim lacks a part, or has it in a wrong form."""
        for key, value in (("hello", []), ("nonce", "x"), ("challenge", ""), ("proof", PROOF.upper())):
            fields = {**json.loads(claim_body(HELLO, NONCE, "12.ab", PROOF)), key: value}
            self.assertRaises(ExchangeError, read_claim, json.dumps(fields).encode())

    def test_wrong_bodies(self) -> None:
        """What is no JSON object of a modest size is refused by every reader."""
        for body, status in WRONG_BODIES:
            for reader in (read_hello, read_claim, read_challenge, read_session):
                self.assertEqual(self.assertRaises(ExchangeError, reader, body).status, status)
            self.assertIsNone(read_refusal(body))

    def test_later_release(self) -> None:
        """What a later release says more is covered by the proof, and otherwise ignored."""
        fields = json.loads(claim_body(HELLO, NONCE, "12.ab", PROOF))
        self.assertEqual(read_claim(json.dumps(fields).encode()).signed, signed(HELLO))
        fields["hello"]["colour"] = "blue"
        claim = read_claim(json.dumps(fields).encode())
        self.assertEqual(claim.hello, HELLO)
        self.assertIn(b"blue", claim.signed)

    @settings(deadline=None)
    @given(
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(),
            lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["hello", "site", "nonce", "port"]), x),
        )
    )
    def test_any_json(self, value: Any) -> None:
        """Any JSON is read or refused."""
        for reader in (read_hello, read_claim, read_challenge, read_session):
            self.assertRaises(ExchangeError, reader, json.dumps(value).encode())


class TlsTests(SynchronousTestCase):
    """SIP over TLS in the hello."""

    def test_round_trip(self) -> None:
        """The port; none when the hello does not say, or says nonsense."""
        cases = [
            ((), None),
            (("video",), None),
            (("video", tls_capability(5061)), 5061),
            (("tls=0",), None),
            (("tls=65536",), None),
            (("tls=x",), None),
            (("tls=",), None),
        ]
        for capabilities, port in cases:
            with self.subTest(capabilities):
                hello = evolve(HELLO, capabilities=capabilities)
                claim = read_claim(claim_body(hello, NONCE, "challenge", PROOF))
                self.assertEqual(claim.hello.tls_port, port)


class CeilingTests(SynchronousTestCase):
    """What a site wants its tunnel to take at the most."""

    def test_ceiling(self) -> None:
        """It stands among the capabilities; what is no number is no ceiling."""
        for words, ceiling in (
            ((), 0),
            (("video", ceiling_capability(125000)), 125000),
            (("bytes-per-second",), 0),
            (("bytes-per-second=-1",), 0),
            (("bytes-per-second=fast",), 0),
        ):
            self.assertEqual(evolve(HELLO, capabilities=words).bytes_per_second, ceiling, words)


class PathTests(SynchronousTestCase):
    """Lane paths."""

    def test_round_trip(self) -> None:
        """A path says session, purpose, number, part and proof."""
        for purpose in Purpose:
            lane = LaneRequest(SESSION, purpose, 999_999_999_999, 999_999_999_998, PROOF)
            self.assertEqual(read_lane_path(lane_path(lane)), lane)

    def test_wrong_paths(self) -> None:
        """Everything else is no lane."""
        self.assertEqual([read_lane_path(path) for path in WRONG_PATHS], [None] * len(WRONG_PATHS))
