"""One call of the built-in phone: its dialog, what was agreed on, and its voice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from secrets import token_hex
from typing import Any, Protocol

from attrs import define, evolve
from twisted.internet.defer import Deferred

from sofw.cli.phone_dialog import Dialog, callees_dialog, callers_dialog, new_request, new_tag
from sofw.cli.phone_line import Heard, Line, Repeat
from sofw.cli.phone_media import Media, usable
from sofw.cli.phone_sdp import Negotiation
from sofw.cli.phone_states import TABLE, Input, State
from sofw.sdp.body import find_sdp
from sofw.sdp.session import SdpError
from sofw.sip.headers import Headers
from sofw.sip.message import Message, Request, Response, response_to
from sofw.sip.proxy import cancel_of
from sofw.sip.transaction import Key

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, MESSAGE"
_CREDENTIALS = ("Authorization", "Proxy-Authorization")


@define(eq=False)
class Asked:
    """A request under way; `request` is the one sent last, with credentials if they were asked for."""

    request: Request
    nonces: set[str]


class Agent(Protocol):
    """What a call needs of its phone."""

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

    def forget(self, call: Call) -> None: ...


class Call:
    """A call, going out or coming in.

    `over` fires with the reason when it has ended. `reason` is the last status and phrase, or who hung up.
    """

    def __init__(self, phone: Agent, call_id: str, tag: str) -> None:
        self.phone = phone
        self.call_id = call_id
        self.tag = tag
        self.state = State.CALLING
        self.reason = ""
        self.status = 603
        self.over: Deferred[str] = Deferred()
        self.dialog: Dialog | None = None
        self.media = Media(phone.reactor, phone.line.host)
        self.media.say(phone.speech, phone.repeats)
        self.agreed = Negotiation(phone.line.host, self.media.port)
        self.remote = ""
        self._asked: Asked | None = None
        self._numbers = count(1)
        self._delayed = False
        self._ack_body = b""
        self._cancelled = False
        self._rseq = 0
        self._key: Key | None = None
        self._invite: Request | None = None
        self._body = b""
        self._unacknowledged: dict[int, Repeat] = {}
        self._unconfirmed: dict[int, Repeat] = {}
        self._changing = False

    # What the user does

    def answer(self) -> None:
        """Take an incoming call."""
        self.step(Input.ANSWER)

    def reject(self, status: int = 603) -> None:
        """Refuse an incoming call."""
        self.status = status
        self.step(Input.HANG_UP)

    def hang_up(self) -> None:
        """End the call, or give up trying."""
        self.reason = self.reason if self.state is State.OVER else "hung up here"
        self.step(Input.HANG_UP)

    def ring(self, status: int = 180, reliable: bool = False, media: bool = False) -> None:
        """Send a provisional response, with our SDP for early media (RFC 3262 when reliable)."""
        if self.state is not State.RINGING or self._invite is None:
            return
        body = self._description() if media else b""
        if not reliable:
            self._respond(status, body)
            return
        self._rseq += 1
        headers = (("Require", "100rel"), ("RSeq", str(self._rseq)))
        repeat = Repeat(
            self.phone.reactor,
            self.phone.line.timers,
            lambda: self._respond(status, body, headers),
            lambda: self.step(Input.SILENCE),
        )
        self._unconfirmed[self._rseq] = repeat

    def hold(self) -> Deferred[Response]:
        """Put the other phone on hold (RFC 3264 §8.4), by re-INVITE."""
        return self.change("INVITE", "sendonly")

    def resume(self) -> Deferred[Response]:
        """Take it off hold."""
        return self.change("INVITE", "sendrecv")

    def change(self, method: str, direction: str = "sendrecv", delayed: bool = False) -> Deferred[Response]:
        """Offer another direction by re-INVITE or UPDATE (RFC 3311), or ask for an offer with `delayed`.

        Fires with the final response; the call goes on whatever it is (§14.1).
        """
        assert self.dialog is not None
        done: Deferred[Response] = Deferred()
        dialog = self.dialog
        before = self.agreed.direction
        request = dialog.request(method, b"" if delayed else self.agreed.offer(direction))
        self._changing = True

        def heard(response: Response) -> None:
            if response.status < 200:
                return
            self._changing = False
            if response.status < 300:
                self._changed(dialog, asked, response, delayed)
            else:
                self.agreed.direction = before
            self._speak()
            if not done.called:
                done.callback(response)

        asked = Asked(request, set())
        asked = self.phone.send(self._dressed(request), dialog.numbers, heard)
        return done

    # What the phone tells

    def begin(self, uri: str, delayed: bool, reliable: bool) -> None:
        """Send the INVITE."""
        self.remote = uri
        self._delayed = delayed
        body = b"" if delayed else self.agreed.offer()
        sender = f"{self.phone.sender};tag={self.tag}"
        request = new_request("INVITE", uri, sender, f"<{uri}>", self.call_id, next(self._numbers), body)
        name = "Require" if reliable else "Supported"
        request = evolve(request, headers=request.headers.append(name, "100rel"))
        self._asked = self.phone.send(self._dressed(request), self._numbers, self._take_response)

    def ringing(self, invite: Request, key: Key) -> None:
        """An INVITE came in."""
        self.state = State.RINGING
        self.remote = str(invite.from_.uri)
        self._invite, self._key = invite, key
        self.dialog = callees_dialog(invite, self.tag)

    def is_asked_in(self, key: Key) -> bool:
        """Whether this is the server transaction of our INVITE."""
        return self._key == key

    def step(self, what: Input, message: Message | None = None) -> None:
        """Something happened; what the state has no row for is ignored."""
        row = TABLE[self.state].get(what)
        if row is None:
            return
        self.state, steps = row
        for step in steps:
            getattr(self, step.__name__)(message)  # the table names the face, this is the call behind it

    def take(self, request: Request, key: Key) -> None:
        """A request within the dialog."""
        assert self.dialog is not None
        takes: dict[str, Callable[[Request, Key], None]] = {
            "INVITE": self._take_change,
            "UPDATE": self._take_change,
            "PRACK": self._take_prack,
            "BYE": self._take_bye,
        }
        if not self.dialog.in_order(request):
            self._answer(request, key, 500)  # §12.2.2
        else:
            takes.get(request.method, self._take_other)(request, key)

    def take_ack(self, ack: Request) -> None:
        """The ACK of a 2xx; with an answer when the offer was ours."""
        repeat = self._unacknowledged.pop(ack.cseq.number, None)
        if repeat is None:
            return
        repeat.stop()
        self._read(ack, self.agreed.take_answer)
        self._speak()
        self.step(Input.ACK, ack)

    # Steps of the table

    def progress(self, message: Message | None) -> None:
        """A provisional response: there may be early media, and it may want a PRACK."""
        assert isinstance(message, Response)
        if message.status > 100 and message.to.tag:
            self._enter(message)
            body = self._read_answer(message, bool(message.headers.get("RSeq")))
            self._confirm(message, body)
            self._speak()
        self.phone.tell("progress", str(message.status))

    def acknowledge(self, message: Message | None) -> None:
        """ACK a 2xx, also a repeated one."""
        assert isinstance(message, Response) and self._asked is not None
        self._enter(message)
        assert self.dialog is not None
        self._ack_body = self._read_answer(message, True) or self._ack_body
        self._send_ack(self.dialog, self._asked, message, self._ack_body)

    def connect(self, message: Message | None) -> None:
        """The call is up."""
        self._speak()
        self.phone.tell("up", self.remote)

    def accept(self, message: Message | None) -> None:
        """Answer the INVITE with 200 until the ACK comes."""
        assert self._invite is not None and self._key is not None
        try:
            body = self._description()
        except SdpError:
            self.state = State.RINGING
            self.reject(488)
            return
        self._say_ok(self._invite, self._key, body)
        self._speak()

    def refuse(self, message: Message | None) -> None:
        """Answer the INVITE with our refusal."""
        self.reason = f"refused here with {self.status}"
        self._respond(self.status)

    def refuse_cancelled(self, message: Message | None) -> None:
        """Answer the INVITE as it was cancelled (§9.2)."""
        self.reason = "cancelled there"
        self._respond(487)

    def cancel(self, message: Message | None) -> None:
        """Take our INVITE back, once."""
        assert self._asked is not None
        if not self._cancelled:
            self._cancelled = True
            self.phone.send(cancel_of(self._asked.request), self._numbers, lambda _response: None)

    def bye(self, message: Message | None) -> None:
        """Hang up."""
        if self.dialog is not None:
            self.phone.send(self.dialog.request("BYE"), self.dialog.numbers, lambda _response: None)

    def finish(self, message: Message | None) -> None:
        """The call is over."""
        if isinstance(message, Response) and message.status >= 300:
            self.reason = f"{message.status} {message.reason}"
        for repeat in (*self._unacknowledged.values(), *self._unconfirmed.values()):
            repeat.stop()
        self.phone.forget(self)
        self.phone.tell("over", self.reason)
        self.over.callback(self.reason)

    # Within

    def _take_response(self, response: Response) -> None:
        kind = Input.PROGRESS if response.status < 200 else Input.SUCCESS
        self.step(kind if response.status < 300 else Input.FAILURE, response)

    def _enter(self, response: Response) -> None:
        """The dialog this response belongs to; another fork's answer replaces an early one's."""
        assert self._asked is not None
        if self.dialog is None or self.dialog.remote_tag != response.to.tag:
            self.dialog = callers_dialog(self._asked.request, response, self._numbers)
        else:
            self.dialog.refresh(response)

    def _read_answer(self, response: Response, may_offer: bool) -> bytes:
        """Take the SDP of a response to our INVITE; our answer when it is an offer, else b""."""
        if not self._delayed:
            self._read(response, self.agreed.take_answer)
            return b""
        if not may_offer:
            return b""
        body = self._read(response, self.agreed.take_offer) or b""
        self._delayed = not body
        return body

    def _confirm(self, response: Response, body: bytes) -> None:
        """PRACK a reliable provisional response, once (RFC 3262 §4)."""
        number = response.headers.get("RSeq") or ""
        if self.dialog is None or not number.isdigit() or int(number) <= self._rseq:
            return
        self._rseq = int(number)
        request = self.dialog.request("PRACK", body)
        rack = f"{number} {response.cseq.number} INVITE"
        request = evolve(request, headers=request.headers.append("RAck", rack))
        self.phone.send(request, self.dialog.numbers, lambda _response: None)

    def _changed(self, dialog: Dialog, asked: Asked, response: Response, delayed: bool) -> None:
        dialog.refresh(response)
        read = self.agreed.take_offer if delayed else self.agreed.take_answer
        body = self._read(response, read) or b""
        if response.cseq.method == "INVITE":
            self._send_ack(dialog, asked, response, body)

    def _send_ack(self, dialog: Dialog, asked: Asked, response: Response, body: bytes) -> None:
        ack = dialog.request("ACK", body, response.cseq.number)
        headers = ack.headers
        for name in _CREDENTIALS:  # §13.2.2.4: the same credentials as the INVITE
            headers = headers.append(name, *asked.request.headers.all(name))
        self.phone.acknowledge(evolve(ack, headers=headers))

    def _take_change(self, request: Request, key: Key) -> None:
        """A re-INVITE or UPDATE: agree to what it offers, or offer what stands."""
        assert self.dialog is not None
        if self._changing or self.state in (State.CALLING, State.RINGING_THERE):
            self._answer(request, key, 491)  # §14.2, RFC 3311 §5.2
            return
        self.dialog.refresh(request)
        try:
            answer = self._read_or_raise(request, self.agreed.take_offer)
        except SdpError as error:
            self._answer(request, key, error.status)
            return
        if request.method == "INVITE":
            self._say_ok(request, key, answer or self.agreed.offer(self.agreed.direction))
        else:
            self._answer(request, key, 200, answer or b"")
        self._speak()
        self.phone.tell("held" if self.agreed.held else "changed", self.remote)

    def _take_prack(self, request: Request, key: Key) -> None:
        number = (request.headers.get("RAck") or "").split(" ")[0]
        repeat = self._unconfirmed.pop(int(number), None) if number.isdigit() else None
        if repeat is None:
            self._answer(request, key, 481)  # RFC 3262 §3
            return
        repeat.stop()
        self._read(request, self.agreed.take_answer)
        self._answer(request, key, 200)
        self._speak()
        self.phone.tell("confirmed", number)

    def _take_bye(self, request: Request, key: Key) -> None:
        self._answer(request, key, 200)
        self.reason = "hung up there"
        self.step(Input.BYE, request)

    def _take_other(self, request: Request, key: Key) -> None:
        self._answer(request, key, 200)
        self.phone.tell(request.method, request.body.decode("utf-8", "replace"))

    def _say_ok(self, request: Request, key: Key, body: bytes) -> None:
        self._unacknowledged[request.cseq.number] = Repeat(
            self.phone.reactor,
            self.phone.line.timers,
            lambda: self._answer(request, key, 200, body),
            lambda: self.step(Input.SILENCE),
        )

    def _description(self) -> bytes:
        """Our answer to the INVITE's offer, or our offer when it had none; the same each time."""
        assert self._invite is not None
        if not self._body:
            self._body = self._read_or_raise(self._invite, self.agreed.take_offer) or self.agreed.offer()
            self._speak()
        return self._body

    def _respond(self, status: int, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> None:
        assert self._invite is not None and self._key is not None
        self._answer(self._invite, self._key, status, body, headers)

    def _answer(
        self,
        request: Request,
        key: Key,
        status: int,
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        fields = [*headers, ("Contact", self.phone.contact), ("Allow", ALLOW)]
        routes = request.headers.all("Record-Route") if not request.to.tag else ()
        fields += [("Record-Route", route) for route in routes]
        if body:
            fields.append(("Content-Type", "application/sdp"))
        response = response_to(request, status, to_tag=self.tag, headers=tuple(fields), body=body)
        self.phone.line.answer(key, response)

    def _read(self, message: Message, take: Callable[[bytes], bytes | None]) -> bytes | None:
        """Take a message's SDP if it has one; with one that cannot be used there is no call."""
        try:
            return self._read_or_raise(message, take)
        except SdpError as error:
            self.reason = str(error)
            self.phone.tell("disagreed", str(error))
            self.phone.reactor.callLater(0, self.step, Input.HANG_UP)
            return None

    def _read_or_raise(self, message: Message, take: Callable[[bytes], bytes | None]) -> bytes | None:
        sdp = find_sdp(message.headers.get("Content-Type") or "", message.body)
        return take(sdp) if sdp else None

    def _speak(self) -> None:
        """Speak to where the other phone wants it."""
        if self.state is State.OVER:
            return
        self.media.rtp, self.media.rtcp = usable(self.agreed.rtp), usable(self.agreed.rtcp)
        self.media.speaking = self.agreed.speaking
        if self.media.rtp is not None:
            self.media.start()

    def _dressed(self, request: Request) -> Request:
        fields: Headers = request.headers.append("Contact", self.phone.contact).append("Allow", ALLOW)
        return evolve(request, headers=fields)


def new_call_id(host: str) -> str:
    """A Call-ID nobody else has."""
    return f"{token_hex(8)}@{host}"


__all__ = ["Agent", "Asked", "Call", "new_call_id", "new_tag"]
