"""Tests for sofw.sip.match, by way of the transactions that are found."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.match import client_key, response_key, server_key
from sofw.sip.message import Request, Response, SipError, parse_message, response_to
from sofw.sip.timers import Timers
from sofw.sip.transaction import Key, Transactions
from tests.sip.sending import FLOW

VIA = "SIP/2.0/UDP a.example.com;branch=z9hG4bK1"
OLD_VIA = "SIP/2.0/UDP a.example.com;branch=1"


def request(method: str = "INVITE", **changes: str) -> Request:
    """A request; `uri` and headers (with _ for -) may differ from the usual ones."""
    fields = {
        "Via": VIA,
        "From": "<sip:alice@example.com>;tag=a",
        "To": "<sip:bob@example.com>",
        "Call-ID": "call@a",
        "CSeq": f"1 {method}",
    }
    uri = changes.pop("uri", "sip:bob@example.com")
    fields |= {name.replace("_", "-"): value for name, value in changes.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    message = parse_message(f"{method} {uri} SIP/2.0\r\n{head}\r\n".encode())
    assert isinstance(message, Request)
    return message


def serving(invite: Request) -> tuple[Transactions, Key]:
    """Transactions with one server transaction."""
    transactions = Transactions(Timers())
    key, _ = transactions.start_server(invite, FLOW, False)
    return transactions, key


class RequestTests(SynchronousTestCase):
    """§17.2.3: which server transaction a request belongs to."""

    def test_same(self) -> None:
        """By RFC 3261 only branch, sent-by and method count; sent-by has a default port and no case."""
        transactions, key = serving(request())
        for again in (
            request(),
            request(Via="SIP/2.0/UDP A.example.com:5060;branch=z9hG4bK1;received=10.0.0.1"),
            request(Via="SIP/2.0/UDP a.example.com;branch=Z9HG4BK1"),
            request(uri="sip:carol@example.com", Call_ID="other"),
        ):
            self.assertEqual(transactions.match_request(again), key)

    def test_other(self) -> None:
        """Another branch, sent-by or method is another transaction."""
        transactions, _ = serving(request())
        for other in (
            request(Via="SIP/2.0/UDP a.example.com;branch=z9hG4bK2"),
            request(Via="SIP/2.0/UDP b.example.com;branch=z9hG4bK1"),
            request(Via="SIP/2.0/UDP a.example.com:5062;branch=z9hG4bK1"),
            request(Via="SIP/2.0/TLS a.example.com;branch=z9hG4bK1"),
            request("OPTIONS"),
        ):
            self.assertIsNone(transactions.match_request(other))

    def test_old(self) -> None:
        """An RFC 2543 branch need not be unique: the whole identity of the request counts."""
        for via in (OLD_VIA, "SIP/2.0/UDP a.example.com", "SIP/2.0/UDP a.example.com;branch=z9hG4bK"):
            transactions, key = serving(request(Via=via))
            received = f"{via};received=10.0.0.1"
            self.assertEqual(transactions.match_request(request(Via=received)), key)
            for change in (
                {"uri": "sip:carol@example.com"},
                {"From": "<sip:alice@example.com>;tag=b"},
                {"To": "<sip:bob@example.com>;tag=b"},
                {"Call_ID": "other"},
                {"CSeq": "2 INVITE"},
                {"Via": "SIP/2.0/UDP a.example.com;branch=other"},
                {"Via": "SIP/2.0/TCP a.example.com;branch=1"},
            ):
                self.assertIsNone(transactions.match_request(request(**{"Via": via, **change})), change)

    def test_malformed(self) -> None:
        """A header that is needed and cannot be read is the sender's fault, with a status to answer."""
        transactions = Transactions(Timers())
        for bad in (request(Via="nonsense"), request(Via=OLD_VIA, CSeq="nonsense")):
            self.assertEqual(self.assertRaises(SipError, transactions.match_request, bad).status, 400)


