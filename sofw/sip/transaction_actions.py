"""What the rows of the transaction tables do: each action returns outputs and decides nothing."""

from __future__ import annotations

from attrs import evolve

from sofw.sip.headers import Headers
from sofw.sip.message import Message, Request, Response, response_to
from sofw.sip.transaction_values import (
    Action,
    Deliver,
    Input,
    Output,
    StartTimer,
    StopTimer,
    TimedOut,
    Transaction,
    Transmit,
    Unreachable,
)


def starts(timer: Input) -> Action:
    """The action that starts this timer; on a reliable transport it may be over at once."""

    def start(transaction: Transaction, _message: Message | None) -> list[Output]:
        seconds = transaction.timers.seconds(timer.value, transaction.reliable)
        if seconds == 0:
            transaction.expired = timer
            return []
        return _start(transaction, timer.value, seconds)

    return start


def starts_repeating(timer: Input) -> Action:
    """The action that starts a retransmission timer; a reliable transport needs none (§17.1.1.2)."""

    def start(transaction: Transaction, _message: Message | None) -> list[Output]:
        transaction.interval = transaction.timers.seconds(timer.value, transaction.reliable)
        return _start(transaction, timer.value, transaction.interval) if transaction.interval else []

    return start


def doubles(timer: Input) -> Action:
    """The action that starts a retransmission timer again with twice its interval (Timer A)."""

    def start(transaction: Transaction, _message: Message | None) -> list[Output]:
        transaction.interval *= 2
        return _start(transaction, timer.value, transaction.interval)

    return start


def doubles_to_t2(timer: Input) -> Action:
    """The same, but the interval never exceeds T2 (Timers E and G)."""

    def start(transaction: Transaction, _message: Message | None) -> list[Output]:
        transaction.interval = min(2 * transaction.interval, transaction.timers.t2)
        return _start(transaction, timer.value, transaction.interval)

    return start


def slow_timer_e(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Repeat every T2 once the far side has said that it is at work (§17.1.2.2)."""
    transaction.interval = transaction.timers.t2
    return _start(transaction, Input.TIMER_E.value, transaction.interval)


def start_trying(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Begin to wait for the moment when a 100 is due (RFC 4320 §4.1)."""
    return _start(transaction, Input.TIMER_TRYING.value, transaction.timers.trying)


def start_patience(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Begin to wait for the moment when the sender's own Timer F runs out."""
    timers = transaction.timers
    return _start(transaction, "F", timers.seconds("F", transaction.reliable) - timers.trying)


def stop_timers(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Stop every timer that runs."""
    stopped = [StopTimer(transaction.key, name) for name in transaction.running]
    transaction.running.clear()
    return [*stopped]


def send_request(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Send the request, the first time or again."""
    return [Transmit(transaction.flow, transaction.request)]


def send_response(transaction: Transaction, message: Message | None) -> list[Output]:
    """Send what the transaction user answers, and keep it for repetitions."""
    if isinstance(message, Response):
        transaction.response = message
    return send_again(transaction, message)


def send_trying(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Answer 100 for a transaction user that is still at work (RFC 4320 §4.1)."""
    return send_response(transaction, response_to(transaction.request, 100))


def send_again(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Send the last response again; nothing has been sent yet when there is none."""
    response = transaction.response
    return [] if response is None else [Transmit(transaction.flow, response)]


def send_ack(transaction: Transaction, message: Message | None) -> list[Output]:
    """Acknowledge a refusal, each time it comes (§17.1.1.2)."""
    if not isinstance(message, Response):
        return []
    return [Transmit(transaction.flow, ack_of(transaction.request, message))]


def deliver(transaction: Transaction, message: Message | None) -> list[Output]:
    """Hand what came in to the transaction user."""
    return [] if message is None else [Deliver(transaction.key, message)]


def report_timeout(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Tell the transaction user that nothing came in time."""
    return [TimedOut(transaction.key)]


def report_unreachable(transaction: Transaction, _message: Message | None) -> list[Output]:
    """Tell the transaction user that sending failed (§17.1.4, §17.2.4)."""
    return [Unreachable(transaction.key)]


def ack_of(invite: Request, response: Response) -> Request:
    """The ACK for a final response that is not 2xx (§17.1.1.3).

    Request-URI, topmost Via, Route, From and Call-ID of the INVITE, To of the response; it goes where
    the INVITE went. Max-Forwards starts anew.
    """
    copied = ("Via", invite.headers.all("Via")[0]), *(("Route", v) for v in invite.headers.all("Route"))
    fields = (
        *copied,
        ("Max-Forwards", "70"),
        ("From", invite.headers.get("From") or ""),
        ("To", response.headers.get("To") or ""),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq.number} ACK"),
    )
    return evolve(invite, method="ACK", headers=Headers(fields), body=b"")


def _start(transaction: Transaction, name: str, seconds: float) -> list[Output]:
    transaction.running.append(name)
    return [StartTimer(transaction.key, name, seconds)]
