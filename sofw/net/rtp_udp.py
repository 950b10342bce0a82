"""All media sockets of a half, as one reader on Twisted's reactor.

What media costs is waking up, not packets. So every relay port has its own socket, all sockets sit
in one epoll of our own, and only that epoll's descriptor is known to the reactor: one wake-up reads
all that waits, on all calls. While few packets come, each is passed on at once. When more come, the
reader is taken off the reactor and everything is gathered once a tick.
"""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from sofw.errors import PortInUse
from sofw.flow.media import Batch, Datagram

#: Seconds for which packets are gathered. Delay for CPU time: see docs/performance.md.
TICK = 0.002
#: Packets that a tick must bring to be worth waiting for.
WORTHWHILE = 4
#: Ticks over which the rate of packets is judged.
WINDOW = 10
#: Holds the burst of a video picture while the reactor is busy (bytes; the kernel may grant less).
RECEIVE_BUFFER = 1 << 20
#: No datagram is longer than this, so none is cut.
LONGEST = 65536
#: Sockets asked at once, and packets after which a turn ends: even under a flood the reactor gets to its
#: other work, the tunnel's bytes above all, within a few ms.
MOST = 512
#: Seconds after which gathered voice is too late to be played: about what a jitter buffer holds.
LATE = 0.1
#: Linux: ask for the time at which the kernel received a datagram (struct timespec), see socket(7).
_SO_TIMESTAMPNS = 35
_TIMESPEC = Struct("@qq")
_STAMP_SPACE = socket.CMSG_SPACE(_TIMESPEC.size)


class Relay(Protocol):
    """What decides about packets: see sofw.flow.media."""

    def opened(self, port: int) -> None: ...
    def closed(self, port: int) -> None: ...
    def datagrams(self, arrived: list[Datagram]) -> None: ...
    def take(self) -> tuple[list[Datagram], list[Batch]]: ...


