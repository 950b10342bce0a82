"""What the transaction tests share: messages, and outputs as short lines that can be compared whole."""

from __future__ import annotations

from collections.abc import Sequence

from sofw.address import Address, Flow, Transport
from sofw.sip.message import Request, Response, parse_message, response_to
from sofw.sip.timers import Timers
from sofw.sip.transaction import (
    Deliver,
    Ended,
    Key,
    Output,
    StartTimer,
    StopTimer,
    TimedOut,
    Transactions,
    Transmit,
    Unreachable,
)

FLOW = Flow("outside", Transport.UDP, Address("192.0.2.1", 5060), 5060)

_REQUEST = """{method} sip:bob@example.com SIP/2.0\r
Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{branch}\r
Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKbelow\r
Route: <sip:p1.example.com;lr>\r
Route: <sip:p2.example.com;lr>\r
Max-Forwards: 12\r
From: Alice <sip:alice@example.com>;tag=a\r
To: Bob <sip:bob@example.com>\r
Call-ID: call@a\r
CSeq: 7 {method}\r
Proxy-Require: sec-agree\r
\r
body"""


def request(method: str, branch: str = "1") -> Request:
    """A request as a proxy sends or receives it."""
    message = parse_message(_REQUEST.format(method=method, branch=branch).encode())
    assert isinstance(message, Request)
    return message


class Conversation:
    """One transaction and what it is told; every output comes back as a line.

    Messages and flows are compared too: a line says `send`, `again` or `deliver` only when the flow, the
    key and the message are the right ones.
    """

    def __init__(self, role: str, method: str, reliable: bool, timers: Timers) -> None:
        self.transactions = Transactions(timers)
        self.request = request(method)
        begin = self.transactions.start_client if role == "client" else self.transactions.start_server
        self.key: Key
        self.key, outputs = begin(self.request, FLOW, reliable)
        self.begun = self.lines(outputs)

    def tell(self, step: str) -> list[str]:
        """Tell it one thing: `timer A`, `got 180`, `got ACK`, `answer 200`, `send failed`, `abandon`."""
        verb, _, what = step.partition(" ")
        if verb == "timer":
            outputs = self.transactions.timer(self.key, what)
        elif verb == "got":
            outputs = self.transactions.receive(self.key, self.message(what))
        elif verb == "answer":
            outputs = self.transactions.respond(self.key, self.response(int(what)))
        elif verb == "abandon":
            outputs = self.transactions.abandon(self.key)
        else:
            outputs = self.transactions.send_failed(self.key)
        return self.lines(outputs)

    def message(self, what: str) -> Request | Response:
        """A response when it is a number, else a request of that method."""
        return self.response(int(what)) if what.isdigit() else request(what)

    def response(self, status: int) -> Response:
        """A response to the request, with a To tag."""
        return response_to(self.request, status, None, "b")

    def lines(self, outputs: Sequence[Output]) -> list[str]:
        """The outputs as lines."""
        return [self.line(output) for output in outputs]

    def line(self, output: Output) -> str:
        """One output as a line."""
        if isinstance(output, Transmit):
            assert output.flow == FLOW
            message = output.message
            return f"send {message.method if isinstance(message, Request) else message.status}"
        assert output.key == self.key
        if isinstance(output, Deliver):
            assert isinstance(output.message, Response)
            return f"deliver {output.message.status}"
        if isinstance(output, StartTimer):
            return f"start {output.name} {output.seconds:g}"
        if isinstance(output, StopTimer):
            return f"stop {output.name}"
        return {TimedOut: "timed out", Unreachable: "unreachable", Ended: "ended"}[type(output)]
