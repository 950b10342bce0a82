"""What a datagram on a relay port is, from its first bytes; nothing is parsed further.

 0                   1                   2                   3
+-+-+-+-------+-+-------------+-------------------------------+
|V=2|P|X|  CC |M|     PT      |       sequence number         |
+-+-+-+-------+-+-------------+-------------------------------+
|                           timestamp                         |
+-------------------------------------------------------------+
|                            SSRC                             |
+-------------------------------------------------------------+
"""

from __future__ import annotations

from enum import Enum
from struct import Struct

from attrs import frozen

_HEADER = Struct("!BBHII")


class Kind(Enum):
    """What travels on a relay port."""

    RTP = "RTP"
    RTCP = "RTCP"
    STUN = "STUN"
    DTLS = "DTLS"
    OTHER = "other"


@frozen
class RtpHeader:
    """The fixed RTP header (RFC 3550 §5.1), as far as quality is measured from it."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int


def kind_of(datagram: bytes) -> Kind:
    """Tell the protocols that share a port apart by their first two bytes (RFC 7983 §7, RFC 5761 §4)."""
    first = datagram[0] if datagram else 255
    if first <= 3:
        return Kind.STUN
    if 20 <= first <= 63:
        return Kind.DTLS
    if 128 <= first <= 191 and len(datagram) >= 2:
        return Kind.RTCP if 192 <= datagram[1] <= 223 else Kind.RTP
    return Kind.OTHER


def peek(datagram: bytes) -> RtpHeader | None:
    """The header of an RTP packet; None for anything else and for what is too short."""
    if len(datagram) < _HEADER.size or kind_of(datagram) is not Kind.RTP:
        return None
    _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
    return RtpHeader(second & 0x7F, sequence, timestamp, ssrc)
