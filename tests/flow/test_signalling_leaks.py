"""Whatever two phones and time do, in whatever order: nothing is left when all is over."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.actions import Action, Resolve
from sofw.flow.calls import LONGEST_UNSEEN
from sofw.sip.locate import Destination
from sofw.sip.message import Request, Response
from tests.flow.world import ALICE, BOB, World, reply, request, sdp, sent

BOB2 = Flow(OUTSIDE, Transport.UDP, Address("203.0.113.21", 5060), 5060)
#: Timer C, then 64*T1 for the CANCEL, then what absorbs repetitions.
LONG = 181 + 64 + 1
VIDEO = "m=video 4002 RTP/AVP 96\r\n"
#: What a phone says in its SDP: nothing, audio, more, less, nonsense.
BODIES = ["", "audio", "video", "off", "hold", "nonsense"]

answers = st.tuples(
    st.just("answer"),
    st.integers(0, 5),
    st.sampled_from([100, 180, 183, 200, 302, 401, 404, 481, 486, 488, 503, 603]),
    st.sampled_from(["b1", "b2"]),
    st.sampled_from(BODIES),
)
sayings = st.tuples(
    st.just("say"),
    st.sampled_from(["ACK", "BYE", "INVITE", "UPDATE", "PRACK", "INFO"]),
    st.sampled_from(["b1", "b2", "nobody"]),
    st.sampled_from(BODIES),
)
steps = st.lists(
    answers
    | sayings
    | st.tuples(st.just("cancel"))
    | st.tuples(st.just("wait"), st.sampled_from([0.6, 5.0, 33.0, 182.0]))
    | st.tuples(st.just("fail"), st.integers(0, 5))
    | st.tuples(st.just("delete")),
    max_size=14,
)


def body(kind: str, flow: Flow) -> bytes:
    """An SDP of that kind."""
    extra = {"video": VIDEO, "hold": "a=sendonly\r\n"}.get(kind, "")
    if kind in ("", "nonsense"):
        return b"v=0\r\nm=audio x\r\n" if kind else b""
    return sdp(flow, 0 if kind == "off" else 4000, extra=extra)


class Play:
    """Alice has invited bob, who has two phones."""

    domain = "example.com"
    found: tuple[Destination, ...] = ()

    def __init__(self, offer: str) -> None:
        self.world = World()
        self.world.register("alice")
        for flow in (BOB, BOB2):
            data = request("REGISTER", "sip:example.com", flow, "bob", "bob@example.com", call_id=str(flow))
            self.world.login(flow, data, "bob")
        self.heard: list[tuple[Flow, Request]] = []
        self.number = 2
        invite = request("INVITE", f"sip:bob@{self.domain}", ALICE, "alice", body=body(offer, ALICE))
        self.routes: tuple[str, ...] = ()
        self.take(self.world.login(ALICE, invite, "alice"))
        if self.heard:
            self.routes = self.heard[0][1].headers.all("Record-Route")[::-1]

    def take(self, actions: list[Action]) -> None:
        """The phones hear what is sent; names lead to what is `found`."""
        for flow, message in sent(actions):
            if isinstance(message, Request) and message.method not in ("ACK", "CANCEL"):
                self.heard.append((flow, message))
            elif isinstance(message, Response) and message.record_routes:
                self.routes = message.headers.all("Record-Route")[::-1]
        for action in actions:
            if isinstance(action, Resolve):
                self.take(self.world.noted(self.world.core.resolved(action.key, self.found, self.world.now)))

    def answer(self, which: int, status: int, tag: str, kind: str) -> None:
        """A phone answers one of the requests it has heard."""
        if self.heard:
            flow, heard = self.heard[which % len(self.heard)]
            self.take(self.world.say(flow, reply(heard, status, flow, tag, body(kind, flow))))

    def say(self, method: str, tag: str, kind: str) -> None:
        """Alice says something within a dialog."""
        self.number += 1
        headers = "".join(f"Route: {route}\r\n" for route in self.routes)
        self.take(
            self.world.say(
                ALICE,
                request(
                    method, "sip:bob@203.0.113.20:5060", ALICE, "alice", "bob@example.com", tag, self.number,
                    headers=headers, body=body(kind, ALICE),
                ),
            )
        )  # fmt: skip

    def cancel(self) -> None:
        """Alice gives up."""
        data = request(
            "CANCEL", f"sip:bob@{self.domain}", ALICE, "alice", cseq=2, branch="againINVITE1alicecall"
        )
        self.take(self.world.say(ALICE, data))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.take(self.world.run_timers(seconds))

    def fail(self, which: int) -> None:
        """A message could not be sent."""
        keys = sorted(self.world.core._forwarding._ways, key=str)
        if keys:
            self.take(self.world.noted(self.world.core.failed(keys[which % len(keys)], self.world.now)))

    def delete(self) -> None:
        """The operator deletes a site."""
        self.take(self.world.noted(self.world.core.site_gone("tokyo", self.world.now)))

    def left(self) -> dict[str, int]:
        """What is still there when everybody has fallen silent."""
        self.wait(LONG)
        self.take(self.world.noted(self.world.calls.sweep(self.world.now)))
        self.world.now += LONGEST_UNSEEN + 1
        self.world.noted(self.world.calls.sweep(self.world.now))
        core, calls = self.world.core, self.world.calls
        found = {
            "transactions": len(core._transactions),
            "acks": len(core._transactions._acks),
            "ways": len(core._forwarding),
            "jobs": len(core._forwarding._jobs),
            "calls": len(calls),
            "rows": len(self.world.table),
            "doors": len(self.world.table.doors),
            "ports": sum(leg.ports.taken for leg in calls._legs.values()),
            "busy": len(calls._load),
            "timers": len(self.world.timers),
        }
        return {name: count for name, count in found.items() if count}


class PlayAway(Play):
    """Alice has invited somebody at elsewhere.org, whose servers are bob's phones."""

    domain = "elsewhere.org"
    found = tuple(Destination(flow.transport, flow.remote.host, 5060) for flow in (BOB, BOB2, BOB))


class Leaks(SynchronousTestCase):
    """Hypothesis plays bob's phones, alice, the network and the clock."""

    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([Play, PlayAway]), st.sampled_from(BODIES), steps)
    def test_nothing_is_left(self, kind: type[Play], offer: str, script: list[tuple]) -> None:
        """No transaction, way, call, row, port or timer."""
        play = kind(offer)
        for what, *arguments in script:
            getattr(play, what)(*arguments)
        self.assertEqual(play.left(), {})

    @settings(deadline=None, max_examples=75, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([Play, PlayAway]), st.sampled_from(BODIES), steps)
    def test_nothing_of_the_inside_is_shown(self, kind: type[Play], offer: str, script: list[tuple]) -> None:
        """No message that bob hears names an address of tokyo."""
        play = kind(offer)
        for what, *arguments in script:
            getattr(play, what)(*arguments)
        for flow, heard in play.heard:
            if flow.leg == OUTSIDE:
                self.assertNotIn(b"192.168.", heard.body)
                self.assertNotIn("192.168.", "".join(value for _, value in heard.headers.fields))
