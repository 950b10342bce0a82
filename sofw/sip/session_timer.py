"""Session timers as a proxy keeps them (RFC 4028 §8): a call whose parties are gone is over in time.

in:  INVITE or UPDATE on its way, the 2xx on its way back
out: the same with a Session-Expires where one belongs, and the seconds until the next refresh
"""

from __future__ import annotations

from attrs import evolve, frozen

from sofw.sip.grammar import SipError, parse_number, split_list
from sofw.sip.message import Message, Request, Response
from sofw.sip.proxy import Refusal

#: The methods that refresh a session (§3).
METHODS = frozenset({"INVITE", "UPDATE"})
#: No session may be asked to be shorter (§4), in seconds.
SHORTEST = 90
#: The longest delta-seconds (RFC 3261 §20.19).
_LONGEST = 2**32 - 1


@frozen
class SessionTimer:
    """What we ask of sessions, in seconds: `interval` where the caller names none, `shortest` at least."""

    interval: int = 1800
    shortest: int = SHORTEST

    def asked(self, request: Request) -> Request:
        """The request with a Session-Expires, if its sender knows timers (§8.1).

        Raises Refusal (422) when it asks for a shorter session than we accept, SipError (400) when what
        it says is no number. Who does not know timers cannot read a 422, and is left alone.
        """
        if request.method not in METHODS or not _knows_timers(request):
            return request
        asked = interval_of(request)
        if asked is None:
            asked = max(self.interval, _seconds(request, "Min-SE") or 0)
            return evolve(request, headers=request.headers.append("Session-Expires", str(asked)))
        if asked < self.shortest:
            raise Refusal(422, "Session Interval Too Small", (("Min-SE", str(self.shortest)),))
        return request


def answered(sent: Request, response: Response) -> tuple[Response, int | None]:
    """The 2xx to what we sent, and the seconds until the session expires; None for no end (§8.2).

    Where only the caller knows timers, it is told to refresh.
    """
    try:
        agreed = interval_of(response)
    except SipError:
        return response, None
    if agreed is not None or not _knows_timers(sent):
        return response, agreed
    asked = interval_of(sent)
    headers = response.headers.append("Require", "timer").append("Session-Expires", f"{asked};refresher=uac")
    return evolve(response, headers=headers), asked


def interval_of(message: Message) -> int | None:
    """The Session-Expires in seconds; None when absent. Raises SipError."""
    return _seconds(message, "Session-Expires")


def _seconds(message: Message, name: str) -> int | None:
    text = message.headers.get(name)
    return None if text is None else parse_number(text.partition(";")[0].strip(" \t"), _LONGEST, name)


def _knows_timers(message: Message) -> bool:
    values = (*message.headers.all("Supported"), *message.headers.all("Require"))
    return any(option.lower() == "timer" for value in values for option in split_list(value))
