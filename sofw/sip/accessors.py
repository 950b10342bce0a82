"""What a message says in its headers, as typed values; common to requests and responses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sofw.sip.fields import CSeq, NameAddr, Via, parse_cseq, parse_name_addr, parse_via
from sofw.sip.grammar import SipError, parse_number
from sofw.sip.headers import Headers

#: callid = word [ "@" word ]; only what would split the line is refused.
_CALL_ID = re.compile(r"[^\x00-\x20\x7f]++")

#: The longest delta-seconds there is (RFC 3261 §20.19); more means for ever.
_LONGEST = 2**32 - 1


T = TypeVar("T")


class read_once(Generic[T]):
    """A property that is computed once; functools' own takes a lock for it before Python 3.12."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self.__doc__ = read.__doc__
        self._read = read
        self._name = read.__name__

    def __get__(self, message: Any, _owner: type) -> T:
        """Python: the value stands in the instance's dictionary from now on, and goes before this."""
        value = message.__dict__[self._name] = self._read(message)
        return value


class Accessors:
    """Header values as typed values, read once; each raises SipError when it is missing or malformed."""

    headers: Headers

    @read_once
    def vias(self) -> tuple[Via, ...]:
        """All Vias, topmost first."""
        return tuple([parse_via(value) for value in self.headers.all("Via")])

    @read_once
    def via(self) -> Via:
        """The topmost Via."""
        return parse_via(self._required("Via"))

    @read_once
    def from_(self) -> NameAddr:
        """The From."""
        return parse_name_addr(self._required("From"))

    @read_once
    def to(self) -> NameAddr:
        """The To."""
        return parse_name_addr(self._required("To"))

    @read_once
    def call_id(self) -> str:
        """The Call-ID."""
        text = self._required("Call-ID")
        if not _CALL_ID.fullmatch(text):
            raise SipError("Malformed Call-ID")
        return text

    @read_once
    def cseq(self) -> CSeq:
        """The CSeq."""
        return parse_cseq(self._required("CSeq"))

    @read_once
    def contacts(self) -> tuple[NameAddr, ...]:
        """The Contacts, without a `*`."""
        return tuple([parse_name_addr(value) for value in self.headers.all("Contact") if value != "*"])

    @read_once
    def routes(self) -> tuple[NameAddr, ...]:
        """The Routes, next hop first."""
        return tuple([parse_name_addr(value) for value in self.headers.all("Route")])

    @read_once
    def record_routes(self) -> tuple[NameAddr, ...]:
        """The Record-Routes, topmost first."""
        return tuple([parse_name_addr(value) for value in self.headers.all("Record-Route")])

    @read_once
    def max_forwards(self) -> int | None:
        """The hops left, 0-255 (RFC 3261 §20.22); None when absent."""
        text = self.headers.get("Max-Forwards")
        return None if text is None else parse_number(text, 255, "Max-Forwards")

    @read_once
    def max_breadth(self) -> int | None:
        """How many branches it may have at once from here on (RFC 5393 §5.3); None when absent."""
        text = self.headers.get("Max-Breadth")
        return None if text is None else parse_number(text, _LONGEST, "Max-Breadth")

    @read_once
    def expires(self) -> int | None:
        """The Expires in seconds; None when absent or malformed, which means the default (§10.2.1.1)."""
        text = self.headers.get("Expires")
        if not text or not (text.isascii() and text.isdigit()):
            return None
        digits = text.lstrip("0") or "0"
        return min(int(digits), _LONGEST) if len(digits) <= len(str(_LONGEST)) else _LONGEST

    @read_once
    def content_type(self) -> str:
        """The media type of the body in lower case, without parameters; "" when absent."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip(" \t").lower()

    def _required(self, name: str) -> str:
        value = self.headers.get(name)
        if not value:
            raise SipError(f"Missing {name}")
        return value
