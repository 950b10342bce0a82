"""The keys under which transactions are found (RFC 3261 §17.1.3, §17.2.3, §9.2).

A client key is the branch and the method. A server key is the branch, sent-by and the method; for a
branch of an RFC 2543 element, which need not be unique, it is all that §17.2.3 has us compare.
"""

from __future__ import annotations

from collections.abc import Hashable

from sofw.sip.headers import Via
from sofw.sip.message import Message, Request, Response

Key = Hashable
#: How a branch begins that is unique by RFC 3261 §8.1.1.7; compared without case, as every token is.
_COOKIE = "z9hg4bk"


def client_key(request: Request) -> Key:
    """The key of a request we send: its own topmost Via is already on it. Raises SipError without one."""
    return ("client", _branch(request.via), request.method)


def response_key(response: Response) -> Key:
    """The key of the client transaction a response is for (§17.1.3); raises SipError without Via or CSeq.

    The method counts too, since a CANCEL has the branch of its INVITE.
    """
    return ("client", _branch(response.via), response.cseq.method)


def server_key(request: Request, method: str | None = None) -> Key:
    """The key of a request that came in (§17.2.3), or of the one with its branch and another method.

    Raises SipError when a header it needs is missing or malformed.
    """
    via, method = request.via, method or request.method
    if _is_unique(via):
        return ("server", _branch(via), *_sent_by(via), method)
    return (*_old_key(request), method, request.to.tag)


def ack_key(request: Request, tagged: Message) -> Key:
    """What joins an INVITE with its refusal, and an ACK with itself, when the ACK is for it (§17.2.3).

    By RFC 3261 the branch joins them. By RFC 2543 it takes the To tag, which the INVITE may not have
    had: that of the refusal, repeated in the ACK. Raises SipError like `server_key`.
    """
    if _is_unique(request.via):
        return server_key(request, "INVITE")
    return (*_old_key(request), "ACK", tagged.to.tag)


def _old_key(request: Request) -> tuple[Hashable, ...]:
    """Request-URI, From tag, Call-ID, CSeq number and topmost Via.

    Of the Via what its sender wrote; received and rport are our own additions.
    """
    via = request.via
    sent = (via.transport.upper(), *_sent_by(via), via.branch)
    return ("server-2543", request.uri, request.from_.tag, request.call_id, request.cseq.number, sent)


def _is_unique(via: Via) -> bool:
    return _branch(via).startswith(_COOKIE) and len(_branch(via)) > len(_COOKIE)


def _branch(via: Via) -> str:
    return (via.branch or "").lower()


def _sent_by(via: Via) -> tuple[str, int]:
    """Host and port a sender gave; no port means the default one (§18.1.1)."""
    return via.host.lower(), via.port or (5061 if via.transport.upper() == "TLS" else 5060)
