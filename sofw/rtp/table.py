"""The Relay Agent Table (RAT): which relay port stands in for which terminal.

A row is one media stream of a call. It has two ends, the caller's and the callee's;
an end has two doors, one for RTP (even relay port) and one for RTCP (the odd port
above). A door is the entry the media path works on: what comes in at one door
leaves at the door opposite.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from attrs import define, field

from sofw.address import OUTSIDE, Address
from sofw.errors import LocalError
from sofw.rtp.quality import Quality


@define(eq=False)
class Door:
    """One relay port of one leg and the terminal behind it.

    `address` is where the terminal is believed to be: what SDP said, or what was learned.
    `peer` is the same in the form in which the media path meets it (socket address or RA header
    bytes), None while not worked out; `header` is the RA header of the last frame to the terminal
    and `header_for` the length of datagram it fits. `packets` and `octets` count the datagrams
    accepted from the terminal, `strangers` those that came from somebody else.
    """

    leg: str
    port: int
    signalling_host: str = ""
    terminal: Address | None = None
    address: Address | None = None
    learned: bool = False
    heard: bool = False
    peer: Any = None
    far: Door | None = None
    header: bytes = b""
    header_for: int = -1
    packets: int = 0
    octets: int = 0
    strangers: int = 0
    quality: Quality | None = None

    def set_terminal(self, terminal: Address | None) -> None:
        """What SDP says now; an address that changed may be learned anew."""
        if terminal == self.terminal:
            return
        self.terminal = terminal
        self.learned = self.heard = False
        self._move(None if terminal is None else sendable(terminal))

    def _move(self, address: Address | None) -> None:
        self.address = address
        self.peer = None
        self.header_for = -1

    def admits(self, source: Address) -> bool:
        """Whether `source` is the terminal; the first packet settles it, strangers are counted.

        Best is the address of the SDP. Otherwise, since NATs and phones with two sockets move
        ports, the first source on the host of the SDP or of the terminal's signalling is
        believed, once, and locked: later claims are somebody else's.
        """
        if source != self.address:
            host = self.address.host if self.address else ""
            if self.heard or source.host not in (self.signalling_host, host):
                self.strangers += 1
                return False
            self._move(source)
            self.learned = True
        self.heard = True
        return True


class End:
    """One end of a row: a leg, a relay port pair on it and the terminal behind that.

    `signalling_host` is the host the terminal's SIP comes from; media may be learned from it.
    """

    __slots__ = ("leg", "relay_port", "rtcp", "rtp")

    def __init__(self, leg: str, relay_port: int, signalling_host: str = "") -> None:
        self.leg = leg
        self.relay_port = relay_port
        self.rtp = Door(leg, relay_port, signalling_host)
        self.rtcp = Door(leg, relay_port + 1, signalling_host)

    @property
    def signalling_host(self) -> str:
        """The host the terminal's SIP comes from, "" when unknown."""
        return self.rtp.signalling_host

    @signalling_host.setter
    def signalling_host(self, host: str) -> None:
        self.rtp.signalling_host = self.rtcp.signalling_host = host

    @property
    def terminal(self) -> Address | None:
        """The terminal's RTP address as SDP gave it."""
        return self.rtp.terminal

    @property
    def control(self) -> Address | None:
        """The terminal's RTCP address as SDP gave it."""
        return self.rtcp.terminal

    @property
    def packets(self) -> int:
        """How many datagrams came from the terminal, RTP and RTCP."""
        return self.rtp.packets + self.rtcp.packets

    def as_dict(self) -> dict[str, Any]:
        """This end for an operator; `address` is where media really goes, jitter is in seconds."""
        quality = self.rtp.quality
        return {
            "leg": self.leg,
            "relay_port": self.relay_port,
            "terminal": str(self.terminal or ""),
            "address": str(self.rtp.address or ""),
            "learned": self.rtp.learned,
            "packets": self.rtp.packets,
            "octets": self.rtp.octets,
            "rtcp_packets": self.rtcp.packets,
            "strangers": self.rtp.strangers + self.rtcp.strangers,
            "loss": round(quality.loss, 4) if quality else None,
            "jitter": round(quality.jitter, 4) if quality else None,
        }


