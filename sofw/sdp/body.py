"""Finding and replacing the SDP in a SIP body, also when it is one part of several (RFC 5621 §3).

Everything outside the SDP stays byte for byte, which is why the parts are found by offset here
instead of being taken apart and put together again by a mail library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser

from sofw.sdp.session import SdpError

#: Parts within parts; RFC 5621 §3.1 has no use for more, and each level costs a search.
MAX_DEPTH = 4

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def find_sdp(content_type: str, body: bytes) -> bytes | None:
    """The SDP in a body of that Content-Type (the whole header value), None if there is none.

    Raises SdpError for parts that cannot be told apart and for an SDP that cannot be read in place.
    """
    span = _span(content_type, body)
    return body[span] if span else None


def replace_sdp(content_type: str, body: bytes, sdp: bytes) -> bytes:
    """The body with `sdp` in place of the one `find_sdp` finds."""
    span = _span(content_type, body)
    return body[: span.start] + sdp + body[span.stop :] if span else body


def _span(content_type: str, body: bytes) -> slice | None:
    if content_type.strip().lower() == "application/sdp":  # as nearly all have it
        return slice(0, len(body)) if body else None
    head = Message()
    head["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
    found = list(_spans(head, body, 0, len(body), 0))
    if len(found) > 1:
        raise SdpError("The body has more than one SDP")
    return found[0] if found else None


def _spans(head: Message, body: bytes, start: int, stop: int, depth: int) -> Iterator[slice]:
    """Where the SDPs are in body[start:stop], whose headers are `head`."""
    kind = head.get_content_type()
    if kind == "application/sdp" and start < stop:
        if head.get("Content-Transfer-Encoding", "binary").strip().lower() not in ("binary", "8bit", "7bit"):
            raise SdpError("An SDP in a transfer encoding cannot be relayed")
        yield slice(start, stop)
    elif kind.startswith("multipart/"):
        if depth == MAX_DEPTH:
            raise SdpError(f"The body has parts within parts, more than {MAX_DEPTH} deep")
        for first, last in _parts(_boundary(head), body, start, stop):
            blank = _BLANK_LINE.search(body, first, last)
            if blank:
                part = BytesHeaderParser().parsebytes(body[first : blank.end()].lstrip(b"\r\n"))
                yield from _spans(part, body, blank.end(), last, depth + 1)


def _boundary(head: Message) -> bytes:
    boundary = head.get_boundary()
    if not boundary or not boundary.isascii():
        raise SdpError("The Content-Type of the body in parts has no boundary")
    return boundary.encode("ascii")


def _parts(boundary: bytes, body: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """From the end of each delimiter line to the next one's line break (RFC 2046 §5.1.1)."""
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    first = None
    for match in delimiter.finditer(body[start:stop]):
        if first is not None:
            yield first, start + match.start()
        first = start + match.end()
        if match[1]:
            return
    if first is not None:
        raise SdpError("The body in parts has no end")
