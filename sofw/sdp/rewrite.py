"""A session description with our addresses in place of the terminal's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from sofw.address import Address
from sofw.sdp.session import HOLD, ORIGIN, Line, Media, SdpError, Session, format_lines, host_of

#: Other ways round the relay: ICE (RFC 8839 §5), whose checks would find the private addresses or fail, and
#: alternative addresses (RFC 6947). Without them the far side uses c= and m= (RFC 8839 §4.2.5).
DETOURS = ("candidate", "remote-candidates", "end-of-candidates", "altc")

_PORT = re.compile(rb"(\S+ +)\d+(/\d+)?")


@frozen
class MediaAddress:
    """Where a stream is to be sent: the relay's address and its two ports."""

    host: str
    port: int
    rtcp_port: int


@frozen
class Terminal:
    """Where a stream comes from, as its SDP says.

    `rtp` and `rtcp` are None where nothing may be sent to: refused, on hold by 0.0.0.0, or no RTCP.
    """

    kind: str
    tcp: bool
    rtp: Address | None
    rtcp: Address | None
    held: bool
    rejected: bool


def terminals(session: Session) -> tuple[Terminal, ...]:
    """The terminal's end of each m-line, in their order."""
    return tuple(_terminal(media) for media in session.media)


def rewrite(session: Session, media: Sequence[MediaAddress | None], origin_host: str) -> bytes:
    """The body with the relay's addresses in c=, m=, a=rtcp and o=; all else stays byte for byte.

    `media` has one entry per m-line; None refuses the stream (port 0). Hold by 0.0.0.0 stays. ICE goes, and
    so does a BUNDLE group when its streams no longer share one port (RFC 9143 §7). Attributes with addresses
    of their own, such as MSRP's a=path, are left to whoever terminates that protocol.
    """
    pairs = list(zip(session.media, media, strict=True))
    ports = {place.port if place else 0 for stream, place in pairs if not stream.rejected}
    newline = session.lines[0].end or b"\r\n"
    lines = [
        _replace_addresses(line, origin_host)
        for line in session.lines
        if not _is_detour(line) and line.attribute != "rtcp" and not (len(ports) > 1 and _is_bundle(line))
    ]
    for stream, place in pairs:
        if place is None or stream.rejected:
            lines += _refuse(stream, origin_host)
        else:
            lines += _carry(stream, place, origin_host, newline)
    return format_lines(lines)


def _terminal(media: Media) -> Terminal:
    silent = media.rejected or media.host == HOLD
    rtp = None if silent else Address(media.host, media.port)
    rtcp = None if silent or not media.rtp else _control(media)
    return Terminal(media.kind, media.tcp, rtp, rtcp, media.held, media.rejected)


def _control(media: Media) -> Address | None:
    """Where RTCP goes: as a=rtcp says, else one port above RTP (RFC 3605 §2.1, RFC 3550 §11)."""
    if media.rtcp is not None:
        return None if media.rtcp.host == HOLD else media.rtcp
    return Address(media.host, media.port + 1) if media.port < 65535 else None


def _carry(media: Media, place: MediaAddress, origin_host: str, newline: bytes) -> list[Line]:
    first, *rest = [
        _replace_addresses(_replace_rtcp(line, media, place), place.host)
        for line in media.lines
        if not _is_detour(line)
    ]
    first = _replace_port(first, place.port)
    fresh = [Line(kind, value, newline) for kind, value in _missing(media, place, origin_host)]
    return [evolve(first, end=first.end or newline) if fresh else first, *fresh, *rest]


def _refuse(media: Media, origin_host: str) -> list[Line]:
    first, *rest = [
        _replace_addresses(line, origin_host)
        for line in media.lines
        if not _is_detour(line) and line.attribute != "rtcp"
    ]
    return [_replace_port(first, 0), *rest]


def _missing(media: Media, place: MediaAddress, origin_host: str) -> Iterator[tuple[str, bytes]]:
    """Lines the stream did not need before: its own address, its own RTCP port."""
    has_address = any(line.type == "c" for line in media.lines)
    if not has_address and place.host != origin_host and media.host != HOLD:
        yield "c", _network(place.host)
    if media.rtp and media.rtcp is None and place.rtcp_port != place.port + 1:
        yield "a", b"rtcp:%d" % place.rtcp_port


def _replace_addresses(line: Line, host: str) -> Line:
    """The host in a c= or o= line; the rest of o= says which session and version this is."""
    if line.type == "c" and not _is_hold(line):
        return Line(line.type, _network(host), line.end)
    if line.type == "o" and (match := ORIGIN.fullmatch(line.value)):
        return Line(line.type, match[1] + b" " + _network(host), line.end)
    return line


def _replace_port(line: Line, port: int) -> Line:
    """The port in an m= line; of several ports only the first pair is relayed."""
    return evolve(line, value=_PORT.sub(lambda match: match[1] + b"%d" % port, line.value, count=1))


def _replace_rtcp(line: Line, media: Media, place: MediaAddress) -> Line:
    """The port in an a=rtcp line, and the address if it had one.

    A phone that names its RTP port means both on one port (RFC 5761 §5.1.1); that stays so.
    """
    if line.attribute != "rtcp" or media.rtcp is None:
        return line
    port = place.port if media.rtcp.port == media.port else place.rtcp_port
    address = b" " + _network(place.host) if b" " in line.value.partition(b":")[2].strip() else b""
    return evolve(line, value=b"rtcp:%d" % port + address)


def _is_hold(line: Line) -> bool:
    try:
        return host_of(line) == HOLD
    except SdpError:  # a line no stream uses, so nobody asked what it says
        return False


def _is_detour(line: Line) -> bool:
    return line.attribute in DETOURS or line.attribute.startswith("ice-")


def _is_bundle(line: Line) -> bool:
    return line.attribute == "group" and line.value.partition(b":")[2].strip().upper().startswith(b"BUNDLE")


def _network(host: str) -> bytes:
    return b"IN %s %s" % (b"IP6" if ":" in host else b"IP4", host.encode("ascii"))
