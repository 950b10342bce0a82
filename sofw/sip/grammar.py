"""The words of SIP's grammar (RFC 3261 §25) that every other parser here is built from.

Text is `str`, decoded as UTF-8 with surrogateescape, so that any byte survives the way through.
Every pattern is linear in its input: repetitions are possessive, and a pattern that is searched for
begins with a character that it cannot go on with, so that no stretch of text is gone over again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sofw.credentials import unquote
from sofw.errors import RemoteError

if TYPE_CHECKING:
    from sofw.sip.message import Request

#: Parameters in their order and with their values as received (quoted strings with their quotes).
Params = tuple[tuple[str, str | None], ...]

#: token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
TOKEN_CHARS = r"[A-Za-z0-9\-.!%*_+`'~]"
_TOKEN = re.compile(f"{TOKEN_CHARS}++")

#: quoted-string = DQUOTE *(qdtext / quoted-pair) DQUOTE; more characters are let pass than qdtext has.
QUOTED = r'"(?:[^"\\]|\\.)*+"'

#: host = hostname / IPv4address / IPv6reference; "_" is let pass, as it stands in real host names.
HOST = r"\[[0-9A-Fa-f.]*+:[0-9A-Fa-f:.]*+\]|[A-Za-z0-9._\-]++"

#: generic-param = token [EQUAL gen-value]; a value may hold more than a token or a host has, since
#: branches in base64 and bare IPv6 addresses (received=2001:db8::1, RFC 5118 §4.5) are common.
_PARAM = re.compile(
    rf"[ \t]*+;[ \t]*+({TOKEN_CHARS}++)(?:[ \t]*+=[ \t]*+({QUOTED}|[^\x00-\x20\x7f\",;<>]*+))?", re.DOTALL
)

#: What a comma must not be looked for in; what is not closed reaches to the end.
_LIST = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|<[^>]*+(?:>|\Z)|,', re.DOTALL)

#: How many values of a kind are remembered with what they were read as. Each message is asked for the
#: same ones some five times, and its call's other messages repeat them; more would seldom be met again.
MEMORY = 512

_FOLD = re.compile(r"\n[ \t]++")


class SipError(RemoteError):
    """A SIP message that cannot be accepted; `status` is the one to answer with.

    The sentence is short ASCII text, fit for a reason phrase. `request` is what could be read of a
    malformed request, when that is enough to answer it, else None.
    """

    def __init__(self, message: str, status: int = 400, request: Request | None = None) -> None:
        super().__init__(message, status)
        self.request = request


def is_token(text: str) -> bool:
    """Whether the text is one token (RFC 3261 §25.1)."""
    return _TOKEN.fullmatch(text) is not None


def find_head(data: bytes | bytearray, start: int = 0) -> tuple[int, int] | None:
    """Where the head of a message ends and where its body begins; None when no blank line is there.

    Lines may end in CRLF or in LF alone. `start` tells how much has been searched before.
    """
    crlf = data.find(b"\n\r\n", start)
    lf = data.find(b"\n\n", start) if crlf < 0 else data.find(b"\n\n", start, crlf)
    if lf >= 0:
        return lf, lf + 2
    return (crlf, crlf + 3) if crlf >= 0 else None


def unfold(text: str) -> str:
    """Join continuation lines; lines end in LF (RFC 3261 §7.3.1)."""
    return _FOLD.sub(" ", text) if "\n " in text or "\n\t" in text else text


def split_list(text: str) -> list[str]:
    """The values of a comma-separated list, empty ones left out; quotes and <> are respected."""
    values = []
    begin = 0
    for found in _LIST.finditer(text):
        if found[0] == ",":
            values.append(text[begin : found.start()])
            begin = found.end()
    values.append(text[begin:])
    stripped = (value.strip(" \t") for value in values)
    return [value for value in stripped if value]


def parse_params(text: str, what: str) -> Params:
    """Read `;name=value;flag`; raises SipError naming `what` they belong to."""
    params: list[tuple[str, str | None]] = []
    position = 0
    while found := _PARAM.match(text, position):
        params.append((found[1], found[2]))
        position = found.end()
    if text[position:].strip(" \t"):
        raise SipError(f"Malformed {what} parameter")
    return tuple(params)


def format_params(params: Params) -> str:
    """The text of parameters; the reverse of parse_params."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def find_param(params: Params, name: str) -> str | None:
    """The first value of that name, without quotes; "" for a flag, None when absent."""
    lower = name.lower()
    for found, value in params:
        if found.lower() == lower:
            return unquote(value) if value else ""
    return None


def parse_number(text: str, highest: int, what: str) -> int:
    """Read decimal digits, at most `highest`; raises SipError naming `what` the number is."""
    if not (text.isascii() and text.isdigit()):
        raise SipError(f"{what} is not a number")
    digits = text.lstrip("0") or "0"
    # The length is looked at first: int() of a very long text takes time, or refuses.
    if len(digits) > len(str(highest)) or int(digits) > highest:
        raise SipError(f"{what} is greater than {highest}")
    return int(digits)
