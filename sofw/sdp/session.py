"""Session descriptions as lines that keep their bytes (RFC 8866, read as offer/answer uses it: RFC 3264).

Only what a relay needs is understood; every other line passes through untouched and in its place.
A line may end in LF alone (RFC 8866 §5), blank lines and missing o=, s= and t= are tolerated, as phones
send them. What a stream needs is checked here, so that a parsed Session can always be relayed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

from attrs import frozen

from sofw.address import Address
from sofw.errors import RemoteError

#: More does not fit a UDP datagram, and no phone comes near it over TCP.
MAX_SIZE = 65535
#: Each stream costs a port pair on both halves; one message must not take them all.
MAX_MEDIA = 32
#: Where "send me nothing" used to be said before RFC 3264 (its §8.4).
HOLD = "0.0.0.0"
#: How many addresses are remembered as good: those of the phones whose calls come and go now.
MEMORY = 512

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

# type "=" value, both absent in a blank line. A lone CR and NUL are no part of a value (RFC 8866 §9,
# byte-string); a CR at the very end is a line end cut short.
_LINE = re.compile(rb"(?:([A-Za-z])=([^\r\n\0]*))?(\r?\n|\r?\Z)")
# media SP port ["/" count] SP proto *(SP fmt); no fmt is tolerated, as refused streams are sent so.
_MEDIA = re.compile(rb"(?P<kind>\S+) +(?P<port>\d{1,5})(?:/(?P<count>[1-9]\d{0,4}))? +(?P<proto>\S+)(?: .*)?")
_CONNECTION = re.compile(rb"IN +IP[46] +(\S+) *", re.IGNORECASE)
# port [nettype addrtype address] (RFC 3605 §2.1)
_RTCP = re.compile(rb"(\d{1,5})(?: +IN +IP[46] +(\S+))? *", re.IGNORECASE)
# username sess-id sess-version, however many words phones make of them, then nettype addrtype address.
ORIGIN = re.compile(rb"(\S.*) \S+ +\S+ +\S+ *")


class SdpError(RemoteError):
    """A session description that cannot be relayed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 488)


@frozen
class Line:
    """One line: its type letter ("" for a blank line), its value and the bytes that end it."""

    type: str
    value: bytes
    end: bytes

    def __bytes__(self) -> bytes:
        return (self.type.encode() + b"=" + self.value if self.type else b"") + self.end

    @property
    def attribute(self) -> str:
        """The name of an a= line in lower case, else ""."""
        return _text(self.value.partition(b":")[0]).strip().lower() if self.type == "a" else ""


@frozen
class Media:
    """One m-line with the lines that follow it, and what they say.

    `host` is the address of the stream's own c= line or else the session's ("" when refused), `rtcp`
    what a=rtcp says, with the host filled in; `setup` is that of RFC 4145 or "".
    """

    lines: tuple[Line, ...]
    kind: str
    port: int
    count: int
    proto: str
    host: str
    rtcp: Address | None
    direction: str
    setup: str

    @property
    def rejected(self) -> bool:
        """Whether the stream is refused or switched off (RFC 3264 §6, §8.2)."""
        return self.port == 0

    @property
    def tcp(self) -> bool:
        """Whether the stream is a TCP connection (RFC 4145), not datagrams."""
        return "TCP" in self.proto.upper().split("/")

    @property
    def rtp(self) -> bool:
        """Whether RTP is spoken, which has RTCP beside it."""
        return "RTP" in self.proto.upper()

    @property
    def held(self) -> bool:
        """Whether a long silence is by wish: 0.0.0.0, or not both directions.

        The answer to a hold says recvonly, so that is included (RFC 3264 §8.4, §6.1).
        """
        return self.host == HOLD or self.direction != "sendrecv"


@frozen
class Session:
    """A session description: the lines before the first m-line, and the streams."""

    lines: tuple[Line, ...]
    media: tuple[Media, ...]


def parse_session(body: bytes) -> Session:
    """Read an SDP body; raises SdpError saying what is wrong with it."""
    if len(body) > MAX_SIZE:
        raise SdpError(f"The SDP is larger than {MAX_SIZE} bytes")
    lines = _split(body)
    if not lines or lines[0].type != "v" or lines[0].value.strip() != b"0":
        raise SdpError("The SDP does not begin with v=0")
    for line in lines:
        if line.type == "o" and not ORIGIN.fullmatch(line.value):
            raise SdpError("The o= line of the SDP lacks fields")
    starts = [number for number, line in enumerate(lines) if line.type == "m"]
    if len(starts) > MAX_MEDIA:
        raise SdpError(f"The SDP has more than {MAX_MEDIA} m= lines")
    bounds = [*starts, len(lines)]
    head = lines[: bounds[0]]
    return Session(head, tuple(_media(head, lines[first:end]) for first, end in pairwise(bounds)))


