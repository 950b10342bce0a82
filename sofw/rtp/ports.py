"""The relay ports of one half: even/odd pairs for RTP and RTCP (RFC 3550 §11)."""

from __future__ import annotations

from collections import deque

from sofw.errors import LocalError


class NoPorts(LocalError):
    """No relay port is free; the call is to be refused with `status`."""

    status = 503


class PortPairs:
    """Hands out even ports; the odd port above each belongs to the same pair.

    Ports go round: the one that has rested longest is taken first, so that late
    packets of an ended call do not reach the next one.
    """

    def __init__(self, first: int, last: int) -> None:
        """Use the ports first to last, both included; raises LocalError when no pair fits."""
        self._free = deque(range(first + first % 2, last, 2))
        self._taken: set[int] = set()
        if not (first > 0 and last <= 65535 and self._free):
            raise LocalError(f"the relay port range {first}-{last} holds no pair of ports")

    def __len__(self) -> int:
        """How many pairs are free."""
        return len(self._free)

    @property
    def taken(self) -> int:
        """How many pairs are in use."""
        return len(self._taken)

    def take(self) -> int:
        """The even port of a free pair; raises NoPorts."""
        if not self._free:
            raise NoPorts(f"all {len(self._taken)} relay port pairs are in use")
        port = self._free.popleft()
        self._taken.add(port)
        return port

    def claim(self, port: int) -> None:
        """Take this very pair, as a restored call needs it; raises NoPorts."""
        try:
            self._free.remove(port)
        except ValueError:
            raise NoPorts(f"relay port {port} is taken or not an even port of the range") from None
        self._taken.add(port)

    def claim_if_free(self, port: int) -> bool:
        """Take this very pair if it can be had; whether it could."""
        try:
            self.claim(port)
        except NoPorts:
            return False
        return True

    def give_back(self, port: int) -> None:
        """The pair is free again, last in the round; a port that is not taken changes nothing."""
        if port in self._taken:
            self._taken.remove(port)
            self._free.append(port)