@implementer(IReadDescriptor)
class MediaSockets:
    """The relay ports of a half on `host` (an IP address), read for `relay`.

    `send_media(leg, batch, packets)` is called with the frames that are to leave through a tunnel,
    once a turn and leg. A tick of 0 passes everything on at once. `unsent` and `unread` count the
    system's refusals, which disturb nothing else; `late` counts what was dropped for its age.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        relay: Relay,
        send_media: Callable[[str, bytes, int], None],
        tick: float = TICK,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall` is the kernel's clock for the age of datagrams (seconds since 1970)."""
        self._reactor = reactor
        self._wall = wall
        self._host = host
        self._relay = relay
        self._send_media = send_media
        self._tick = tick
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._receivers: dict[int, tuple[int, Callable[[int], tuple[bytes, Any]]]] = {}
        self._senders: dict[int, Callable[[bytes, Any], int]] = {}
        self._gathering = False
        self._seen = 0
        self._judged = self._emptied = reactor.seconds()
        self._timer: Any = None
        self.unsent = 0
        self.unread = 0
        self.late = 0
        reactor.addReader(self)

    def __len__(self) -> int:
        """How many ports are open."""
        return len(self._sockets)

    def open(self, port: int) -> None:
        """Open the even port and the odd one above it; raises PortInUse. Open ones stay as they are."""
        if port in self._sockets:
            return
        first = self._bind(port)
        try:
            second = self._bind(port + 1)
        except PortInUse:
            first.close()
            raise
        self._add(port, first)
        self._add(port + 1, second)

    def close(self, port: int) -> None:
        """Close the pair; one that is not open changes nothing."""
        for each in (port, port + 1):
            sock = self._sockets.pop(each, None)
            if sock is not None:
                del self._receivers[sock.fileno()], self._senders[each]
                sock.close()
                self._relay.closed(each)

    def stop(self) -> None:
        """Close everything and leave the reactor."""
        for port in [port for port in self._sockets if port % 2 == 0]:
            self.close(port)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._reactor.removeReader(self)
        self._epoll.close()

    def status(self) -> dict[str, object]:
        """Open ports, and what came to nothing, for the operator."""
        return {"ports": len(self), "late": self.late, "unsent": self.unsent, "unread": self.unread}

    def flush(self) -> None:
        """Send what the relay has for us: at the end of each turn of sockets or tunnel."""
        outgoing, batches = self._relay.take()
        senders = self._senders
        for port, data, peer in outgoing:
            try:
                senders[port](data, peer)
            except (OSError, KeyError):
                self.unsent += 1
        for leg, batch, packets in batches:
            self._send_media(leg, batch, packets)

    def doRead(self) -> None:
        """Packets came while each is passed on at once."""
        self._turn()
        if self._gathering:
            self._reactor.removeReader(self)
            self._timer = self._reactor.callLater(self._tick, self._gather)

    def _gather(self) -> None:
        """A tick is over; the next one begins now, not after the work."""
        self._timer = self._reactor.callLater(self._tick, self._gather)
        self._turn()
        if not self._gathering:
            self._timer.cancel()
            self._timer = None
            self._reactor.addReader(self)

    def _turn(self) -> None:
        now = self._reactor.seconds()
        if self._gathering and now - self._emptied > LATE:
            self._drop_waiting()
        # After a pause it is silence that is over, or it was us who slept: then what waits is old.
        paused = now - self._emptied > LATE
        arrived = self._receive_fresh() if paused else self._receive()
        if len(arrived) < MOST:
            self._emptied = now
        if arrived:
            self._relay.datagrams(arrived)
            self.flush()
        self._judge(len(arrived), now)

    def _drop_waiting(self) -> None:
        """The oldest of what waits has waited since the last turn that took everything: too long.

        A queue would make all that follows as late as that; so it is dropped, and the next is in time.
        """
        for _ in range(MOST):
            ready = self._epoll.poll(0, MOST)
            if not ready:
                break
            for descriptor, _ in ready:
                with suppress(OSError):
                    self._receivers[descriptor][1](0)
            self.late += len(ready)

    def _receive(self) -> list[Datagram]:
        """What waits, up to a turn's worth.

        One recvfrom per socket and round: asking until EAGAIN would cost an exception.
        """
        arrived: list[Datagram] = []
        while len(arrived) < MOST:
            ready = self._epoll.poll(0, MOST)
            if not ready:
                break
            for descriptor, _ in ready:
                port, receive = self._receivers[descriptor]
                try:
                    data, source = receive(LONGEST)
                except OSError:
                    self.unread += 1
                else:
                    arrived.append((port, data, source))
        return arrived

    def _receive_fresh(self) -> list[Datagram]:
        """The same with a look at when the kernel received each; what is late is dropped."""
        arrived: list[Datagram] = []
        oldest = self._wall() - LATE
        for _ in range(MOST):
            ready = self._epoll.poll(0, MOST)
            if not ready or len(arrived) >= MOST:
                break
            for descriptor, _ in ready:
                port, _receive = self._receivers[descriptor]
                try:
                    data, ancillary, _flags, source = self._sockets[port].recvmsg(LONGEST, _STAMP_SPACE)
                except OSError:
                    self.unread += 1
                    continue
                if _stamp(ancillary, oldest) < oldest:
                    self.late += 1
                else:
                    arrived.append((port, data, source))
        return arrived

    def _judge(self, packets: int, now: float) -> None:
        """Gather while ticks are worth it; the way back is at half the rate, so as not to waver."""
        self._seen += packets
        elapsed = now - self._judged
        if elapsed >= WINDOW * self._tick:
            enough = WORTHWHILE / 2 if self._gathering else WORTHWHILE
            self._gathering = self._seen * self._tick > enough * elapsed
            self._seen, self._judged = 0, now

    def _bind(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if family == socket.AF_INET6:  # or IPv4 terminals would come in IPv6 clothes
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((self._host, port))
        except OSError as error:
            sock.close()
            raise PortInUse("UDP", self._host, port, error.strerror or str(error)) from error
        return sock

    def _add(self, port: int, sock: socket.socket) -> None:
        self._sockets[port] = sock
        self._receivers[sock.fileno()] = (port, sock.recvfrom)
        self._senders[port] = sock.sendto
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._relay.opened(port)

    def fileno(self) -> int:
        """The epoll's descriptor, for the reactor."""
        return self._epoll.fileno()

    def connectionLost(self, reason: object) -> None:
        """The reactor stops."""

    def logPrefix(self) -> str:
        """The name in the reactor's own log lines."""
        return "media"


def _stamp(ancillary: list[tuple[int, int, bytes]], default: float) -> float:
    """When the kernel received a datagram, in seconds since 1970."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return float(seconds + nanoseconds / 1e9)
    return default


def allow_descriptors() -> int:
    """Raise this process's limit of open files as far as it may; returns the limit.

    A relayed call needs two sockets in each half, and the usual soft limit of 1024 is there for
    programs that use select().
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