class AckTests(SynchronousTestCase):
    """The ACK belongs to an INVITE that was refused, and to no other."""

    CASES = (
        # Via, status, does the ACK belong to it
        (VIA, 180, False),
        (VIA, 200, False),
        (VIA, 486, True),
        (OLD_VIA, 180, False),
        (OLD_VIA, 200, False),
        (OLD_VIA, 486, True),
    )

    def test_status(self) -> None:
        """An ACK for a 2xx is no part of the transaction, even when a phone gave it the same branch."""
        for via, status, belongs in self.CASES:
            transactions, key = serving(request(Via=via))
            transactions.respond(key, response_to(request(Via=via), status, None, "b"))
            found = transactions.match_request(request("ACK", Via=via, To="<sip:bob@example.com>;tag=b"))
            self.assertEqual(found, key if belongs else None, (via, status))

    def test_second_answer(self) -> None:
        """A refusal after a 2xx is not sent, so no ACK belongs to it; after another, only the first's."""
        for first, belongs in ((200, False), (486, True)):
            transactions, key = serving(request(Via=OLD_VIA))
            for status, tag in ((first, "b"), (503, "c")):
                transactions.respond(key, response_to(request(Via=OLD_VIA), status, None, tag))
            acks = [request("ACK", Via=OLD_VIA, To=f"<sip:bob@example.com>;tag={tag}") for tag in "bc"]
            found = [transactions.match_request(ack) for ack in acks]
            self.assertEqual(found, [key if belongs else None, None])

    def test_old_tag(self) -> None:
        """By RFC 2543 the ACK must repeat the tag of the refusal."""
        transactions, key = serving(request(Via=OLD_VIA))
        transactions.respond(key, response_to(request(Via=OLD_VIA), 486, None, "b"))
        for tag in ("", ";tag=c"):
            ack = request("ACK", Via=OLD_VIA, To=f"<sip:bob@example.com>{tag}")
            self.assertIsNone(transactions.match_request(ack))

    def test_unreadable_to(self) -> None:
        """A refusal of an INVITE whose To cannot be read is acknowledged all the same."""
        transactions, key = serving(request(To="<<"))
        transactions.respond(key, response_to(request(To="<<"), 400, None, "b"))
        self.assertEqual(transactions.match_request(request("ACK", To="<<;tag=b")), key)

    def test_ended(self) -> None:
        """What has ended matches nothing."""
        transactions, key = serving(request())
        transactions.respond(key, response_to(request(), 486, None, "b"))
        transactions.timer(key, "H")
        self.assertIsNone(transactions.match_request(request("ACK")))
        self.assertIsNone(transactions.match_request(request()))


class CancelTests(SynchronousTestCase):
    """§9.2: which INVITE a CANCEL is for."""

    def test_invite(self) -> None:
        """A CANCEL names its INVITE by the same branch, or by RFC 2543 by the same identity."""
        for via in (VIA, OLD_VIA):
            transactions, key = serving(request(Via=via))
            cancel = request("CANCEL", Via=via)
            self.assertEqual(transactions.match_cancelled(cancel), key)
            self.assertIsNone(transactions.match_request(cancel))

    def test_nothing(self) -> None:
        """Another INVITE is not cancelled, and no other method can be."""
        transactions, _ = serving(request("OPTIONS"))
        self.assertIsNone(transactions.match_cancelled(request("CANCEL")))
        transactions, _ = serving(request())
        other = request("CANCEL", Via="SIP/2.0/UDP a.example.com;branch=z9hG4bK2")
        self.assertIsNone(transactions.match_cancelled(other))


class ResponseTests(SynchronousTestCase):
    """§17.1.3: which client transaction a response is for."""

    def test_branch_and_method(self) -> None:
        """Branch and CSeq method name the client transaction; a CANCEL's 200 is not the INVITE's."""
        transactions = Transactions(Timers())
        key, _ = transactions.start_client(request(), FLOW, False)
        self.assertEqual(transactions.match_response(response_to(request(), 200, None, "b")), key)
        cancelled = response_to(request("CANCEL"), 200, None, "b")
        self.assertIsNone(transactions.match_response(cancelled))
        self.assertEqual(response_key(cancelled), client_key(request("CANCEL")))

    def test_sides(self) -> None:
        """A request that comes round to us is not mistaken for the one we sent."""
        self.assertNotEqual(client_key(request()), server_key(request()))

    def test_malformed(self) -> None:
        """A response without a CSeq that can be read is the sender's fault."""
        bad = response_to(request(CSeq="nonsense"), 200, None, "b")
        assert isinstance(bad, Response)
        self.assertRaises(SipError, Transactions(Timers()).match_response, bad)
