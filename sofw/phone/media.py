"""The phone's voice: an RTP and an RTCP socket, a packet every 20 ms (RFC 3550, RFC 3551)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from secrets import randbelow, randbits
from struct import Struct
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IUDPTransport
from twisted.internet.protocol import DatagramProtocol

from sofw.address import Address
from sofw.errors import PortInUse
from sofw.phone.audio import MAX_PACKETS, PACKET, SILENCE, Recording, encode
from sofw.rtp.packet import Kind, kind_of, peek

SECONDS_PER_PACKET = 0.02
PCMU = 0
#: After a stop of the machine the phone goes on speaking, it does not catch up.
MAX_BEHIND = 0.2
#: Ports come from the kernel; every second one is even, and the next one is seldom taken.
MAX_TRIES = 100

_RTP = Struct("!BBHII")
_SENDER_REPORT = Struct("!BBHIIIIII")
_SSRC = Struct("!I")
_LENGTH = Struct("!H")
_SR, _SDES, _CNAME = 200, 202, 1
#: Seconds from the era of NTP (1900) to that of Unix (1970).
_NTP_EPOCH = 2208988800

Passage = tuple[int, int, float]


class Socket(DatagramProtocol):
    """One UDP socket that passes on what it gets."""

    transport: IUDPTransport

    def __init__(self, took: Callable[[bytes], None]) -> None:
        self._took = took

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Twisted: a datagram came in."""
        self._took(datagram)

    def send(self, datagram: bytes, to: Address) -> None:
        """Send; a network that is away is a lost packet."""
        try:
            self.transport.write(datagram, (to.host, to.port))
        except OSError:
            return

    def close(self) -> Deferred[object]:
        """Close the socket."""
        return maybeDeferred(self.transport.stopListening)


