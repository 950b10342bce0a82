"""Tests for sofw.sip.transaction: what holds for all four machines."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import LocalError
from sofw.sip.message import Request, response_to
from sofw.sip.timers import Timers
from sofw.sip.transaction import TABLES, Input, Kind, State, Transactions, Transmit
from tests.sip.sending import FLOW, request


class RunnerTests(SynchronousTestCase):
    """What holds for all four."""

    def test_sent_unchanged(self) -> None:
        """A repetition is the very message that was sent first."""
        transactions = Transactions(Timers())
        key, outputs = transactions.start_client(request("INVITE"), FLOW, False)
        self.assertEqual(transactions.timer(key, "A")[0], outputs[0])
        self.assertEqual(outputs[0], Transmit(FLOW, request("INVITE")))

    def test_get(self) -> None:
        """A transaction tells what it is for."""
        transactions = Transactions(Timers())
        for role, method, kind in (
            (transactions.start_client, "INVITE", Kind.INVITE_CLIENT),
            (transactions.start_server, "INVITE", Kind.INVITE_SERVER),
            (transactions.start_client, "BYE", Kind.CLIENT),
            (transactions.start_server, "BYE", Kind.SERVER),
        ):
            key, _ = role(request(method), FLOW, True)
            found = transactions.get(key)
            assert found is not None
            told = (found.request, found.flow, found.kind, found.reliable)
            self.assertEqual(told, (request(method), FLOW, kind, True))
        self.assertEqual(len(transactions), 4)

    def test_ack_has_none(self) -> None:
        """To begin a transaction with an ACK is our own mistake."""
        transactions = Transactions(Timers())
        for begin in (transactions.start_client, transactions.start_server):
            self.assertRaises(LocalError, begin, request("ACK"), FLOW, False)
        self.assertEqual(len(transactions), 0)

    def test_begun_twice(self) -> None:
        """What is under way is not begun again, and not disturbed."""
        transactions = Transactions(Timers())
        key, _ = transactions.start_client(request("BYE"), FLOW, False)
        self.assertEqual(transactions.start_client(request("BYE"), FLOW, False), (key, []))
        self.assertEqual(transactions.ignored, {"non-INVITE client, trying: start": 1})

    def test_gone(self) -> None:
        """Whatever names a transaction that is gone does nothing and is counted."""
        transactions = Transactions(Timers())
        answer = response_to(request("BYE"), 200)
        for outputs in (
            transactions.receive("gone", answer),
            transactions.respond("gone", answer),
            transactions.timer("gone", "B"),
            transactions.timer("gone", "\x00"),
            transactions.send_failed("gone"),
            transactions.abandon("gone"),
        ):
            self.assertEqual(outputs, [])
        self.assertEqual(
            transactions.ignored,
            {
                "gone: message": 1,
                "gone: answer": 1,
                "gone: timer B": 1,
                "gone: timer unknown": 1,
                "gone: send failed": 1,
                "gone: abandon": 1,
            },
        )

    def test_wrong_side(self) -> None:
        """A client is not answered, and gets no requests."""
        transactions = Transactions(Timers())
        key, _ = transactions.start_client(request("BYE"), FLOW, False)
        self.assertEqual(transactions.respond(key, response_to(request("BYE"), 200)), [])
        self.assertEqual(transactions.receive(key, request("BYE")), [])
        self.assertEqual(len(transactions), 1)

    def test_other_branch_kept(self) -> None:
        """The end of one transaction leaves the others, and their ACKs, alone."""
        transactions = Transactions(Timers())
        keys = [transactions.start_server(request("INVITE", name), FLOW, True)[0] for name in ("1", "2")]
        for key, name in zip(keys, ("1", "2"), strict=True):
            transactions.respond(key, response_to(request("INVITE", name), 486))
        transactions.timer(keys[0], "H")
        ack = request("ACK", "2")
        self.assertEqual(transactions.match_request(ack), keys[1])
        transactions.receive(keys[1], ack)
        self.assertEqual(len(transactions), 0)

    def test_tables_closed(self) -> None:
        """Every state that a row leads to has rows, and every one of them can be abandoned."""
        for table in TABLES.values():
            reached = {state for rows in table.values() for state, _ in rows.values()}
            self.assertEqual(reached - {State.TERMINATED}, set(table) - {State.INITIAL})
            self.assertTrue(all(Input.ABANDON in table[state] for state in reached - {State.TERMINATED}))

    def test_ack_keeps_sip_parts(self) -> None:
        """The ACK for an INVITE without Routes has none."""
        invite = request("INVITE")
        bare = evolve(invite, headers=invite.headers.remove("Route"))
        transactions = Transactions(Timers())
        key, _ = transactions.start_client(bare, FLOW, True)
        outputs = transactions.receive(key, response_to(bare, 404))
        acks = [o.message for o in outputs if isinstance(o, Transmit)]
        self.assertEqual([(a.method, a.routes) for a in acks if isinstance(a, Request)], [("ACK", ())])
