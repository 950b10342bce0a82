"""How the phone answers the requests of a call; some answers are repeated until they are acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sofw.phone.line import Line, Repeat
from sofw.sip.headers import Field
from sofw.sip.message import Request, response_to
from sofw.sip.transaction import Key

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, MESSAGE"


class Replies:
    """Answers in the name of one call; `silence` is told when an answer is never acknowledged."""

    def __init__(self, reactor: Any, line: Line, contact: str, tag: str, silence: Callable[[], None]) -> None:
        self._reactor = reactor
        self._line = line
        self._contact = contact
        self._tag = tag
        self._silence = silence
        self._unacknowledged: dict[int, Repeat] = {}
        self._unconfirmed: dict[int, Repeat] = {}
        self._rseq = 0

    def answer(
        self, request: Request, key: Key, status: int, body: bytes = b"", headers: tuple[Field, ...] = ()
    ) -> None:
        """Send a response; a body is an SDP."""
        fields = [*headers, ("Contact", self._contact), ("Allow", ALLOW)]
        if not request.to.tag:
            fields += [("Record-Route", route) for route in request.headers.all("Record-Route")]
        if body:
            fields.append(("Content-Type", "application/sdp"))
        response = response_to(request, status, to_tag=self._tag, headers=tuple(fields), body=body)
        self._line.answer(key, response)

    def accept(self, request: Request, key: Key, body: bytes) -> None:
        """Send 200 to an INVITE until its ACK comes (RFC 3261 §13.3.1.4)."""
        self._unacknowledged[request.cseq.number] = self._repeat(lambda: self.answer(request, key, 200, body))

    def acknowledged(self, number: int) -> bool:
        """An ACK of that CSeq number came in; whether we waited for it."""
        return _stopped(self._unacknowledged, number)

    def announce(self, request: Request, key: Key, status: int, body: bytes) -> None:
        """Send a provisional response until its PRACK comes (RFC 3262 §3)."""
        self._rseq += 1
        headers = (("Require", "100rel"), ("RSeq", str(self._rseq)))
        self._unconfirmed[self._rseq] = self._repeat(lambda: self.answer(request, key, status, body, headers))

    def confirmed(self, prack: Request) -> bool:
        """A PRACK came in; whether we waited for it."""
        number = (prack.headers.get("RAck") or "").split(" ")[0]
        return number.isdigit() and _stopped(self._unconfirmed, int(number))

    def stop(self) -> None:
        """Repeat nothing any more."""
        for repeat in (*self._unacknowledged.values(), *self._unconfirmed.values()):
            repeat.stop()

    def _repeat(self, say: Callable[[], None]) -> Repeat:
        return Repeat(self._reactor, self._line.timers, say, self._silence)


def _stopped(repeats: dict[int, Repeat], number: int) -> bool:
    repeat = repeats.pop(number, None)
    if repeat is not None:
        repeat.stop()
    return repeat is not None