@define(eq=False)
class Row:
    """One media stream (`index`: the m-line, from 0) of the call, between two ends.

    `made` is the time of the offer, `last` the time at which `Table.silent` last found that
    packets had come, both in seconds of the caller's clock. Nothing is sent on a `held` row by
    intent. `packets` is what `silent` counted.
    """

    call_id: str
    from_tag: str
    to_tag: str
    index: int
    kind: str
    caller: End
    callee: End
    made: float
    last: float = 0.0
    held: bool = False
    packets: int = 0

    @property
    def ends(self) -> tuple[End, End]:
        """Caller's and callee's end."""
        return self.caller, self.callee

    def look(self, now: float) -> None:
        """Take notice of packets that came since the last look."""
        packets = self.caller.packets + self.callee.packets
        if packets != self.packets:
            self.packets = packets
            self.last = now

    def other(self, end: End) -> End:
        """The end opposite."""
        return self.callee if end is self.caller else self.caller

    def as_dict(self) -> dict[str, Any]:
        """The row under the papers' names (inside and outside address and port) and more.

        Between two sites the caller counts as inside.
        """
        caller_is_outside = self.caller.leg == OUTSIDE
        inside, outside = self.ends[caller_is_outside], self.ends[not caller_is_outside]
        return {
            "To": self.to_tag,
            "From": self.from_tag,
            "Call-ID": self.call_id,
            **_place("I", inside.rtp.address),
            **_place("O", outside.rtp.address),
            "index": self.index,
            "kind": self.kind,
            "held": self.held,
            "made": self.made,
            "last": self.last,
            "caller": self.caller.as_dict(),
            "callee": self.callee.as_dict(),
        }


@define(eq=False)
class Table:
    """All rows, found by call or by (leg, relay port).

    `doors` is open to the media path: leg → relay port → door, RTP and RTCP alike.
    """

    doors: dict[str, dict[int, Door]] = field(factory=dict)
    _calls: dict[str, list[Row]] = field(factory=dict)

    def add(self, row: Row) -> None:
        """Take the row in; raises LocalError when a relay port of it already belongs to another."""
        for door in _doors(row):
            if self.find(door.leg, door.port) is not None:
                raise LocalError(f"relay port {door.port} of leg {door.leg} is already in the table")
        for near, far in (row.ends, row.ends[::-1]):
            near.rtp.far, near.rtcp.far = far.rtp, far.rtcp
        for door in _doors(row):
            self.doors.setdefault(door.leg, {})[door.port] = door
        self._calls.setdefault(row.call_id, []).append(row)

    def remove(self, row: Row) -> None:
        """Forget the row; one that is not in the table changes nothing."""
        rows = self._calls.get(row.call_id, [])
        if row not in rows:
            return
        rows.remove(row)
        if not rows:
            del self._calls[row.call_id]
        for door in _doors(row):
            door.far = None  # each held the other, which only the garbage collector would have ended
            del self.doors[door.leg][door.port]
            if not self.doors[door.leg]:
                del self.doors[door.leg]

    def __len__(self) -> int:
        return sum(map(len, self._calls.values()))

    def rows(self) -> Iterator[Row]:
        """Every row, calls in the order they were made."""
        for rows in self._calls.values():
            yield from rows

    def of_call(self, call_id: str) -> tuple[Row, ...]:
        """The rows of a call, of all its branches."""
        return tuple(self._calls.get(call_id, ()))

    def set_terminal(self, end: End, rtp: Address | None, rtcp: Address | None = None) -> None:
        """What the terminal's SDP says; without an RTCP address that is the next port (RFC 3550 §11)."""
        end.rtp.set_terminal(rtp)
        if rtcp is None and rtp is not None and 0 < rtp.port < 65535:
            rtcp = Address(rtp.host, rtp.port + 1)
        end.rtcp.set_terminal(rtcp)

    def silent(self, now: float, limit: float) -> list[Row]:
        """The rows on which nothing has come, either way, RTP or RTCP, for more than `limit` seconds.

        To be asked every few seconds: the media path keeps no time, packets are noticed here.
        """
        for row in self.rows():
            row.look(now)
        return [row for row in self.rows() if now - max(row.last, row.made) > limit]

    def find(self, leg: str, port: int) -> Door | None:
        """The door at this relay port of the leg."""
        return self.doors.get(leg, {}).get(port)


def sendable(address: Address) -> Address | None:
    """The address in its canonical text; None where no datagram may be aimed (a name, hold, multicast)."""
    try:
        ip = ip_address(address.host)
    except ValueError:
        return None
    one_host = not (ip.is_unspecified or ip.is_multicast or address.host == "255.255.255.255")
    return Address(str(ip), address.port) if one_host and 0 < address.port < 65536 else None


def _doors(row: Row) -> Iterator[Door]:
    for end in row.ends:
        yield end.rtp
        yield end.rtcp


def _place(side: str, address: Address | None) -> dict[str, Any]:
    if address is None:
        return {f"{side}IP": "", f"{side}Port": 0}
    return {f"{side}IP": address.host, f"{side}Port": address.port}
