"""Parts: a lane cut into short requests, each with whole frames, that may overtake each other."""

from __future__ import annotations

from typing import Generic, TypeVar

from sofw.errors import RemoteError

#: Bytes of a part: what a proxy that gathers bodies takes (1 MiB is a known limit), and more than a
#: sender puts into one (64 KiB, and the frame that goes over it).
MAX_PART = 262144
#: Parts that may come before an earlier one: far more than there are connections.
MAX_AHEAD = 64

Item = TypeVar("Item")


class PartError(RemoteError):
    """A part that is too far ahead: those before it are lost."""


class Ordered(Generic[Item]):
    """Puts numbered parts right: each leaves once and in order, from number 1 on."""

    def __init__(self) -> None:
        self._next = 1
        self._ahead: dict[int, Item] = {}

    def is_new(self, number: int) -> bool:
        """Whether this part has not come before: proxies may send a request twice."""
        return number >= self._next and number not in self._ahead

    def put(self, number: int, item: Item) -> list[Item]:
        """Take a part; what can leave now. One that came before is dropped. Raises PartError."""
        if not self.is_new(number):
            return []
        if number - self._next >= MAX_AHEAD:
            raise PartError(f"Part {number} came, {self._next} did not")
        self._ahead[number] = item
        ready = []
        while self._next in self._ahead:
            ready.append(self._ahead.pop(self._next))
            self._next += 1
        return ready
