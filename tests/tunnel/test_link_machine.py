"""Two links over a network that cuts lanes at any byte: no sure frame is lost, doubled or re-ordered."""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from sofw.tunnel.frame import DataType, Decoder, Frame
from sofw.tunnel.link import Deliver, DropLanes, Link, Output, Role, State

KINDS = st.sampled_from([DataType.CONTROL, DataType.SIP_UDP, DataType.STREAM_DATA])
SIDES = st.sampled_from([0, 1])
#: So many bytes are everything there is.
ALL = 1 << 20
ROOM = st.one_of(st.just(ALL), st.integers(1, 100))


class Side:
    """One half: its link, what it has sent and what was delivered to it."""

    def __init__(self, role: Role) -> None:
        self.link = Link(role, 0.0, window=1e9)
        self.decoder = Decoder()
        self.arriving: deque[int] = deque()
        self.far: Side | None = None
        self.sent: list[Frame] = []
        self.delivered: list[Frame] = []

    def perform(self, outputs: list[Output]) -> None:
        """Do as the link says; a dropped lane loses what is on its way."""
        for output in outputs:
            if isinstance(output, Deliver):
                self.delivered.append(output.frame)
            elif isinstance(output, DropLanes):
                self.hang_up()

    def hang_up(self) -> None:
        """Leave the lanes; the far side does not learn of it."""
        if self.far is not None:
            self.far.far = None
        self.far = None
        self.arriving.clear()

    def write(self, now: float, room: int) -> None:
        """Let what may leave go on its way."""
        data = self.link.outbox.take(now, room)
        if self.far is not None:
            self.far.arriving.extend(data)

    def read(self, now: float, count: int) -> None:
        """Some bytes arrive."""
        data = bytes(self.arriving.popleft() for _ in range(min(count, len(self.arriving))))
        self.perform(self.link.received(self.decoder.feed(data, lambda *_: None), now))


class LinkMachine(RuleBasedStateMachine):
    """HRAC is side 0, HRAS side 1."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.count = 0
        self.sides = (Side(Role.CLIENT), Side(Role.SERVER))
        self.reopen(0)

    @rule(side=SIDES, kind=KINDS)
    def send(self, side: int, kind: DataType) -> None:
        """A half has something to say."""
        self.count += 1
        frame = Frame(kind, None, 0, b"%d" % self.count)
        self.sides[side].sent.append(frame)
        self.sides[side].perform(self.sides[side].link.send(frame, self.now))

    @rule(side=SIDES, room=ROOM, count=ROOM)
    def carry(self, side: int, room: int, count: int) -> None:
        """A half writes what may leave, and some bytes of what is on its way arrive at the other."""
        if self.sides[side].far is not None:
            self.sides[side].write(self.now, room)
        self.sides[1 - side].read(self.now, count)

    @rule()
    def converse(self) -> None:
        """HRAC's frames arrive, then those of HRAS: enough to join lanes that have just opened."""
        for side in (0, 1, 0):
            self.carry(side, ALL, ALL)

    @rule()
    def cut(self) -> None:
        """The network loses the lanes and all that is on its way; nobody is told."""
        self.sides[0].hang_up()
        self.sides[1].hang_up()

    @rule(side=SIDES)
    def notice(self, side: int) -> None:
        """A half learns that its lanes are lost."""
        self.sides[side].perform(self.sides[side].link.lost("cut", self.now))

    @rule(first=SIDES)
    def reopen(self, first: int) -> None:
        """HRAC gives up its lanes, if it has any, and opens new ones."""
        for side in self.sides:
            side.perform(side.link.lost("new lanes", self.now))
        self.sides[0].far, self.sides[1].far = self.sides[1], self.sides[0]
        for side in self.sides[first], self.sides[1 - first]:
            side.decoder = Decoder()
            side.link.receiving_opened()
            side.perform(side.link.sending_opened(self.now))

    @rule(seconds=st.floats(0.001, 10))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        for side in self.sides:
            side.perform(side.link.tick(self.now))

    @invariant()
    def nothing_doubled_or_reordered(self) -> None:
        """Of each priority, what was delivered is the beginning of what was sent."""
        for side, far in (self.sides, self.sides[::-1]):
            assert side.link.state is not State.CLOSED
            for kind in (DataType.CONTROL, DataType.SIP_UDP, DataType.STREAM_DATA):
                delivered = [frame for frame in side.delivered if frame.type == kind]
                sent = [frame for frame in far.sent if frame.type == kind]
                assert delivered == sent[: len(delivered)]

    def teardown(self) -> None:
        """On lanes that hold everything arrives, and nothing is kept any longer."""
        self.reopen(0)
        self.converse()
        self.converse()
        for side, far in (self.sides, self.sides[::-1]):
            assert Counter(side.delivered) == Counter(far.sent)
            assert (side.link.outbox.queued, side.link.outbox.unacked) == (0, 0)


class LinkMachineTests(SynchronousTestCase):
    """Runs the machine."""

    def test_counts(self) -> None:
        """No sure frame is lost, doubled or re-ordered, wherever the lanes are cut."""
        run_state_machine_as_test(
            LinkMachine, settings=settings(deadline=None, max_examples=200, stateful_step_count=40)
        )
