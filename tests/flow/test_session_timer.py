"""Session timers of calls through the whole proxy (RFC 4028 §8): refused, added, refreshed, run out."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.flow.actions import Action, ClosePorts, Note
from sofw.sip.message import Message, Request, Response
from sofw.sip.session_timer import SessionTimer
from tests.flow.world import ALICE, BOB, World, reply, request, sdp, sent

KNOWS = "Supported: timer\r\n"


def one(actions: list[Action], kind: type[Message], status: int = 0) -> Message:
    """The one message of that kind, 100 left out."""
    found = [m for _, m in sent(actions) if isinstance(m, kind) and getattr(m, "status", 0) != 100]
    (message,) = [m for m in found if not status or getattr(m, "status", 0) == status]
    return message


class Case(SynchronousTestCase):
    """Alice, inside, calls bob."""

    def setUp(self) -> None:
        self.world = World(silence=1e6, session=SessionTimer(600, 90))
        self.world.register("alice", "bob")

    def invite(self, headers: str) -> list[Action]:
        """Alice's INVITE, admitted."""
        data = request("INVITE", "sip:bob@example.com", ALICE, "alice", headers=headers, body=sdp(ALICE))
        return self.world.login(ALICE, data, "alice")

    def talk(self, headers: str = KNOWS, answered: str = "") -> Response:
        """The call is up; returns what alice was told."""
        forwarded = one(self.invite(headers), Request)
        assert isinstance(forwarded, Request)
        self.routes = "".join(f"Route: {value}\r\n" for value in forwarded.headers.all("Record-Route"))
        done = self.world.say(BOB, reply(forwarded, 200, BOB, "bob", sdp(BOB), answered))
        response = one(done, Response)
        assert isinstance(response, Response)
        return response

    def refresh(self, method: str, cseq: int, headers: str = KNOWS, status: int = 200) -> Response:
        """Alice refreshes, bob answers; returns what she hears."""
        body = sdp(ALICE) if method == "INVITE" else b""
        data = request(
            method, f"sip:bob@{BOB.remote}", ALICE, "alice", to_tag="bob", cseq=cseq,
            headers=self.routes + headers, body=body,
        )  # fmt: skip
        forwarded = one(self.world.say(ALICE, data), Request)
        assert isinstance(forwarded, Request)
        body = sdp(BOB) if method == "INVITE" and status == 200 else b""
        actions = self.world.say(BOB, reply(forwarded, status, BOB, "bob", body))
        response = one(actions, Response)
        assert isinstance(response, Response)
        return response

    def left_after(self, seconds: float) -> int:
        """Calls that are still known then; every sweep on the way is made."""
        self.world.noted(self.world.core.start())
        self.world.run_timers(seconds)
        return len(self.world.calls)


class Asking(Case):
    """The INVITE."""

    def test_too_short(self) -> None:
        """422 with Min-SE; bob hears nothing, and nothing is left of the call."""
        done = self.invite(KNOWS + "Session-Expires: 60\r\n")
        refused = one(done, Response)
        assert isinstance(refused, Response)
        self.assertEqual((refused.status, refused.headers.get("Min-SE")), (422, "90"))
        self.assertEqual([m for _, m in sent(done) if isinstance(m, Request)], [])
        self.assertEqual(len(self.world.calls), 0)

    def test_added(self) -> None:
        """Bob is asked for our interval; without timers in alice's phone he is asked for nothing."""
        for headers, expected in ((KNOWS, "600"), ("", None)):
            self.setUp()
            self.assertEqual(one(self.invite(headers), Request).headers.get("Session-Expires"), expected)

    def test_told_to_refresh(self) -> None:
        """Bob's phone knows no timers: alice's is told to refresh, and that she must."""
        told = self.talk()
        self.assertEqual(told.headers.get("Session-Expires"), "600;refresher=uac")
        self.assertEqual(told.headers.all("Require"), ("timer",))

    def test_agreed(self) -> None:
        """What bob agrees to is passed on as it is."""
        told = self.talk(answered="Session-Expires: 200;refresher=uas\r\n")
        self.assertEqual(told.headers.all("Session-Expires"), ("200;refresher=uas",))
        self.assertEqual(told.headers.all("Require"), ())


class Expiry(Case):
    """How long a call lasts."""

    def test_run_out(self) -> None:
        """Its rows and ports are free when nobody refreshed it, and the log says why."""
        self.talk(answered="Session-Expires: 200;refresher=uas\r\n")
        self.assertEqual(self.left_after(199), 1)
        actions = self.world.later(2, ("sweep",))
        self.assertEqual(len([a for a in actions if isinstance(a, ClosePorts)]), 2)
        (note,) = [a for a in actions if isinstance(a, Note)]
        self.assertEqual(dict(note.fields)["why"], "session expired")
        self.assertEqual((len(self.world.table), len(self.world.calls)), (0, 0))

    def test_without_timers(self) -> None:
        """A call for which none was agreed does not expire."""
        self.talk("")
        self.assertEqual(self.left_after(86400), 1)

    def test_refreshed(self) -> None:
        """By re-INVITE and by UPDATE: the time begins again."""
        for method in ("INVITE", "UPDATE"):
            self.setUp()
            self.talk()
            self.assertEqual(self.left_after(500), 1)
            told = self.refresh(method, 3)
            self.assertEqual((told.status, told.headers.get("Session-Expires")), (200, "600;refresher=uac"))
            self.assertEqual(self.left_after(590), 1)
            self.assertEqual(self.left_after(20), 0)

    def test_refused_refresh(self) -> None:
        """It is no refresh: the old time goes on."""
        self.talk()
        self.left_after(500)
        self.assertEqual(self.refresh("UPDATE", 3, status=491).status, 491)
        self.assertEqual(self.left_after(105), 0)

    def test_switched_off(self) -> None:
        """A refresh without timers, on both sides, ends the limit (§8.2)."""
        self.talk()
        self.refresh("INVITE", 3, headers="")
        self.assertEqual(self.left_after(86400), 1)

    def test_other_requests(self) -> None:
        """INFO is no refresh."""
        self.talk()
        self.left_after(500)
        self.refresh("INFO", 3)
        self.assertEqual(self.left_after(105), 0)
