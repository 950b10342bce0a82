"""One call of the phone, going out or coming in."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from attrs import evolve
from twisted.internet.defer import Deferred

from sofw.errors import LocalError
from sofw.phone.agent import Agent, Asked, acknowledge, with_contact
from sofw.phone.changes import Changes
from sofw.phone.dialog import Dialog, callees_dialog, callers_dialog, new_request
from sofw.phone.media import Media
from sofw.phone.negotiation import Negotiation
from sofw.phone.replies import Replies
from sofw.phone.states import TABLE, Input, State
from sofw.phone.voice import Take, Voice
from sofw.sdp.session import SdpError
from sofw.sip.message import Message, Request, Response
from sofw.sip.proxy import cancel_of
from sofw.sip.transaction import Key


class Call:
    """A call: `remote` is the other party's URI, `media` its voice, `agreed` what was negotiated.

    `over` fires with the reason when it has ended: a status and its phrase, or who hung up.
    """

    def __init__(self, phone: Agent, call_id: str, tag: str) -> None:
        self.call_id = call_id
        self.tag = tag
        self.state = State.CALLING
        self.remote = ""
        self.reason = ""
        self.over: Deferred[str] = Deferred()
        self.dialog: Dialog | None = None
        self._phone = phone
        self._voice = Voice(phone.reactor, phone.line.host, phone.speech, phone.repeats)
        self._replies = Replies(phone.reactor, phone.line, phone.contact, tag, self._silence)
        self._changes = Changes(phone, self._voice, self._replies)
        self._numbers = count(1)
        # The caller's:
        self._asked: Asked | None = None
        self._delayed = False
        self._cancelled = False
        self._ack_body = b""
        self._rseq = 0
        # The callee's:
        self._invite: Request | None = None
        self._key: Key | None = None
        self._description = b""
        self._refusal = 603

    @property
    def media(self) -> Media:
        """What is said and heard."""
        return self._voice.media

    @property
    def agreed(self) -> Negotiation:
        """What offer and answer came to."""
        return self._voice.agreed

    # What the user does

    def answer(self) -> None:
        """Take an incoming call."""
        self.step(Input.ANSWER)

    def reject(self, status: int = 603) -> None:
        """Refuse an incoming call."""
        self._refusal = status
        self.step(Input.HANG_UP)

    def hang_up(self) -> None:
        """End the call, or give up trying."""
        self.reason = self.reason if self.state is State.OVER else "hung up here"
        self.step(Input.HANG_UP)

    def ring(self, status: int = 180, reliable: bool = False, media: bool = False) -> None:
        """Send a provisional response: with our SDP for early media, until it is confirmed when reliable."""
        if self.state is not State.RINGING or self._invite is None:
            return
        body = self._describe() if media else b""
        if reliable:
            self._replies.announce(self._invite, self._key, status, body)
        else:
            self._replies.answer(self._invite, self._key, status, body)

    def hold(self) -> Deferred[Response]:
        """Put the other phone on hold (RFC 3264 §8.4), by re-INVITE."""
        return self.change("INVITE", "sendonly")

    def resume(self) -> Deferred[Response]:
        """Take it off hold."""
        return self.change("INVITE", "sendrecv")

    def change(self, method: str, direction: str = "sendrecv", delayed: bool = False) -> Deferred[Response]:
        """Ask for another direction by INVITE or UPDATE (see Changes.ask); LocalError without a dialog."""
        if self.dialog is None:
            raise LocalError("nobody has answered yet")
        return self._changes.ask(self.dialog, method, direction, delayed)

    # What the phone tells

    def begin(self, uri: str, delayed: bool, reliable: bool) -> None:
        """Send the INVITE; the offer comes with the answer when `delayed`."""
        self.remote = uri
        self._delayed = delayed
        body = b"" if delayed else self.agreed.offer()
        sender = f"{self._phone.sender};tag={self.tag}"
        request = new_request("INVITE", uri, sender, f"<{uri}>", self.call_id, next(self._numbers), body)
        headers = request.headers.append("Require" if reliable else "Supported", "100rel")
        request = with_contact(evolve(request, headers=headers), self._phone.contact)
        self._asked = self._phone.send(request, self._numbers, self._take_response)

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
            self._replies.answer(request, key, 500)  # RFC 3261 §12.2.2
        else:
            takes.get(request.method, self._take_other)(request, key)

    def take_ack(self, ack: Request) -> None:
        """The ACK of a 2xx; with an answer when the offer was ours."""
        if self._replies.acknowledged(ack.cseq.number):
            self._read(ack, self.agreed.take_answer)
            self.step(Input.ACK, ack)

    # Steps of the table

    def progress(self, message: Message | None) -> None:
        """A provisional response: there may be early media, and it may want a PRACK."""
        assert isinstance(message, Response)
        if message.status > 100 and message.to.tag:
            self._enter(message)
            reliable = bool(message.headers.get("RSeq"))
            self._confirm(message, self._read_answer(message, may_offer=reliable))
        self._phone.tell("progress", str(message.status))

    def acknowledge(self, message: Message | None) -> None:
        """ACK a 2xx, also a repeated one."""
        assert isinstance(message, Response) and self._asked is not None
        dialog = self._enter(message)
        self._ack_body = self._read_answer(message, may_offer=True) or self._ack_body
        acknowledge(self._phone, dialog, self._asked, message, self._ack_body)

    def connect(self, message: Message | None) -> None:
        """The call is up."""
        self._phone.tell("up", self.remote)

    def accept(self, message: Message | None) -> None:
        """Answer the INVITE, or refuse it when its offer cannot be met."""
        assert self._invite is not None
        try:
            body = self._describe()
        except SdpError as error:
            self.state = State.RINGING
            self.reject(error.status)
        else:
            self._replies.accept(self._invite, self._key, body)

    def refuse(self, message: Message | None) -> None:
        """Answer the INVITE with our refusal."""
        assert self._invite is not None
        self.reason = f"refused here with {self._refusal}"
        self._replies.answer(self._invite, self._key, self._refusal)

    def refuse_cancelled(self, message: Message | None) -> None:
        """Answer the INVITE as it was cancelled (§9.2)."""
        self._refusal = 487
        self.refuse(message)
        self.reason = "cancelled there"

    def cancel(self, message: Message | None) -> None:
        """Take our INVITE back, once."""
        assert self._asked is not None
        if not self._cancelled:
            self._cancelled = True
            self._phone.send(cancel_of(self._asked.request), self._numbers, lambda _response: None)

    def bye(self, message: Message | None) -> None:
        """Hang up."""
        if self.dialog is not None:
            self._phone.send(self.dialog.request("BYE"), self.dialog.numbers, lambda _response: None)

    def finish(self, message: Message | None) -> None:
        """The call is over."""
        if isinstance(message, Response) and message.status >= 300:
            self.reason = f"{message.status} {message.reason}"
        self.state = State.OVER
        self._replies.stop()
        self.over.callback(self.reason)
        self._phone.tell("over", self.reason)

    # Within

    def _silence(self) -> None:
        self.reason = "nobody acknowledged"
        self.step(Input.SILENCE)

    def _take_response(self, response: Response) -> None:
        kind = Input.PROGRESS if response.status < 200 else Input.SUCCESS
        self.step(kind if response.status < 300 else Input.FAILURE, response)

    def _enter(self, response: Response) -> Dialog:
        """The dialog this response belongs to; another fork's answer replaces an early one's."""
        assert self._asked is not None
        if self.dialog is None or self.dialog.remote_tag != response.to.tag:
            self.dialog = callers_dialog(self._asked.request, response, self._numbers)
        else:
            self.dialog.refresh(response)
        return self.dialog

    def _read_answer(self, response: Response, may_offer: bool) -> bytes:
        """Take the SDP of a response to our INVITE; our answer when it is an offer, else b""."""
        if not self._delayed:
            return self._read(response, self.agreed.take_answer)
        body = self._read(response, self.agreed.take_offer) if may_offer else b""
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
        self._phone.send(request, self.dialog.numbers, lambda _response: None)

    def _take_change(self, request: Request, key: Key) -> None:
        assert self.dialog is not None
        self._changes.take(self.dialog, request, key)

    def _take_prack(self, request: Request, key: Key) -> None:
        if not self._replies.confirmed(request):
            self._replies.answer(request, key, 481)  # RFC 3262 §3
            return
        self._read(request, self.agreed.take_answer)
        self._replies.answer(request, key, 200)
        self._phone.tell("confirmed", request.headers.get("RAck") or "")

    def _take_bye(self, request: Request, key: Key) -> None:
        self._replies.answer(request, key, 200)
        self.reason = "hung up there"
        self.step(Input.BYE, request)

    def _take_other(self, request: Request, key: Key) -> None:
        self._replies.answer(request, key, 200)
        self._phone.tell(request.method, request.body.decode("utf-8", "replace"))

    def _describe(self) -> bytes:
        """Our answer to the INVITE's offer, or our offer when it had none; the same each time."""
        assert self._invite is not None
        if not self._description:
            answer = self._voice.read(self._invite, self.agreed.take_offer)
            self._description = answer or self.agreed.offer()
        return self._description

    def _read(self, message: Message, take: Take) -> bytes:
        """Take a message's SDP if it has one; over one that cannot be used the call ends."""
        try:
            return self._voice.read(message, take)
        except SdpError as error:
            self._phone.tell("disagreed", str(error))
            self._phone.reactor.callLater(0, self.hang_up)
            return b""
