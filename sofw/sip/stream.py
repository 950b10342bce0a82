"""From a byte stream to whole messages, by Content-Length (RFC 3261 §18.3)."""

from __future__ import annotations

import re
from enum import Enum

from sofw.sip.grammar import SipError, find_head, parse_number
from sofw.sip.message import MAX_MESSAGE, salvage

_LINE_ENDS = b"\r\n"
_FOLD = re.compile(rb"\r?\n[ \t]++")
_CONTENT_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*+:[ \t]*+([^\r\n]*+)", re.IGNORECASE)

#: What is over the limit is refused as too large, not as malformed.
_HIGHEST = 2**32 - 1


class KeepAlive(Enum):
    """What a peer sends to keep its connection open (RFC 5626 §3.5.1)."""

    PING = b"\r\n\r\n"


class StreamFramer:
    """Cuts the bytes of one connection into messages; what is incomplete waits for the next bytes."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        """Take messages of at most `limit` bytes, so that a peer cannot make us keep more."""
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._size = 0
        self._fault: SipError | None = None

    def feed(self, data: bytes) -> list[bytes | KeepAlive]:
        """Take the next bytes; returns the whole messages and pings they complete.

        Raises SipError when it is lost where the next message begins: 400 for a missing or bad
        Content-Length, 513 for a message over the limit, with the `request` to answer if there is one.
        The connection is then of no use. What came before the fault is returned first, the fault is
        raised by the call after.
        """
        if self._fault:
            raise self._fault
        self._buffer += data
        pieces: list[bytes | KeepAlive] = []
        try:
            while piece := self._next():
                pieces.append(piece)
        except SipError as error:
            error.request = salvage(bytes(self._buffer))
            self._fault = error
            self._buffer.clear()
            if not pieces:
                raise
        return pieces

    def _next(self) -> bytes | KeepAlive | None:
        if self._buffer and self._buffer[0] in _LINE_ENDS:
            return self._between()
        if not self._size:
            self._size = self._find_size()
        return self._take(self._size) if 0 < self._size <= len(self._buffer) else None

    def _find_size(self) -> int:
        """The size of the message that begins the buffer, 0 while its head is incomplete."""
        found = find_head(self._buffer, max(0, self._searched - 2))
        if not found:
            self._searched = len(self._buffer)
            self._check_size(self._searched)
            return 0
        size = found[1] + _content_length(bytes(self._buffer[: found[0]]))
        self._check_size(size)
        return size

    def _between(self) -> bytes | KeepAlive | None:
        """Empty lines before a message: two are a ping, others mean nothing (§7.5)."""
        while self._buffer and self._buffer[0] in _LINE_ENDS:
            if self._buffer.startswith(KeepAlive.PING.value):
                self._take(len(KeepAlive.PING.value))
                return KeepAlive.PING
            if KeepAlive.PING.value.startswith(bytes(self._buffer[:4])):
                return None
            self._take(1)
        return self._next()

    def _take(self, size: int) -> bytes:
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._searched = self._size = 0
        return piece

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise SipError(f"Message is longer than {self._limit} bytes", 513)


def _content_length(head: bytes) -> int:
    """The length of the body; mandatory on a stream (RFC 3261 §20.14)."""
    lengths = _CONTENT_LENGTH.findall(_FOLD.sub(b" ", head))
    if len(lengths) != 1:
        raise SipError("More than one Content-Length" if lengths else "Missing Content-Length")
    return parse_number(lengths[0].decode("ascii", "replace").strip(" \t"), _HIGHEST, "Content-Length")
