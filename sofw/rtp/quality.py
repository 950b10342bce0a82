"""How a stream arrives: loss and jitter as RFC 3550 defines them, from samples of its packets.

The media path shows every SAMPLE-th packet only, so the price per packet is next to nothing.
Loss is exact over the samples (the distance of sequence numbers against the packets counted),
except that RTCP or DTLS on the same port count as received: an RTCP report may hide a lost packet.
"""

from __future__ import annotations

from attrs import define

from sofw.rtp.packet import RtpHeader, peek

#: A power of two: one packet in so many is looked at (about one a second of voice).
SAMPLE = 64

#: RTP clock rates in Hz of the static payload types that are not 8000 Hz (RFC 3551 §6).
_CLOCKS = {6: 16000, 10: 44100, 11: 44100, 14: 90000, 16: 11025, 17: 22050}
_CLOCKS |= dict.fromkeys(range(25, 35), 90000)


def clock_rate(payload_type: int) -> int:
    """The RTP clock of a static payload type in Hz; 0 for a dynamic one, whose clock only SDP tells."""
    return _CLOCKS.get(payload_type, 8000) if payload_type < 35 else 0


@define
class Quality:
    """Counters of one stream in one direction, since its SSRC last changed.

    `expected` and `lost` are packets; `jitter` is in seconds (RFC 3550 §6.4.1), 0.0 for payload
    types of unknown clock.
    """

    expected: int = 0
    lost: int = 0
    jitter: float = 0.0
    ssrc: int | None = None
    _sequence: int = 0
    _packets: int = 0
    _transit: float | None = None

    def sample(self, datagram: bytes, packets: int, now: float) -> None:
        """Look at a packet that arrived at `now` (seconds) as number `packets` of its door."""
        header = peek(datagram)
        if header is None:
            return
        if header.ssrc != self.ssrc:
            self.expected, self.lost, self.jitter, self._transit = 0, 0, 0.0, None
            self.ssrc = header.ssrc
        else:
            # Signed: a sample that was itself late gives back what the next one takes.
            step = (header.sequence - self._sequence + 0x8000) % 0x10000 - 0x8000
            self.expected += step
            self.lost += step - (packets - self._packets)
        self._sequence, self._packets = header.sequence, packets
        self._feel(header, now)

    def _feel(self, header: RtpHeader, now: float) -> None:
        """The interarrival jitter (RFC 3550 §A.8); the timestamp wraps at 2**32."""
        rate = clock_rate(header.payload_type)
        if not rate:
            return
        transit = now - header.timestamp / rate
        if self._transit is not None:
            span = 2.0**32 / rate
            difference = abs((transit - self._transit + span / 2) % span - span / 2)
            self.jitter += (difference - self.jitter) / 16
        self._transit = transit

    @property
    def loss(self) -> float:
        """The part of the packets that did not arrive, 0.0 to 1.0."""
        return min(max(self.lost, 0) / self.expected, 1.0) if self.expected > 0 else 0.0
