"""Every IPv4 UDP datagram that a computer of the stage sends or receives, kept until asked for."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from types import TracebackType

from attrs import frozen

from sofw.demo.network import Computer, entered

_ETH_P_IP = 0x0800
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
#: Room for about half a minute of a few calls.
_ROOM = 32 << 20


@frozen
class Datagram:
    """One UDP datagram: who sent it to whom (host, port), what it carries, and when it passed.

    `time` is in seconds, by the kernel's one clock for all computers.
    """

    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes
    time: float = 0.0

    @property
    def is_rtp(self) -> bool:
        """Whether it is RTP by its first bytes (RFC 5761 §4)."""
        return self.payload[:1] == b"\x80" and not 192 <= self.payload[1] <= 223

    @property
    def is_rtcp(self) -> bool:
        """Whether it is RTCP by its first bytes (RFC 5761 §4)."""
        return self.payload[:1] in {b"\x80", b"\x81"} and 200 <= self.payload[1] <= 204

    @property
    def is_sip(self) -> bool:
        """Whether it is a SIP message."""
        return b"SIP/2.0" in self.payload


class Capture:
    """A context manager; `take` gives what has passed since the last time."""

    def __init__(self, computer: Computer) -> None:
        with entered(computer.namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(("eth0", 3))
        self._socket.setblocking(False)

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def take(self) -> list[Datagram]:
        """What has passed since the last time, in order."""
        taken = []
        with suppress(BlockingIOError):
            while True:
                packet, notes, _, origin = self._socket.recvmsg(65535, 64)
                if origin[1] == _ETH_P_IP and (datagram := read_packet(packet, _time(notes))):
                    taken.append(datagram)
        return taken


def read_packet(packet: bytes, time: float) -> Datagram | None:
    """The UDP datagram of an unfragmented IPv4 packet (RFC 791 §3.1, RFC 768); None for all else."""
    start = (packet[0] & 15) * 4
    if len(packet) < start + 8 or packet[9] != socket.IPPROTO_UDP:
        return None
    if struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
        return None
    source_port, destination_port, length = struct.unpack_from("!HHH", packet, start)
    return Datagram(
        (socket.inet_ntoa(packet[12:16]), source_port),
        (socket.inet_ntoa(packet[16:20]), destination_port),
        packet[start + 8 : start + length],
        time,
    )


def _time(notes: list[tuple[int, int, bytes]]) -> float:
    seconds, nanoseconds = next(_TIMESPEC.unpack(data) for _, kind, data in notes if kind == _SO_TIMESTAMPNS)
    return int(seconds) + int(nanoseconds) / 1e9
