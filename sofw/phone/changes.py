"""Changing a call that is up: hold, resume, by re-INVITE or UPDATE (RFC 3261 §14, RFC 3311, RFC 3264 §8)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sofw.phone.agent import Agent, Asked, acknowledge, with_contact
from sofw.phone.dialog import Dialog
from sofw.phone.replies import Replies
from sofw.phone.voice import Voice
from sofw.sdp.session import SdpError
from sofw.sip.message import Request, Response
from sofw.sip.transaction import Key


class Changes:
    """Asks for changes of one call, one at a time, and agrees to those the other phone asks for."""

    def __init__(self, phone: Agent, voice: Voice, replies: Replies) -> None:
        self._phone = phone
        self._voice = voice
        self._replies = replies
        self._pending = False

    def ask(self, dialog: Dialog, method: str, direction: str, delayed: bool) -> Deferred[Response]:
        """Offer a direction, or with `delayed` ask for an offer; fires with the final response.

        A refusal leaves everything as it was (§14.1).
        """
        done: Deferred[Response] = Deferred()
        before = self._voice.agreed.direction
        request = dialog.request(method, b"" if delayed else self._voice.agreed.offer(direction))
        asked = Asked(request)
        self._pending = True

        def heard(response: Response) -> None:
            if response.status < 200:
                return
            self._pending = False
            if response.status < 300:
                self._agree(dialog, asked, response, delayed)
            else:
                self._voice.agreed.direction = before
            if not done.called:
                done.callback(response)

        asked = self._phone.send(with_contact(request, self._phone.contact), dialog.numbers, heard)
        return done

    def take(self, dialog: Dialog, request: Request, key: Key) -> None:
        """A re-INVITE or UPDATE: agree to what it offers, or offer what stands."""
        if self._pending:
            self._replies.answer(request, key, 491)  # §14.2, RFC 3311 §5.2: both ask at once
            return
        agreed = self._voice.agreed
        try:
            answer = self._voice.read(request, agreed.take_offer)
        except SdpError as error:
            self._replies.answer(request, key, error.status)
            return
        dialog.refresh(request)
        if request.method == "INVITE":
            self._replies.accept(request, key, answer or agreed.offer(agreed.direction))
        else:
            self._replies.answer(request, key, 200, answer)
        self._phone.tell("held" if agreed.held else "changed", agreed.direction)

    def _agree(self, dialog: Dialog, asked: Asked, response: Response, delayed: bool) -> None:
        dialog.refresh(response)
        agreed = self._voice.agreed
        body = b""
        try:
            body = self._voice.read(response, agreed.take_offer if delayed else agreed.take_answer)
        except SdpError as error:
            self._phone.tell("disagreed", str(error))
        if response.cseq.method == "INVITE":
            acknowledge(self._phone, dialog, asked, response, body)
