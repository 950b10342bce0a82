"""The timers of RFC 3261 §17 (table 4), with those RFC 6026 added and the delay of RFC 4320."""

from __future__ import annotations

from attrs import frozen

#: Over a reliable transport nothing is repeated and nobody waits for repetitions: these take no time.
_NOT_ON_RELIABLE = frozenset("ADEGIJK")
#: Those that give the far side up, or absorb what it may still repeat: 64 times T1.
_LONG = frozenset("BDFHJLM")
#: Timer D lasts at least this long on an unreliable transport, however small T1 is (§17.1.1.2).
_SHORTEST_D = 32.0


@frozen
class Timers:
    """The base values, all in seconds (RFC 3261 §17.1.1.1, §17.1.2.1, §16.6 step 11).

    `t1` is the estimated round trip, `t2` the longest interval between two repetitions, `t4` how long
    a message may live in the network, `c` how long a proxy lets it ring (more than three minutes).
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    c: float = 181.0

    def seconds(self, name: str, reliable: bool) -> float:
        """How long the timer of this letter, A to M but C, first runs; 0 where it has no work."""
        if reliable and name in _NOT_ON_RELIABLE:
            return 0.0
        if name in _LONG:
            return max(_SHORTEST_D, 64 * self.t1) if name == "D" else 64 * self.t1
        return self.t4 if name in "IK" else self.t1

    @property
    def trying(self) -> float:
        """When a 100 to a non-INVITE request is due: when its sender's Timer E reaches T2 (RFC 4320 §4.1)."""
        elapsed, interval = 0.0, self.t1
        while interval < self.t2:
            elapsed += interval
            interval *= 2
        return elapsed
