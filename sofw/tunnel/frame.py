"""The RA header: 12 bytes, in network byte order, in front of everything a tunnel carries.

    0                   4         6           8        10           12
    | IPv4 address      | port    | data type | length | relay port | data …

Address and port name the terminal: upward the one that sent it, downward the one it is for. The relay
port is the half's own port on which it came in, or from which it must leave. When bit 15 of the data
type is set the address is IPv6: the first field is 0, and 16 bytes of address open the data and are
counted in the length. (The papers' relay agent header; their reserved field holds the relay port.)
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address
from struct import Struct

from attrs import frozen

from sofw.address import Address
from sofw.errors import LocalError, RemoteError


class DataType(IntEnum):
    """What a frame carries; the numbers are the wire's."""

    SIP_UDP = 1
    SIP_TCP = 2
    SIP_TLS = 3
    MEDIA = 4
    STREAM_OPEN = 5
    STREAM_DATA = 6
    STREAM_CLOSE = 7
    STREAM_CREDIT = 8
    CONTROL = 9
    DUMMY = 10
    ACK = 11
    PAD = 12


#: Set in the data type when the address is IPv6.
IPV6 = 0x8000
#: The length of the RA header in bytes.
HEADER_LENGTH = 12
#: The bytes of an IPv6 address behind it.
IPV6_LENGTH = 16
#: How many addresses are remembered in their other form: those of the phones that are busy now.
MEMORY = 512
#: What the length field's 16 bits can count.
MAX_LENGTH = 0xFFFF

_SURE = frozenset(DataType) - {DataType.MEDIA, DataType.DUMMY, DataType.ACK, DataType.PAD}
_KNOWN = {int(kind): kind for kind in DataType}
_MEDIA, _MEDIA_IPV6 = int(DataType.MEDIA), DataType.MEDIA | IPV6
_HEADER = Struct("!4sHHHH")
_TAIL = Struct("!HHH")
_NOWHERE = bytes(4)


class FrameError(RemoteError):
    """What came through a lane cannot be a frame, so the borders of all that follow are lost too."""


@frozen
class Frame:
    """One frame: data type (without the IPv6 bit), terminal or None, relay port and data.

    The IPv4 address 0.0.0.0 with port 0 and no address at all are the same on the wire: None.
    """

    type: int
    address: Address | None
    relay_port: int
    data: bytes


def is_sure(kind: int) -> bool:
    """Whether frames of this type are delivered once and in order, across reconnections.

    The rest is prompt: never repeated. Of the numbers not given yet, 64 to 127 are sure: a half that
    does not know such a type skips the frame and still counts it as its peer does.
    """
    return kind in _SURE or 64 <= kind < 128


def encode(frame: Frame) -> bytes:
    """The bytes of a frame; raises LocalError for what no frame can carry."""
    address, data = _NOWHERE, frame.data
    kind, port = frame.type, 0
    if frame.address is not None:
        address, port = _packed(frame.address.host), frame.address.port
    if len(address) == IPV6_LENGTH:
        address, data, kind = _NOWHERE, address + data, kind | IPV6
    if len(data) > MAX_LENGTH:
        raise LocalError(f"{len(data)} bytes are more than the {MAX_LENGTH} a frame can carry")
    return _HEADER.pack(address, port, kind, len(data), frame.relay_port) + data


class Decoder:
    """The bytes of a lane → frames. What is not complete yet waits, at most one frame of it.

    `unknown` counts the frames of types that this release does not know.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.unknown = 0

    @property
    def whole(self) -> bool:
        """Whether what came so far ends with a frame."""
        return not self._rest

    def feed(self, data: bytes, media: Callable[[bytes, int, bytes], object]) -> list[Frame]:
        """The frames that `data` completes, in order, except media.

        Of each media frame `media(head, relay_port, payload)` is told at once: `head` is the first 8
        bytes of the RA header, for IPv6 with the 16 bytes of the address behind them. Frames of
        unknown prompt types are left out. Raises FrameError when a frame is not possible.
        """
        if self._rest:
            data = self._rest + data
        frames: list[Frame] = []
        at, end, tail = 0, len(data), _TAIL.unpack_from
        while end - at >= 12:
            kind, length, relay_port = tail(data, at + 6)
            stop = at + 12 + length
            if stop > end:
                break
            if kind == _MEDIA:
                media(data[at : at + 8], relay_port, data[at + 12 : stop])
            elif kind & IPV6 and length < IPV6_LENGTH:
                raise FrameError(f"An IPv6 frame of {length} bytes has no room for its address")
            elif kind == _MEDIA_IPV6:
                media(data[at : at + 8] + data[at + 12 : at + 28], relay_port, data[at + 28 : stop])
            else:
                self._add(frames, data[at:stop])
            at = stop
        self._rest = data[at:] if at else data
        return frames

    def _add(self, frames: list[Frame], data: bytes) -> None:
        address, port, kind, _, relay_port = _HEADER.unpack_from(data)
        start = HEADER_LENGTH
        if kind & IPV6:
            kind, start = kind ^ IPV6, HEADER_LENGTH + IPV6_LENGTH
            address = data[HEADER_LENGTH:start]
        known = _KNOWN.get(kind)
        if known is None:
            self.unknown += 1
            if not is_sure(kind):
                return
        somewhere = Address(_text(address), port) if port or any(address) else None
        frames.append(Frame(kind if known is None else known, somewhere, relay_port, data[start:]))


@lru_cache(MEMORY)
def _text(address: bytes) -> str:
    return str(ip_address(address))


@lru_cache(MEMORY)
def _packed(host: str) -> bytes:
    try:
        return ip_address(host).packed
    except ValueError:
        raise LocalError(f"{host} is a name; a frame can carry only an IP address") from None
