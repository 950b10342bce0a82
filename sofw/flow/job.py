"""A request under way: its targets in the order they are tried, and a way to each of those that are.

The target set is tried best q first; equals in parallel, the next ones when all before have failed
(RFC 3261 §16.6), never more at once than the request has breadth for (RFC 5393 §5.3.3).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import groupby

from attrs import define, field

from sofw.address import Flow
from sofw.flow.calls import Call, Change
from sofw.flow.routing import Target
from sofw.sip.fork import Fork
from sofw.sip.locate import Destination
from sofw.sip.message import Request

Key = Hashable
#: What holds for a request that does not say (RFC 5393 §5.3.3.1).
DEFAULT_BREADTH = 60
#: Targets of one request, redirections included: three times the contacts a user may have.
MAX_TARGETS = 30


@define(eq=False)
class Job:
    """A request that is being forwarded; `server` is None for an ACK, which has no transaction.

    `mark` is its loop mark (§16.6 step 8).
    """

    request: Request
    source: Flow
    server: Key | None
    fork: Fork
    mark: str
    waiting: list[list[Target]] = field(factory=list)
    tried: set[object] = field(factory=set)

    @property
    def breadth(self) -> int:
        """How many branches the request may have at once, here and further on."""
        asked = self.request.max_breadth
        return DEFAULT_BREADTH if asked is None else asked

    @property
    def copy(self) -> tuple[str, str]:
        """What a copy of the request that came by another path has in common with it."""
        return self.request.method, self.mark

    def add(self, targets: Iterable[Target]) -> bool:
        """Try these next, but none twice; returns whether any is left."""
        places = {(target.uri, target.flow, target.hop): target for target in targets}
        fresh = [place for place in places if place not in self.tried][: MAX_TARGETS - len(self.tried)]
        self.tried.update(fresh)
        self.waiting[:0] = _groups([places[place] for place in fresh], self.breadth)
        return bool(fresh)

    def next_ways(self) -> list[Way]:
        """A way to each of the next targets, which share the breadth."""
        group = self.waiting.pop(0)
        self.fork.further = bool(self.waiting)
        share, more = divmod(self.breadth, len(group))
        return [Way(self, target, share + (number < more)) for number, target in enumerate(group)]


@define(eq=False)
class Way:
    """One branch: where it goes, what was sent, and the call it makes or belongs to."""

    job: Job
    target: Target
    breadth: int
    call: Call | None = None
    from_caller: bool = True
    begins: bool = False
    change: Change = field(factory=Change)
    flow: Flow | None = None
    sent: Request | None = None
    rest: tuple[Destination, ...] = ()


def _groups(targets: list[Target], breadth: int) -> list[list[Target]]:
    """Targets that are tried at the same time, best first."""
    groups = []
    for _q, equals in groupby(sorted(targets, key=lambda t: -t.q), lambda t: t.q):
        group = list(equals)
        groups += [group[start : start + breadth] for start in range(0, len(group), breadth)]
    return groups
