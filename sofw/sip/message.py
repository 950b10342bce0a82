"""SIP requests and responses as immutable values, and the way from and to bytes (RFC 3261 §7).

    bytes → parse_message → Request | Response → check_request, check_response → … → format_message → bytes

Reading a message looks at its framing only; a header value is read when it is first asked for, once.
"""

from __future__ import annotations

import re
from hashlib import blake2s
from typing import TypeAlias

from attrs import frozen

from sofw.sip.accessors import Accessors
from sofw.sip.fields import parse_name_addr
from sofw.sip.grammar import SipError, find_head, is_token, parse_number, unfold
from sofw.sip.headers import Field, Headers, parse_field
from sofw.sip.reasons import REASONS, reason_phrase
from sofw.sip.uri import parse_uri

__all__ = [
    "MAX_MESSAGE",
    "REASONS",
    "Message",
    "Request",
    "Response",
    "SipError",
    "check_request",
    "check_response",
    "format_message",
    "parse_message",
    "response_to",
    "salvage",
]

#: What a UDP datagram can hold (RFC 3261 §18.1.1); over streams more would not fit a frame either.
MAX_MESSAGE = 65535
#: 70 hops (the usual Max-Forwards) leave 70 Vias and at most 140 Record-Routes.
MAX_FIELDS = 300
#: Identity (STIR) and Authorization take some 4 kB; a longer line serves nobody.
MAX_LINE = 16384

_REQUIRED = ("Via", "From", "To", "Call-ID", "CSeq")
_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Expires")
_MAGIC_COOKIE = "z9hG4bK"
_TAG_BYTES = 8

_STATUS_LINE = re.compile(r"(\S++)[ ]([1-6][0-9]{2})(?:[ ](.*))?", re.DOTALL)
_LINE_BREAKS = re.compile(r"[\r\n]++")


@frozen(slots=False)
class Request(Accessors):
    """A request; `uri` is the Request-URI as text."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""


@frozen(slots=False)
class Response(Accessors):
    """A response; `status` is 100-699."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""


Message: TypeAlias = Request | Response


def parse_message(data: bytes) -> Message:
    """Read one whole message, as a datagram carries it.

    Without Content-Length the body reaches to the end; what follows the body is dropped (RFC 3261
    §18.3). Raises SipError: 513 over MAX_MESSAGE bytes, 505 for a version other than 2.0, else 400;
    its `request` is what could be read, when that suffices for an answer.
    """
    data = data.lstrip(b"\r\n")  # §7.5: empty lines before the start line are ignored
    try:
        return _parse(data)
    except SipError as error:
        error.request = salvage(data)
        raise


def format_message(message: Message) -> bytes:
    """The bytes of a message, always with the right Content-Length.

    A line break inside a value becomes a space, so that no value can smuggle in a header.
    """
    if isinstance(message, Request):
        lines = [f"{message.method} {message.uri} SIP/2.0"]
    else:
        lines = [f"SIP/2.0 {message.status} {message.reason}"]
    lines += [f"{name}: {value}" for name, value in message.headers.fields if name != "Content-Length"]
    lines.append(f"Content-Length: {len(message.body)}\r\n\r\n")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
        lines = [_LINE_BREAKS.sub(" ", line) for line in lines]
        head = "\r\n".join([*lines[:-1], lines[-1].rstrip(" ") + "\r\n\r\n"])
    return head.encode("utf-8", "surrogateescape") + message.body


def response_to(
    request: Request,
    status: int,
    reason: str | None = None,
    to_tag: str | None = None,
    headers: tuple[Field, ...] = (),
    *,
    body: bytes = b"",
) -> Response:
    """The response a request is answered with (RFC 3261 §8.2.6); needs no well-formed header values.

    Without `to_tag`, a To that has no tag gets the same one for each repetition of the request (§8.2.7).
    """
    fields = [field for field in request.headers.fields if field[0] in ("Via", "From", "Call-ID", "CSeq")]
    to = request.headers.get("To")
    if to is not None:
        fields.append(("To", to if status == 100 else _tagged(request, to, to_tag)))
    timestamp = request.headers.get("Timestamp")
    if status == 100 and timestamp is not None:
        fields.append(("Timestamp", timestamp))
    return Response(status, reason or reason_phrase(status), Headers((*fields, *headers)), body)


def check_request(request: Request) -> None:
    """Refuse a request a proxy cannot process (RFC 3261 §8.1.1, §16.3 step 1); raises SipError.

    From needs no tag and Max-Forwards may be missing, as in RFC 2543. The scheme of the Request-URI
    is judged where a target is looked for.
    """
    _check_common(request)
    if request.cseq.method != request.method:
        raise SipError("CSeq method differs from request method")
    uri = parse_uri(request.uri)
    if uri.host and uri.headers:
        raise SipError("Request-URI has headers")  # §19.1.1: not allowed there
    if request.via.branch == _MAGIC_COOKIE:
        raise SipError("Via branch has no transaction identifier")
    for read in ("max_forwards", "max_breadth", "routes", "contacts"):
        getattr(request, read)


