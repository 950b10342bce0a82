"""Requests of the phone, and the dialogs they stand in (RFC 3261 §8.1.1, §12)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from secrets import token_hex

from attrs import define, field

from sofw.sip.headers import Headers
from sofw.sip.message import Request, Response
from sofw.sip.proxy import strictly_routed


def new_request(
    method: str, uri: str, sender: str, receiver: str, call_id: str, number: int, body: bytes = b""
) -> Request:
    """A request without Via, which its transaction adds; a body is an SDP."""
    fields = [
        ("Max-Forwards", "70"),
        ("From", sender),
        ("To", receiver),
        ("Call-ID", call_id),
        ("CSeq", f"{number} {method}"),
        ("User-Agent", "SoFW phone"),
    ]
    if body:
        fields.append(("Content-Type", "application/sdp"))
    return Request(method, uri, Headers(tuple(fields)), body)


def new_tag() -> str:
    """A tag nobody else has."""
    return token_hex(8)


def new_call_id(host: str) -> str:
    """A Call-ID nobody else has."""
    return f"{token_hex(8)}@{host}"


@define
class Dialog:
    """One side of a dialog: `local` and `remote` are From and To as this side writes them, with tags."""

    call_id: str
    local: str
    remote: str
    remote_tag: str
    target: str
    routes: tuple[str, ...]
    numbers: Iterator[int] = field(factory=lambda: count(1))
    remote_number: int = 0

    def request(self, method: str, body: bytes = b"", number: int | None = None) -> Request:
        """The next request in this dialog, or an ACK with the number of its INVITE (§12.2.1.1, §13.2.2.4)."""
        chosen = next(self.numbers) if number is None else number
        request = new_request(method, self.target, self.local, self.remote, self.call_id, chosen, body)
        if not self.routes:
            return request
        headers = request.headers.append("Route", *self.routes)
        return strictly_routed(Request(method, self.target, headers, body))

    def refresh(self, message: Request | Response) -> None:
        """Take over the other side's Contact (§12.2.1.2, §12.2.2)."""
        if message.contacts:
            self.target = str(message.contacts[0].uri)

    def in_order(self, request: Request) -> bool:
        """Whether a request of the other side is newer than those before it (§12.2.2)."""
        fresh = request.cseq.number > self.remote_number
        self.remote_number = max(self.remote_number, request.cseq.number)
        return fresh


def callers_dialog(request: Request, response: Response, numbers: Iterator[int]) -> Dialog:
    """The dialog a response makes for the caller (§12.1.2)."""
    routes = tuple(str(route) for route in reversed(response.record_routes))
    target = str(response.contacts[0].uri) if response.contacts else request.uri
    return Dialog(
        request.call_id,
        str(request.from_),
        str(response.to),
        response.to.tag or "",
        target,
        routes,
        numbers,
    )


def callees_dialog(request: Request, tag: str) -> Dialog:
    """The dialog an INVITE makes for the callee, who answers with this To tag (§12.1.1)."""
    routes = tuple(str(route) for route in request.record_routes)
    target = str(request.contacts[0].uri if request.contacts else request.from_.uri)
    local = f"{request.headers.get('To') or ''};tag={tag}"
    return Dialog(
        request.call_id,
        local,
        str(request.from_),
        request.from_.tag or "",
        target,
        routes,
        remote_number=request.cseq.number,
    )
