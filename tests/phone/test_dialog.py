"""Dialogs of the phone: who is addressed how, over which proxies."""

from __future__ import annotations

from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from sofw.phone.dialog import Dialog, callees_dialog, callers_dialog, new_request
from sofw.sip.headers import Headers
from sofw.sip.message import Request, Response, response_to

LOOSE = ("<sip:one@10.0.0.1;lr>", "<sip:two@10.0.0.2;lr>")
STRICT = ("<sip:old.example.com>", "<sip:two@10.0.0.2;lr>")


def invite(*fields: tuple[str, str]) -> Request:
    """An INVITE of Alice with more fields."""
    request = new_request(
        "INVITE", "sip:bob@b.example", "<sip:alice@a.example>;tag=a", "<sip:bob@b.example>", "c", 7
    )
    return Request("INVITE", request.uri, Headers(request.headers.fields + fields), b"")


def ringing(*fields: tuple[str, str]) -> Response:
    """Bob's 200 to it with more fields."""
    return response_to(invite(), 200, to_tag="b", headers=fields)


def recorded(*routes: str) -> list[tuple[str, str]]:
    """Record-Route fields."""
    return [("Record-Route", route) for route in routes]


def face(request: Request) -> tuple[str, ...]:
    """Request-URI, Routes, From, To and CSeq of a request."""
    names = ("From", "To", "CSeq")
    return (request.uri, *request.headers.all("Route"), *(request.headers.get(name) or "" for name in names))


class DialogTests(SynchronousTestCase):
    """Requests within dialogs."""

    def test_caller(self) -> None:
        """The caller's route set is the response's Record-Routes from behind; the target its Contact."""
        response = ringing(*recorded(*LOOSE), ("Contact", "<sip:bob@10.0.0.9>"))
        dialog = callers_dialog(invite(), response, count(8))
        self.assertEqual(
            face(dialog.request("BYE")),
            (
                *("sip:bob@10.0.0.9", LOOSE[1], LOOSE[0]),
                *("<sip:alice@a.example>;tag=a", "<sip:bob@b.example>;tag=b", "8 BYE"),
            ),
        )

    def test_callee(self) -> None:
        """The callee's route set is the request's in its order; From and To change places."""
        dialog = callees_dialog(invite(*recorded(*LOOSE), ("Contact", "<sip:alice@10.0.0.8>")), "b")
        self.assertEqual(
            face(dialog.request("BYE")),
            (
                *("sip:alice@10.0.0.8", *LOOSE),
                *("<sip:bob@b.example>;tag=b", "<sip:alice@a.example>;tag=a", "1 BYE"),
            ),
        )

    def test_strict_router(self) -> None:
        """A first hop without lr gets the Request-URI, and the target goes last (RFC 3261 §12.2.1.1)."""
        dialog = callees_dialog(invite(*recorded(*STRICT), ("Contact", "<sip:alice@10.0.0.8>")), "b")
        request = dialog.request("BYE")
        self.assertEqual(face(request)[:3], ("sip:old.example.com", STRICT[1], "<sip:alice@10.0.0.8>"))

    def test_ack(self) -> None:
        """An ACK has the number of its INVITE, and does not count."""
        dialog = callers_dialog(invite(), ringing(), count(8))
        self.assertEqual(dialog.request("ACK", number=7).headers.get("CSeq"), "7 ACK")
        self.assertEqual(dialog.request("BYE").headers.get("CSeq"), "8 BYE")

    def test_without_contact(self) -> None:
        """Without a Contact the address called stays the target."""
        self.assertEqual(callers_dialog(invite(), ringing(), count(8)).target, "sip:bob@b.example")
        self.assertEqual(callees_dialog(invite(), "b").target, "sip:alice@a.example")

    def test_refresh(self) -> None:
        """A new Contact is a new target; none changes nothing."""
        dialog = callers_dialog(invite(), ringing(), count(8))
        dialog.refresh(ringing(("Contact", "<sip:bob@10.0.0.9:5070>")))
        dialog.refresh(ringing())
        self.assertEqual(dialog.target, "sip:bob@10.0.0.9:5070")

    def test_order(self) -> None:
        """Requests of the other side must rise in number (§12.2.2)."""
        dialog: Dialog = callees_dialog(invite(), "b")
        numbers = (8, 8, 7, 12)
        requests = [new_request("BYE", "sip:b", "<sip:a@a>", "<sip:b@b>", "c", number) for number in numbers]
        self.assertEqual([dialog.in_order(request) for request in requests], [True, False, False, True])
