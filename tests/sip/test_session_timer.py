"""Session timers: what a proxy adds, refuses and learns (RFC 4028 §8)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.headers import Headers
from sofw.sip.message import Request, Response, SipError
from sofw.sip.proxy import Refusal
from sofw.sip.session_timer import SessionTimer, answered

TIMER = SessionTimer(interval=1800, shortest=120)
KNOWS = ("Supported", "100rel, Timer")


def asked(*fields: tuple[str, str], method: str = "INVITE") -> Request:
    """A request with these headers."""
    return Request(method, "sip:b@x.org", Headers(fields))


def answer(*fields: tuple[str, str]) -> Response:
    """A 200 with these headers."""
    return Response(200, "OK", Headers(fields))


class Asked(SynchronousTestCase):
    """A request on its way to the callee."""

    def test_table(self) -> None:
        """The Session-Expires that goes on."""
        cases = [
            ("none, and it knows timers", [KNOWS], "INVITE", "1800"),
            ("the same in UPDATE", [KNOWS], "UPDATE", "1800"),
            ("required is known", [("Require", "timer")], "INVITE", "1800"),
            ("another method", [KNOWS], "MESSAGE", None),
            ("it does not know timers", [("Supported", "100rel, xtimer")], "INVITE", None),
            ("not below what others demanded", [KNOWS, ("Min-SE", "3600")], "INVITE", "3600"),
            ("below ours anyhow", [KNOWS, ("Min-SE", "100")], "INVITE", "1800"),
            ("its own", [KNOWS, ("Session-Expires", "120;refresher=uac")], "INVITE", "120;refresher=uac"),
            ("longer than ours", [KNOWS, ("Session-Expires", "7200")], "INVITE", "7200"),
            ("too short, from one who could not read 422", [("Session-Expires", "1")], "INVITE", "1"),
        ]
        for name, fields, method, expected in cases:
            with self.subTest(name):
                went = TIMER.asked(asked(*fields, method=method))
                self.assertEqual(went.headers.get("Session-Expires"), expected)

    def test_nothing_else_changes(self) -> None:
        """One header at the end, or the very same request."""
        came = asked(KNOWS, ("X", "y"))
        self.assertEqual(TIMER.asked(came).headers.fields, (KNOWS, ("X", "y"), ("Session-Expires", "1800")))
        other = asked(("X", "y"))
        self.assertIs(TIMER.asked(other), other)

    def test_too_short(self) -> None:
        """422 with the least we accept."""
        for value in ("119", "0", "90 ;refresher=uas"):
            error = self.assertRaises(Refusal, TIMER.asked, asked(KNOWS, ("Session-Expires", value)))
            self.assertEqual((error.status, error.headers), (422, (("Min-SE", "120"),)))

    def test_malformed(self) -> None:
        """400."""
        for name, value in (("Session-Expires", "soon"), ("Session-Expires", ""), ("Min-SE", "-1")):
            error = self.assertRaises(SipError, TIMER.asked, asked(KNOWS, (name, value)))
            self.assertEqual(error.status, 400)


class Answered(SynchronousTestCase):
    """The 2xx on its way back."""

    def test_table(self) -> None:
        """The seconds until the session expires, and what the caller is told."""
        ours = ("Session-Expires", "1800")
        told = (("Require", "timer"), ("Session-Expires", "1800;refresher=uac"))
        agreed = ("Session-Expires", "600;refresher=uas")
        cases = [
            ("both know timers", [KNOWS, ours], [agreed], 600, (agreed,)),
            ("only the callee does", [ours], [agreed], 600, (agreed,)),
            ("only the caller does", [KNOWS, ours], [], 1800, told),
            ("nobody does", [], [], None, ()),
            ("an element before us asked in vain", [ours], [], None, ()),
            ("nonsense", [KNOWS, ours], [("Session-Expires", "x")], None, (("Session-Expires", "x"),)),
            ("nonsense nobody read", [("Session-Expires", "x")], [], None, ()),
        ]
        for name, sent, fields, seconds, expected in cases:
            with self.subTest(name):
                response, found = answered(asked(*sent), answer(*fields))
                self.assertEqual((found, response.headers.fields), (seconds, expected))
