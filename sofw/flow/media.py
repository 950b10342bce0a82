"""The path of a media packet: datagram in → RAT → frame; frame in → RAT → datagram.

`MediaRelay` does it for the HRAS, by the RAT; `PortRelay` for the HRAC, which needs only to know
its open ports. Both have one face: the edge hands over what came (`datagrams`, `media`) and takes
what is to leave (`take`). A turn of the network is one batch each way: the cost is per turn, and
per packet there is one look-up, one header and the counters.

A `Peer` is a terminal's address as it is met: on an own socket the socket address, on a site's
tunnel the head of the RA header (address, port and type; behind IPv6 ones the 16 address bytes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from struct import Struct
from typing import Any

from attrs import define

from sofw.address import OUTSIDE, Address
from sofw.rtp.quality import SAMPLE, Quality
from sofw.rtp.table import Door, Table
from sofw.tunnel.frame import IPV6, DataType
from sofw.tunnel.link import TUNNEL

Peer = Any
#: A datagram: the relay port on which it came or from which it leaves, the data, whose or for whom.
Datagram = tuple[int, bytes, Peer]
#: Frames for a leg in one buffer, and how many.
Batch = tuple[str, bytes, int]

_HEAD = Struct("!4sHH")
_TAIL = Struct("!HH")
_SAMPLE_MASK = SAMPLE - 1


class _Outlet:
    """What is to leave at the end of this turn."""

    def __init__(self) -> None:
        self._outgoing: list[Datagram] = []
        self._pieces: dict[str, list[bytes]] = {}

    def take(self) -> tuple[list[Datagram], list[Batch]]:
        """The datagrams to send, in order, and one batch of frames for each leg."""
        outgoing, pieces = self._outgoing, self._pieces
        if outgoing:
            self._outgoing = []
        if not pieces:
            return outgoing, []
        self._pieces = {}
        return outgoing, [(leg, b"".join(parts), len(parts) // 2) for leg, parts in pieces.items() if parts]


class MediaRelay(_Outlet):
    """The HRAS's side: by the RAT, between own sockets and the tunnels of sites.

    `strays` counts what came on ports that are in no row, `unaimed` what was for terminals whose
    address is not known (yet). `clock` gives seconds; it is asked once in SAMPLE packets.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        super().__init__()
        self._table = table
        self._clock = clock
        self.strays = 0
        self.unaimed = 0

    def opened(self, port: int) -> None:
        """A socket is open on this port; the RAT knows what for."""

    def closed(self, port: int) -> None:
        """The socket of this port was closed."""

    def datagrams(self, arrived: Iterable[Datagram]) -> None:
        """Datagrams came on own sockets."""
        doors = self._table.doors.get(OUTSIDE, {})
        for port, data, source in arrived:
            door = doors.get(port)
            if door is None:
                self.strays += 1
            elif source == door.peer or self._admit(door, Address(source[0], source[1]), source):
                self._pass(door, data)

    def media(self, leg: str, head: bytes, relay_port: int, payload: bytes) -> None:
        """A MEDIA frame came from the site of this leg."""
        door = self._table.doors.get(leg, {}).get(relay_port)
        if door is None:
            self.strays += 1
        elif head == door.peer or self._admit(door, address_of(head), head):
            self._pass(door, payload)

    def _pass(self, door: Door, data: bytes) -> None:
        """On to the door opposite: the one place where every packet goes through."""
        door.packets += 1
        door.octets += len(data)
        if not door.packets & _SAMPLE_MASK:
            self._sample(door, data)
        far = door.far
        if far is None or (far.peer is None and not self._aim(far)):
            self.unaimed += 1
        elif far.leg == OUTSIDE:
            self._outgoing.append((far.port, data, far.peer))
        else:
            if len(data) != far.header_for:
                far.header = header(far.peer, len(data), far.port)
                far.header_for = len(data)
            pieces = self._pieces.get(far.leg)
            if pieces is None:
                pieces = self._pieces[far.leg] = []
            pieces.append(far.header)
            pieces.append(data)

    def _admit(self, door: Door, source: Address, peer: Peer) -> bool:
        """The slow way, for the first packet of a door and for strangers."""
        if not door.admits(source):
            return False
        door.peer = peer
        return True

    def _aim(self, door: Door) -> bool:
        """Work out the peer of a door whose terminal has not been heard yet."""
        address = door.address
        if address is None:
            return False
        door.peer = (address.host, address.port) if door.leg == OUTSIDE else head_of(address)
        return True

    def _sample(self, door: Door, data: bytes) -> None:
        if door.quality is None:
            door.quality = Quality()
        door.quality.sample(data, door.packets, self._clock())


@define(eq=False)
class _Gate:
    """An open port of the HRAC, with the last source and destination worked out."""

    source: Peer = None
    head: bytes = b""
    header: bytes = b""
    header_for: int = -1
    aimed: bytes = b""
    peer: Peer = None


class PortRelay(_Outlet):
    """The HRAC's side: adds RA headers on the way up, takes them at their word on the way down.

    `strays` counts the frames for ports that are not open.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gates: dict[int, _Gate] = {}
        self.strays = 0

    def opened(self, port: int) -> None:
        """A socket is open on this port."""
        self._gates[port] = _Gate()

    def closed(self, port: int) -> None:
        """The socket of this port was closed."""
        self._gates.pop(port, None)

    def datagrams(self, arrived: Iterable[Datagram]) -> None:
        """Datagrams came from terminals of this site."""
        gates = self._gates
        pieces = self._pieces.setdefault(TUNNEL, [])
        for port, data, source in arrived:
            gate = gates[port]
            if source != gate.source:
                gate.source, gate.head, gate.header_for = source, head_of(Address(source[0], source[1])), -1
            if len(data) != gate.header_for:
                gate.header = header(gate.head, len(data), port)
                gate.header_for = len(data)
            pieces.append(gate.header)
            pieces.append(data)

    def media(self, leg: str, head: bytes, relay_port: int, payload: bytes) -> None:
        """A MEDIA frame came from the HRAS: it leaves from this relay port."""
        gate = self._gates.get(relay_port)
        if gate is None:
            self.strays += 1
            return
        if head != gate.aimed:
            address = address_of(head)
            gate.aimed, gate.peer = head, (address.host, address.port)
        self._outgoing.append((relay_port, payload, gate.peer))


def head_of(address: Address) -> bytes:
    """The head of a MEDIA frame's RA header for an IP address, as a Decoder reports it."""
    packed = ip_address(address.host).packed
    if len(packed) == 4:
        return _HEAD.pack(packed, address.port, DataType.MEDIA)
    return _HEAD.pack(bytes(4), address.port, DataType.MEDIA | IPV6) + packed


def address_of(head: bytes) -> Address:
    """The address in such a head."""
    packed, port, _ = _HEAD.unpack_from(head)
    return Address(str(ip_address(head[8:] or packed)), port)


def header(head: bytes, length: int, relay_port: int) -> bytes:
    """The whole RA header (with an IPv6 address behind it) for a datagram of this length."""
    return head[:8] + _TAIL.pack(length + len(head) - 8, relay_port) + head[8:]