def format_session(session: Session) -> bytes:
    """The body as it was received."""
    streams = (line for media in session.media for line in media.lines)
    return format_lines((*session.lines, *streams))


def format_lines(lines: Iterable[Line]) -> bytes:
    """The bytes of lines."""
    return b"".join(map(bytes, lines))


def host_of(line: Line) -> str:
    """The address in a c= line; raises SdpError when it is no IP address somebody may send to."""
    match = _CONNECTION.fullmatch(line.value)
    if match is None:
        raise SdpError(f"The line c={_text(line.value)!r} of the SDP is not IN IP4 or IN IP6 and an address")
    return _unicast(match[1])


def _split(body: bytes) -> tuple[Line, ...]:
    lines: list[Line] = []
    start = 0
    while start < len(body):
        match = _LINE.match(body, start)
        if match is None:
            raise SdpError(f"Line {len(lines) + 1} of the SDP is not of the form letter=value")
        lines.append(Line(_text(match[1] or b""), match[2] or b"", match[3]))
        start = match.end()
    return tuple(lines)


def _media(head: tuple[Line, ...], lines: tuple[Line, ...]) -> Media:
    match = _MEDIA.fullmatch(lines[0].value)
    if match is None or int(match["port"]) > 65535:
        raise SdpError(f"The line m={_text(lines[0].value)!r} of the SDP has no kind, port and protocol")
    port = int(match["port"])
    kind = _text(match["kind"])
    host = _host(kind, head, lines) if port else ""
    return Media(
        lines=lines,
        kind=kind,
        port=port,
        count=int(match["count"] or 1),
        proto=_text(match["proto"]),
        host=host,
        rtcp=_rtcp(lines, host) if port else None,
        direction=_direction(lines) or _direction(head) or "sendrecv",
        setup=_text(_value(lines, "setup") or _value(head, "setup") or b""),
    )


def _host(kind: str, head: tuple[Line, ...], lines: tuple[Line, ...]) -> str:
    """The address of a stream: its own c= line goes before the session's (RFC 8866 §5.7)."""
    own = [line for line in lines if line.type == "c"]
    given = own or [line for line in head if line.type == "c"]
    if len(given) != 1:
        raise SdpError(f"The {kind} stream of the SDP has {len(given) or 'no'} c= lines instead of one")
    return host_of(given[0])


def _rtcp(lines: tuple[Line, ...], host: str) -> Address | None:
    value = _value(lines, "rtcp")
    if value is None:
        return None
    match = _RTCP.fullmatch(value)
    if match is None or not 0 < int(match[1]) <= 65535:
        raise SdpError(f"The line a=rtcp:{_text(value)!r} of the SDP is not a port and an address")
    return Address(_unicast(match[2]) if match[2] else host, int(match[1]))


@lru_cache(MEMORY)
def _unicast(text: bytes) -> str:
    """The address as text; names are not looked up, groups and reserved addresses are not sent to."""
    try:
        host = text.decode("ascii")
        address = IPv6Address(host) if ":" in host else IPv4Address(host)
    except ValueError:
        raise SdpError(f"The address {_text(text)!r} in the SDP is not an IP address") from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped  # a socket for both kinds names IPv4 so (RFC 5118 §4.9)
        host = str(address)
    if host != HOLD and (address.is_multicast or address.is_unspecified or _is_no_host(address)):
        raise SdpError(f"The address {host!r} in the SDP is not the address of a single host")
    return host


def _is_no_host(address: IPv4Address | IPv6Address) -> bool:
    """Broadcast and class E; IPv6 with a zone, which means nothing elsewhere."""
    return address.is_reserved if isinstance(address, IPv4Address) else address.scope_id is not None


def _direction(lines: Iterable[Line]) -> str:
    return next((line.attribute for line in lines if line.attribute in DIRECTIONS), "")


def _value(lines: Iterable[Line], name: str) -> bytes | None:
    """The value of the first attribute of that name, stripped."""
    found = (line.value.partition(b":")[2].strip() for line in lines if line.attribute == name)
    return next(found, None)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
