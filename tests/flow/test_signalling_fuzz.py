"""Whatever arrives, from whichever leg: signalling answers or drops it, and never raises."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.flow.world import ALICE, BOB, CAROL, World, request, sdp, sent

TORTURE = sorted((Path(__file__).parent.parent / "data" / "torture").glob("*.dat"))
SEEDS = [
    request("INVITE", "sip:alice@example.com", BOB, "eve", body=sdp(BOB)).replace(
        b"eve@example.com", b"eve@x.org"
    ),
    request("REGISTER", "sip:example.com", ALICE, "alice", "alice@example.com"),
    request(
        "BYE",
        "sip:alice@192.168.1.10",
        BOB,
        "bob",
        to_tag="x",
        headers="Route: <sip:abc@203.0.113.10;lr>\r\n",
    ),
    request("CANCEL", "sip:alice@example.com", BOB, "bob"),
    request("ACK", "sip:alice@example.com", BOB, "bob", to_tag="y"),
    request("OPTIONS", "tel:+81-3-1234", CAROL, "carol"),
    request("MESSAGE", "urn:service:sos", CAROL, "carol"),
]
PIECES = [
    b"",
    b"\x00",
    b";",
    b"<",
    b">",
    b'"',
    b",",
    b"\r\n",
    b"\r\n ",
    b"sip:",
    b"[::1]",
    b"@",
    b"%00",
    b"\xff",
    b"99999999999",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message with a few places cut out and replaced."""
    data = draw(st.sampled_from([*SEEDS, *(path.read_bytes() for path in TORTURE)]))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 6)))
        data = data[:start] + draw(st.sampled_from(PIECES) | st.binary(max_size=4)) + data[stop:]
    return data


class Fuzz(SynchronousTestCase):
    """Hostile input."""

    def test_torture_messages_raise_nothing(self) -> None:
        """Each message of RFC 4475, from each leg."""
        self.assertEqual(len(TORTURE), 49)
        for path in TORTURE:
            for flow in (ALICE, BOB):
                world = World()
                world.register("alice")
                with self.subTest(path.name):
                    for flow_to, _ in sent(world.say(flow, path.read_bytes())):
                        self.assertIsNotNone(flow_to)

    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(mutated(), st.sampled_from([ALICE, BOB, CAROL])), min_size=1, max_size=4))
    def test_mutated_messages_raise_nothing(self, said: list) -> None:
        """Sequences of damaged messages; what is sent in return can itself be parsed."""
        world = World()
        world.register("alice")
        for data, flow in said:
            sent(world.say(flow, data))
