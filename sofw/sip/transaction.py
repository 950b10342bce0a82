"""All transactions of a half, and the one runner of their four tables (RFC 3261 §17).

Messages, timers and failures go in; what is to be done comes out, in order. The tables are in
invite_client, invite_server, noninvite_client and noninvite_server.
"""

from __future__ import annotations

from collections import Counter

from sofw.address import Flow
from sofw.errors import LocalError
from sofw.sip import invite_client, invite_server, noninvite_client, noninvite_server
from sofw.sip.match import Key, ack_key, client_key, response_key, server_key
from sofw.sip.message import Message, Request, Response
from sofw.sip.timers import Timers
from sofw.sip.transaction_actions import stop_timers
from sofw.sip.transaction_values import (
    Deliver,
    Ended,
    Input,
    Kind,
    Output,
    StartTimer,
    State,
    StopTimer,
    Table,
    TimedOut,
    Transaction,
    Transmit,
    Unreachable,
)

__all__ = [
    "Deliver",
    "Ended",
    "Input",
    "Key",
    "Kind",
    "Output",
    "StartTimer",
    "State",
    "StopTimer",
    "TimedOut",
    "Transaction",
    "Transactions",
    "Transmit",
    "Unreachable",
]

TABLES: dict[Kind, Table] = {
    Kind.INVITE_CLIENT: invite_client.TABLE,
    Kind.INVITE_SERVER: invite_server.TABLE,
    Kind.CLIENT: noninvite_client.TABLE,
    Kind.SERVER: noninvite_server.TABLE,
}
_TIMERS = {i.value: i for i in Input if i.name.startswith("TIMER_")}


class Transactions:
    """The transactions that are under way, by key.

    What a state has no row for is ignored and counted in `ignored`, by kind, state and input; so is
    whatever names a transaction that is gone. Nothing of it raises.
    """

    def __init__(self, timers: Timers) -> None:
        self.ignored: Counter[str] = Counter()
        self._timers = timers
        self._transactions: dict[Key, Transaction] = {}
        self._acks: dict[Key, Key] = {}

    def __len__(self) -> int:
        return len(self._transactions)

    def get(self, key: Key) -> Transaction | None:
        """The transaction of this key, or None when it has ended."""
        return self._transactions.get(key)

    def start_client(self, request: Request, flow: Flow, reliable: bool) -> tuple[Key, list[Output]]:
        """Begin to send a request, which has our Via already. Raises LocalError for an ACK."""
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT
        return self._begin(client_key(request), kind, request, flow, reliable)

    def start_server(self, request: Request, flow: Flow, reliable: bool) -> tuple[Key, list[Output]]:
        """Begin to answer a request on this flow. Raises LocalError for an ACK."""
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER
        return self._begin(server_key(request), kind, request, flow, reliable)

    def match_request(self, request: Request) -> Key | None:
        """The server transaction a request belongs to, by repetition or as its ACK (§17.2.3).

        An ACK belongs only to an INVITE that has been refused. Every other one is for a 2xx, even when
        the phone gave it the branch of the INVITE: None, so that a proxy forwards it by its Route.
        Raises SipError when a header it needs is missing or malformed.
        """
        if request.method == "ACK":
            return self._acks.get(ack_key(request, request))
        key = server_key(request)
        return key if key in self._transactions else None

    def match_cancelled(self, cancel: Request) -> Key | None:
        """The INVITE server transaction a CANCEL is for (§9.2); raises like `match_request`."""
        key = server_key(cancel, "INVITE")
        return key if key in self._transactions else None

    def match_response(self, response: Response) -> Key | None:
        """The client transaction a response is for (§17.1.3); raises like `match_request`."""
        key = response_key(response)
        return key if key in self._transactions else None

    def receive(self, key: Key, message: Message) -> list[Output]:
        """A message that matched this transaction came in."""
        transaction = self._transactions.get(key)
        if transaction is None or isinstance(message, Response) != transaction.kind.is_client:
            return self._ignore(transaction, "message")
        if isinstance(message, Response):
            return self._step(transaction, _class_of(message), message)
        if message.method == transaction.request.method:
            return self._step(transaction, Input.REQUEST, message)
        if message.method == "ACK":
            return self._step(transaction, Input.ACK, message)
        return self._ignore(transaction, "message")

    def respond(self, key: Key, response: Response) -> list[Output]:
        """The transaction user of a server transaction answers."""
        transaction = self._transactions.get(key)
        if transaction is None or transaction.kind.is_client:
            return self._ignore(transaction, "answer")
        if response.status == 408 and transaction.kind is Kind.SERVER:
            return self._step(transaction, Input.TOO_LATE)
        refused = transaction.kind is Kind.INVITE_SERVER and response.status >= 300
        if refused and transaction.state is State.PROCEEDING:
            transaction.ack = ack_key(transaction.request, response)
            self._acks[transaction.ack] = key
        return self._step(transaction, _class_of(response), response)

    def abandon(self, key: Key) -> list[Output]:
        """The transaction user drops it: it will not answer, or waits for no answer any more.

        So a proxy ends a non-INVITE server (RFC 4320 §4.2) and a cancelled INVITE client that got no
        final response (RFC 3261 §9.1).
        """
        return self._input(key, Input.ABANDON)

    def timer(self, key: Key, name: str) -> list[Output]:
        """A timer has run out; one that was stopped meanwhile does nothing."""
        transaction = self._transactions.get(key)
        if transaction is None or name not in transaction.running:
            return self._ignore(transaction, f"timer {name if name in _TIMERS else 'unknown'}")
        transaction.running.remove(name)
        return self._step(transaction, _TIMERS[name])

    def send_failed(self, key: Key) -> list[Output]:
        """A message of this transaction could not be sent."""
        return self._input(key, Input.SEND_FAILED)

    def _begin(
        self, key: Key, kind: Kind, request: Request, flow: Flow, reliable: bool
    ) -> tuple[Key, list[Output]]:
        if request.method == "ACK":
            raise LocalError("an ACK has no transaction of its own (RFC 3261 §17)")
        if key in self._transactions:
            return key, self._ignore(self._transactions[key], "start")
        transaction = Transaction(key, kind, request, flow, reliable, self._timers)
        self._transactions[key] = transaction
        return key, self._step(transaction, Input.START)

    def _input(self, key: Key, what: Input) -> list[Output]:
        transaction = self._transactions.get(key)
        return self._ignore(None, what.value) if transaction is None else self._step(transaction, what)

    def _step(self, transaction: Transaction, what: Input, message: Message | None = None) -> list[Output]:
        row = TABLES[transaction.kind][transaction.state].get(what)
        if row is None:
            return self._ignore(transaction, what.value)
        transaction.state, actions = row
        outputs = [output for action in actions for output in action(transaction, message)]
        if transaction.expired is not None:
            over, transaction.expired = transaction.expired, None
            outputs += self._step(transaction, over)
        elif transaction.state is State.TERMINATED:
            outputs += self._end(transaction)
        return outputs

    def _end(self, transaction: Transaction) -> list[Output]:
        del self._transactions[transaction.key]
        if transaction.ack is not None:
            self._acks.pop(transaction.ack, None)
        return [*stop_timers(transaction, None), Ended(transaction.key)]

    def _ignore(self, transaction: Transaction | None, what: str) -> list[Output]:
        where = "gone" if transaction is None else f"{transaction.kind.value}, {transaction.state.value}"
        self.ignored[f"{where}: {what}"] += 1
        return []


def _class_of(response: Response) -> Input:
    if response.status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if response.status < 300 else Input.FAILURE
