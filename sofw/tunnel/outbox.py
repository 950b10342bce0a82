"""What waits to leave through a tunnel, and in which order it goes.

Order: the link's own frames (acks, dummies), control, SIP, media, streams. Signalling never waits behind
media, and media never behind a file. Sure frames get their number when they first leave and are kept
until the peer has acknowledged them; media that has waited too long is dropped, since late voice is lost
voice.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from struct import Struct

from sofw.errors import RemoteError
from sofw.tunnel.frame import DataType, Frame, encode

#: Seconds after which media that still waits is dropped. A phone's jitter buffer forgives less than this.
MEDIA_DEADLINE = 0.1
#: Bounds of what waits for its acknowledgement: a resume window of heavy signalling fits many times.
MAX_SURE_FRAMES = 8192
MAX_SURE_BYTES = 8 << 20

_ACK = Struct("!QQ")


class AckError(RemoteError):
    """An acknowledgement that cannot be true: the two ends have lost count of the sure frames."""


class Priority(IntEnum):
    """The queues of sure frames, first to leave first."""

    CONTROL = 0
    SIP = 1
    STREAM = 2


_PRIORITY = {
    DataType.CONTROL: Priority.CONTROL,
    DataType.SIP_UDP: Priority.SIP,
    DataType.SIP_TCP: Priority.SIP,
    DataType.SIP_TLS: Priority.SIP,
}


class Outbox:
    """One direction of a tunnel.

    `ready` is false while there is nothing to send on: then only the link's own frames leave, sure frames
    wait and media is dropped. `handled` is the count of the peer's sure frames that have been handled here.
    Counters: `media_dropped` (packets), `refused` (sure frames that found no room).
    """

    def __init__(self) -> None:
        self.ready = False
        self.handled = 0
        self.media_dropped = 0
        self.refused = 0
        self._acked = 0
        self._kept: deque[bytes] = deque()
        self._kept_sent = 0
        self._bytes = 0
        self._waiting: dict[Priority, deque[bytes]] = {priority: deque() for priority in Priority}
        self._media: deque[tuple[float, bytes, int]] = deque()
        self._own: deque[bytes] = deque()
        self._ack_due = False

    @property
    def queued(self) -> int:
        """Sure frames that have not left yet, or must leave again."""
        return sum(map(len, self._waiting.values())) + len(self._kept) - self._kept_sent

    @property
    def unacked(self) -> int:
        """Sure frames that have left and are not acknowledged."""
        return self._kept_sent

    @property
    def acked(self) -> int:
        """How many sure frames the peer has acknowledged."""
        return self._acked

    @property
    def empty(self) -> bool:
        """Whether nothing may leave now."""
        if self._own or self._ack_due:
            return False
        return not self.ready or not (self._media or self.queued)

    @property
    def patient(self) -> bool:
        """Whether nothing waits but an ack, which does better in company."""
        return not self._own and not (self.ready and (self._media or self.queued))

    def put_own(self, kind: int, data: bytes) -> None:
        """A frame of the link itself: it goes first, and is forgotten when the lanes are lost."""
        self._own.append(encode(Frame(kind, None, 0, data)))

    def put_sure(self, frame: Frame) -> bool:
        """Take a sure frame; false when there is no room for it.

        Control frames have twice the room: losing one would set the two halves at odds.
        """
        priority = _PRIORITY.get(DataType(frame.type), Priority.STREAM)
        data = encode(frame)
        room = 2 if priority is Priority.CONTROL else 1
        count = sum(map(len, self._waiting.values())) + len(self._kept)
        if count >= room * MAX_SURE_FRAMES or self._bytes + len(data) > room * MAX_SURE_BYTES:
            self.refused += 1
            return False
        self._waiting[priority].append(data)
        self._bytes += len(data)
        return True

    def put_media(self, batch: bytes, packets: int, now: float) -> None:
        """Take media frames in one buffer; what cannot leave at all is dropped at once."""
        if not self.ready:
            self.media_dropped += packets
            return
        self._drop_late(now)
        self._media.append((now + MEDIA_DEADLINE, batch, packets))

    def acknowledge(self) -> None:
        """Let the next `take` begin with an ack frame."""
        self._ack_due = True

    def rewind(self) -> None:
        """A new lane to send on: it opens with an ack, and what is not acknowledged leaves again."""
        self._own.clear()
        self._ack_due = True
        self._kept_sent = 0

    def lose(self) -> None:
        """The lane is lost: media is dropped and the link's own frames are void."""
        self.ready = self._ack_due = False
        self._own.clear()
        self.media_dropped += sum(packets for _, _, packets in self._media)
        self._media.clear()

    def drop_acked(self, handled: int) -> None:
        """The peer has handled so many of our sure frames; raises AckError when that cannot be."""
        done = handled - self._acked
        if not 0 <= done <= len(self._kept):
            raise AckError(f"The peer has handled {handled} frames of {self._acked + len(self._kept)}")
        for _ in range(done):
            self._bytes -= len(self._kept.popleft())
        if done > self._kept_sent:
            # Frames that were to leave again need not: the peer must learn the number of the next one.
            self._ack_due = True
        self._kept_sent = max(0, self._kept_sent - done)
        self._acked = handled

    def take(self, now: float, room: int) -> bytes:
        """What leaves now: whole frames, until `room` bytes are reached. Late media is dropped."""
        pieces: list[bytes] = []
        if self._ack_due:
            self._ack_due = False
            pieces.append(encode(Frame(DataType.ACK, None, 0, self._ack())))
        pieces += self._own
        self._own.clear()
        if self.ready:
            room -= sum(map(len, pieces))
            room = self._take_kept(pieces, room)
            room = self._take_waiting(Priority.CONTROL, pieces, room)
            room = self._take_waiting(Priority.SIP, pieces, room)
            room = self._take_media(pieces, room, now)
            self._take_waiting(Priority.STREAM, pieces, room)
        return b"".join(pieces)

    def _ack(self) -> bytes:
        """How many sure frames are handled here, and the number of the one that leaves next."""
        return _ACK.pack(self.handled, self._acked + self._kept_sent + 1)

    def _take_kept(self, pieces: list[bytes], room: int) -> int:
        while room > 0 and self._kept_sent < len(self._kept):
            pieces.append(self._kept[self._kept_sent])
            room -= len(pieces[-1])
            self._kept_sent += 1
        return room

    def _take_waiting(self, priority: Priority, pieces: list[bytes], room: int) -> int:
        waiting = self._waiting[priority]
        while room > 0 and waiting:
            data = waiting.popleft()
            pieces.append(data)
            room -= len(data)
            self._kept.append(data)
            self._kept_sent += 1
        return room

    def _take_media(self, pieces: list[bytes], room: int, now: float) -> int:
        self._drop_late(now)
        while room > 0 and self._media:
            pieces.append(self._media.popleft()[1])
            room -= len(pieces[-1])
        return room

    def _drop_late(self, now: float) -> None:
        while self._media and self._media[0][0] < now:
            self.media_dropped += self._media.popleft()[2]


def read_ack(data: bytes) -> tuple[int, int]:
    """The two counts in an ack frame: handled so far, number of the sure frame that comes next."""
    if len(data) != _ACK.size:
        raise AckError(f"An ack frame of {len(data)} bytes")
    handled, following = _ACK.unpack(data)
    return handled, following
