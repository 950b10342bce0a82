"""What a call needs of its phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from attrs import define, evolve, field

from sofw.phone.dialog import Dialog
from sofw.phone.line import Heard, Line
from sofw.phone.replies import ALLOW
from sofw.sip.message import Request, Response

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


@define(eq=False)
class Asked:
    """A request under way; `request` is the one sent last, with credentials if they were asked for."""

    request: Request
    nonces: set[str] = field(factory=set)


class Agent(Protocol):
    """A phone, as its calls see it."""

    line: Line
    reactor: Any
    speech: Sequence[int]
    repeats: bool

    @property
    def contact(self) -> str: ...

    @property
    def sender(self) -> str: ...

    def send(self, request: Request, numbers: Iterator[int], heard: Heard) -> Asked: ...

    def acknowledge(self, ack: Request) -> None: ...

    def tell(self, event: str, detail: str) -> None: ...


def with_contact(request: Request, contact: str) -> Request:
    """A request that makes or refreshes a dialog (RFC 3261 §8.1.1.8)."""
    return evolve(request, headers=request.headers.append("Contact", contact).append("Allow", ALLOW))


def acknowledge(phone: Agent, dialog: Dialog, asked: Asked, response: Response, body: bytes) -> None:
    """ACK a 2xx, with the credentials of its INVITE (§13.2.2.4)."""
    ack = dialog.request("ACK", body, response.cseq.number)
    headers = ack.headers
    for name in _CREDENTIALS:
        headers = headers.append(name, *asked.request.headers.all(name))
    phone.acknowledge(evolve(ack, headers=headers))