def check_response(response: Response) -> None:
    """Refuse a response that cannot be passed on (RFC 3261 §8.2.6.2); raises SipError."""
    _check_common(response)


def salvage(data: bytes) -> Request | None:
    """What can be read of a malformed request, lines that cannot left out.

    None when it is no request, or Via, From, To, Call-ID and CSeq, which an answer needs, are not all there.
    """
    found = find_head(data[:MAX_MESSAGE])
    head = data[: found[0] if found else MAX_MESSAGE]
    start, *lines = _lines(head.replace(b"\r\n", b"\n").replace(b"\r", b" "))
    method, _, rest = start.partition(" ")
    if not is_token(method):
        return None
    headers = Headers(tuple(_readable_fields(lines)))
    if not all(headers.get(name) for name in _REQUIRED):
        return None
    return Request(method, rest.rpartition(" ")[0].strip(" "), headers)


def _parse(data: bytes) -> Message:
    if len(data) > MAX_MESSAGE:
        raise SipError(f"Message is longer than {MAX_MESSAGE} bytes", 513)
    found = find_head(data)
    if not found:
        raise SipError("No empty line after the headers")
    head = data[: found[0]].removesuffix(b"\r").replace(b"\r\n", b"\n")
    if b"\r" in head:
        # Others may take a bare CR for a line end and see a header that we did not.
        raise SipError("Bare CR in header")
    start, *lines = _lines(head)
    headers = Headers(tuple(_fields(lines)))
    body = _body(data[found[1] :], headers)
    if start[:4].upper() == "SIP/":
        status, reason = _status_line(start)
        return Response(status, reason, headers, body)
    method, uri = _request_line(start)
    return Request(method, uri, headers, body)


def _lines(head: bytes) -> list[str]:
    return unfold(head.decode("utf-8", "surrogateescape")).split("\n")


def _fields(lines: list[str]) -> list[Field]:
    fields: list[Field] = []
    for line in lines:
        if len(line) > MAX_LINE:
            raise SipError(f"Header line is longer than {MAX_LINE} characters")
        fields += parse_field(line)
        if max(len(fields), len(lines)) > MAX_FIELDS:
            raise SipError(f"More than {MAX_FIELDS} header values")
    return fields


def _readable_fields(lines: list[str]) -> list[Field]:
    fields: list[Field] = []
    for line in lines[:MAX_FIELDS]:
        try:
            fields += parse_field(line[:MAX_LINE])
        except SipError:
            continue  # the answer names the first fault; the rest is copied as far as it goes
    return fields[:MAX_FIELDS]


def _body(rest: bytes, headers: Headers) -> bytes:
    lengths = headers.all("Content-Length")
    if not lengths:
        return rest
    if len(lengths) > 1:
        raise SipError("More than one Content-Length")
    length = parse_number(lengths[0], MAX_MESSAGE, "Content-Length")
    if length > len(rest):
        raise SipError("Body is shorter than Content-Length")
    return rest[:length]


def _request_line(line: str) -> tuple[str, str]:
    """Request-Line = Method SP Request-URI SP SIP-Version; white space at the end is let pass."""
    parts = line.rstrip(" \t").split(" ")
    if len(parts) != 3 or not parts[1]:
        raise SipError("Malformed request line")
    method, uri, version = parts
    _check_version(version)
    if not is_token(method):
        raise SipError("Malformed method")
    return method, uri


def _status_line(line: str) -> tuple[int, str]:
    """Status-Line = SIP-Version SP Status-Code SP Reason-Phrase; the last SP may be missing."""
    found = _STATUS_LINE.fullmatch(line)
    if not found:
        raise SipError("Malformed status line")
    _check_version(found[1])
    return int(found[2]), found[3] or ""


def _check_version(version: str) -> None:
    if version.upper() != "SIP/2.0":
        raise SipError("Only SIP/2.0 is supported", 505 if version[:4].upper() == "SIP/" else 400)


def _check_common(message: Message) -> None:
    names = [name for name, _ in message.headers.fields]
    for name in _REQUIRED:
        if name not in names:
            raise SipError(f"Missing {name}")
    for name in _ONCE:
        if names.count(name) > 1:
            raise SipError(f"More than one {name}")
    for read in ("vias", "from_", "to", "call_id", "cseq"):
        getattr(message, read)


def _tagged(request: Request, to: str, tag: str | None) -> str:
    try:
        has_tag = bool(parse_name_addr(to).tag)
    except SipError:
        has_tag = ";tag=" in to
    return to if has_tag else f"{to};tag={tag or _steady_tag(request)}"


def _steady_tag(request: Request) -> str:
    """A tag made of what is the same in each repetition: branch, Call-ID, From, CSeq."""
    parts = (request.headers.get(name) or "" for name in _REQUIRED)
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return blake2s(text, digest_size=_TAG_BYTES).hexdigest()
