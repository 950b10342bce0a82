"""When Python searches all memory for garbage that refers to itself: not in the middle of a conversation.

By default it does so whenever a quarter has been added to what lives. With thousands of transactions that
takes a fifth of the CPU time and a third of a second each time, during which nobody's voice goes on. Our own
values make no cycles; what others make is little, and can wait.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall

#: Seconds between two looks whether it is a good moment.
LOOK = 60.0
#: After so many looks none was; then it is done nevertheless: once an hour.
PATIENCE = 60
#: More middle-aged collections than a process lives to see.
_NEVER = 2**31 - 1


class GarbageCollection:
    """From `start` on, all memory is searched only while `busy()` is false, or when it never is."""

    def __init__(self, reactor: Any, busy: Callable[[], bool], collect: Callable[[], object]) -> None:
        self._busy = busy
        self._collect = collect
        self._passed = 0
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin to look."""
        self._loop.start(LOOK, now=False)

    def _look(self) -> None:
        self._passed += 1
        if self._passed >= PATIENCE or not self._busy():
            self._passed = 0
            self._collect()


def spare_pauses(reactor: Any, busy: Callable[[], bool]) -> None:
    """Make it so for this process; what lives now is taken for what always will, and passed over."""
    gc.collect()
    gc.freeze()
    young, middle, _old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    GarbageCollection(reactor, busy, gc.collect).start()