class Media:
    """What one call says and hears.

    Speaks to `rtp` (and reports to `rtcp`) while both `rtp` is set and `speaking` is true. `sent` and
    `heard` list (SSRC, sequence number, seconds) of each packet, so that phones that share a clock can
    tell how long the packets took. `reports` counts RTCP packets that came in, `strange` packets that
    are neither RTCP nor G.711 µ-law.
    """

    def __init__(self, reactor: Any, host: str, report_seconds: float = 5.0) -> None:
        self.rtp: Address | None = None
        self.rtcp: Address | None = None
        self.speaking = False
        self.recording = Recording()
        self.sent: list[Passage] = []
        self.heard: list[Passage] = []
        self.reports = 0
        self.strange = 0
        self.ssrc = randbits(32)
        self._reactor = reactor
        self._host = host
        self._speech = b""
        self._repeats = False
        self._position = 0
        self._report_seconds = report_seconds
        self._sequence = randbelow(0x8000)
        self._timestamp = randbits(32)
        self._paused = True
        self._due = self._report_due = 0.0
        self._timer: Any = None
        self.port = self._open()

    def say(self, samples: Sequence[int], repeats: bool = False) -> None:
        """Say this next, once or over and over; afterwards silence is sent."""
        speech = encode(samples)
        self._speech = speech + SILENCE[: -len(speech) % PACKET]
        self._repeats = repeats
        self._position = 0

    def start(self) -> None:
        """Begin to send."""
        if self._timer is None:
            self._due = self._report_due = self._reactor.seconds()
            self._tick()

    def stop(self) -> Deferred[Any]:
        """Stop sending and close the sockets."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        return gatherResults([self._voice.close(), self._control.close()])

    def _open(self) -> int:
        """Bind an even port and the next one (RFC 3550 §11)."""
        self._voice, self._control = Socket(self._take_voice), Socket(self._take_control)
        problem = "no pair of free ports"
        for _ in range(MAX_TRIES):
            listening = self._reactor.listenUDP(0, self._voice, interface=self._host)
            port: int = listening.getHost().port
            if port % 2 == 0:
                try:
                    self._reactor.listenUDP(port + 1, self._control, interface=self._host)
                    return port
                except CannotListenError as error:
                    problem = str(error)
            listening.stopListening()
            self._voice = Socket(self._take_voice)
        raise PortInUse("udp", self._host, 0, problem)

    def _tick(self) -> None:
        now = self._reactor.seconds()
        if now - self._due > MAX_BEHIND:
            self._due = now
        while self._due <= now:
            self._send_packet(now)
            self._due += SECONDS_PER_PACKET
        if now >= self._report_due:
            self._send_report(now)
            self._report_due = now + self._report_seconds
        self._timer = self._reactor.callLater(self._due - now, self._tick)

    def _send_packet(self, now: float) -> None:
        self._timestamp = (self._timestamp + PACKET) & 0xFFFFFFFF
        if self.rtp is None or not self.speaking:
            self._paused = True
            return
        self._sequence = (self._sequence + 1) & 0xFFFF
        marker = 0x80 if self._paused else 0  # RFC 3551 §4.1: the first packet after a pause
        self._paused = False
        header = _RTP.pack(0x80, marker | PCMU, self._sequence, self._timestamp, self.ssrc)
        self._voice.send(header + self._next_payload(), self.rtp)
        if len(self.sent) < MAX_PACKETS:
            self.sent.append((self.ssrc, self._sequence, now))

    def _next_payload(self) -> bytes:
        payload = self._speech[self._position : self._position + PACKET]
        self._position += PACKET
        if self._repeats and self._position >= len(self._speech):
            self._position = 0
        return payload or SILENCE

    def _send_report(self, now: float) -> None:
        """A sender report and the name that must go with it (RFC 3550 §6.1, §6.4.1, §6.5)."""
        if self.rtcp is None or not self.sent:
            return
        seconds, fraction = divmod(now + _NTP_EPOCH, 1)
        count = len(self.sent)
        times = (int(seconds), int(fraction * 2**32), self._timestamp)
        report = _SENDER_REPORT.pack(0x80, _SR, 6, self.ssrc, *times, count, count * PACKET)
        name = f"sofw@{self._host}".encode()
        item = _SSRC.pack(self.ssrc) + bytes((_CNAME, len(name))) + name + b"\0"
        item += bytes(-len(item) % 4)
        description = bytes((0x81, _SDES)) + _LENGTH.pack(len(item) // 4) + item
        self._control.send(report + description, self.rtcp)

    def _take_voice(self, datagram: bytes) -> None:
        header = peek(datagram)
        payload = payload_of(datagram) if header else None
        if header is None or payload is None or header.payload_type != PCMU:
            self.strange += 1
            return
        self.recording.put(header.ssrc, header.sequence, payload)
        if len(self.heard) < MAX_PACKETS:
            self.heard.append((header.ssrc, header.sequence, self._reactor.seconds()))

    def _take_control(self, datagram: bytes) -> None:
        if kind_of(datagram) is Kind.RTCP:
            self.reports += 1
        else:
            self.strange += 1


def payload_of(datagram: bytes) -> bytes | None:
    """What an RTP packet carries, without contributors, extension and padding; None when cut short."""
    start = _RTP.size + 4 * (datagram[0] & 0x0F)
    if datagram[0] & 0x10:
        if len(datagram) < start + 4:
            return None
        start += 4 + 4 * _LENGTH.unpack_from(datagram, start + 2)[0]
    end = len(datagram) - (datagram[-1] if datagram[0] & 0x20 else 0)
    return datagram[start:end] if start <= end else None


def delays(speaker: Media, listener: Media) -> list[float]:
    """How long each packet took from one phone to the other, in seconds, on the clock both share."""
    left = {(ssrc, sequence): at for ssrc, sequence, at in speaker.sent}
    return [at - left[ssrc, sequence] for ssrc, sequence, at in listener.heard if (ssrc, sequence) in left]
