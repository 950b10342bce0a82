"""What a call was like, measured where the phones are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from attrs import frozen

from sofw.demo.audio import Comparison

#: An RTP packet somewhere: its SSRC, its sequence number, and seconds by a clock that all places share.
Passage = tuple[int, int, float]

#: The least likeness of what was said and what was heard; G.711 and back gives 0.9999.
ALIKE = 0.98
#: The largest part of the packets that may be lost, and the longest set-up and delay (seconds).
LOST = 0.01
SLOW = 2.0
LATE = 0.1
#: A packet that left within this time (seconds) before the count may still be on its way.
ON_ITS_WAY = 0.3


@frozen
class Journey:
    """How the packets of one direction fared: how many, how many lost, delays in seconds."""

    sent: int
    lost: int
    usual: float
    worst: float

    @property
    def good(self) -> bool:
        """Whether it is fit for talking."""
        return self.sent > 0 and self.lost <= LOST * self.sent and self.worst <= LATE


@frozen
class Voice:
    """One direction of a call: who speaks to whom, the packets, and the sound at the end."""

    speaker: str
    listener: str
    journey: Journey
    sound: Comparison

    @property
    def good(self) -> bool:
        """Whether the sentence was heard as it was spoken."""
        return self.journey.good and self.sound.correlation >= ALIKE and not self.sound.gaps


@frozen
class Measured:
    """One call: who called whom, seconds from dialling until both phones are up, and both directions."""

    caller: str
    callee: str
    setup: float
    voices: tuple[Voice, ...]

    @property
    def good(self) -> bool:
        """Whether it was as a call should be."""
        return self.setup <= SLOW and all(voice.good for voice in self.voices)


def journey(sent: Sequence[Passage], heard: Sequence[Passage], now: float) -> Journey:
    """Follow the packets that left at least ON_ITS_WAY before `now`."""
    arrived = {(ssrc, sequence): time for ssrc, sequence, time in heard}
    left = [(ssrc, sequence, time) for ssrc, sequence, time in sent if time < now - ON_ITS_WAY]
    delays = sorted(
        arrived[ssrc, sequence] - time for ssrc, sequence, time in left if (ssrc, sequence) in arrived
    )
    if not delays:
        return Journey(len(left), len(left), 0.0, 0.0)
    return Journey(len(left), len(left) - len(delays), median(delays), delays[len(delays) * 99 // 100])
