"""The link: what holds the two halves of a tunnel together while its lanes come and go.

A link sends on one lane and receives on the other. Both open with an ack frame, so that sure frames lost
with the old lanes leave again, and those that arrived are not handled twice. HRAS is joined when both lanes
are there, and then speaks first; HRAC is joined when it hears that. Only acks and padding go before.

Inputs: lanes opened or lost, frames, time, the wish to end. Outputs: what the edge must do.
States: opening, up, resuming, closed. (The counting is the idea of XEP-0198.)
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from struct import Struct
from typing import Protocol

from attrs import frozen

from sofw.tunnel.exchange import Hello
from sofw.tunnel.frame import DataType, Frame, is_sure
from sofw.tunnel.outbox import AckError, Outbox, read_ack

__all__ = ["TUNNEL", "Deliver", "Down", "DropLanes", "Hello", "Link", "Role", "State", "TunnelListener", "Up"]

#: The leg by which HRAC names its one tunnel.
TUNNEL = "tunnel"
#: Seconds for which both halves keep a session without lanes.
RESUME_WINDOW = 60.0
#: Seconds in which new lanes must be joined. A proxy that needs longer for a request carries no voice.
JOIN_LIMIT = 10.0
#: Seconds between dummies and seconds until one must be answered: idle, and while calls are up.
#: Idle stays below what proxies and NATs allow (the shortest known limit is 50 s).
IDLE = (15.0, 10.0)
BUSY = (1.0, 3.0)

_DUMMY = Struct("!BQ")
_ASK, _ANSWER, _GOODBYE = 0, 1, 2


class TunnelListener(Protocol):
    """Who is told what a tunnel brings. `leg` is the site on HRAS and TUNNEL on HRAC."""

    def tunnel_up(self, leg: str, hello: Hello, resumed: bool) -> None:
        """The tunnel carries frames; when `resumed`, no sure frame was lost or doubled meanwhile."""

    def tunnel_down(self, leg: str) -> None:
        """The session is over: what was sent and not acknowledged is lost."""

    def frame(self, leg: str, frame: Frame) -> None:
        """A sure frame, once and in order."""

    def media(self, leg: str, head: bytes, relay_port: int, payload: bytes) -> None:
        """A media frame: the head of its RA header, its relay port and what it carries."""

    def media_end(self, leg: str) -> None:
        """No more media for now: what was handed over may leave."""


class Role(Enum):
    """Which half this end of the link is."""

    CLIENT = "hrac"
    SERVER = "hras"


class State(Enum):
    """What a link is about."""

    OPENING = "opening"
    UP = "up"
    RESUMING = "resuming"
    CLOSED = "closed"


class Input(Enum):
    """What moves a link from state to state."""

    JOINED = "the lanes carry frames both ways"
    LOST = "a lane is lost or silent"
    ENDED = "the session is over"


@frozen
class Up:
    """Report that the tunnel carries frames."""

    resumed: bool


@frozen
class Down:
    """Report that the session is over."""

    reason: str


@frozen
class DropLanes:
    """Close both lanes, if they are not closed yet."""

    reason: str


@frozen
class Deliver:
    """Hand over a sure frame."""

    frame: Frame


Output = Up | Down | DropLanes | Deliver
_Action = Callable[[str], Output]


def _report_up(_reason: str) -> Output:
    return Up(resumed=False)


def _report_resumed(_reason: str) -> Output:
    return Up(resumed=True)


_TABLE: dict[State, dict[Input, tuple[State, list[_Action]]]] = {
    State.OPENING: {
        Input.JOINED: (State.UP, [_report_up]),
        Input.LOST: (State.OPENING, [DropLanes]),
        Input.ENDED: (State.CLOSED, [DropLanes]),
    },
    State.UP: {
        Input.LOST: (State.RESUMING, [DropLanes]),
        Input.ENDED: (State.CLOSED, [DropLanes, Down]),
    },
    State.RESUMING: {
        Input.JOINED: (State.UP, [_report_resumed]),
        Input.LOST: (State.RESUMING, [DropLanes]),
        Input.ENDED: (State.CLOSED, [DropLanes, Down]),
    },
    State.CLOSED: {},
}


class Link:
    """One end of a session. `now` is in seconds of any steady clock, always the same one.

    `round_trip` is the latest measured, in seconds; `joined` counts how often the link came up.
    """

    def __init__(self, role: Role, now: float, window: float = RESUME_WINDOW) -> None:
        self.state = State.OPENING
        self.outbox = Outbox()
        self.round_trip: float | None = None
        self.joined = 0
        self._role = role
        self._window = window
        self._pace = IDLE
        self._expires: float = now + window
        self._join_by: float | None = None
        self._sending = False
        self._receiving = False
        self._greeted = False
        self._following = 0
        self._ask_at = now
        self._asked = 0.0
        self._answer_by: float | None = None

    @property
    def due(self) -> float | None:
        """When `tick` must be called at the latest; None when there is nothing to wait for."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.UP:
            return self._ask_at if self._answer_by is None else min(self._ask_at, self._answer_by)
        return self._expires if self._join_by is None else min(self._expires, self._join_by)

    @property
    def busy(self) -> bool:
        """Whether calls are up."""
        return self._pace is BUSY

    def opening_lanes(self, now: float) -> None:
        """HRAC begins to open lanes: from now on they have a limited time to be joined."""
        self._join_by = now + JOIN_LIMIT

    def sending_opened(self, now: float) -> list[Output]:
        """The lane to send on is there."""
        self._sending = True
        self.outbox.rewind()
        return self._try_join(now, heard=False)

    def receiving_opened(self) -> None:
        """The lane to receive on is there; it will open with an ack frame."""
        self._receiving, self._greeted = True, False

    def lost(self, reason: str, now: float) -> list[Output]:
        """A lane is lost: without either, both are of no use."""
        return self._input(Input.LOST, reason, now)

    def end(self, reason: str, now: float) -> list[Output]:
        """The session is over: refused, replaced or dropped."""
        return self._input(Input.ENDED, reason, now)

    def set_busy(self, busy: bool, now: float) -> None:
        """While calls are up, dummies go often and must be answered fast."""
        self._pace = BUSY if busy else IDLE
        self._ask_at = min(self._ask_at, now + self._pace[0])

    def send(self, frame: Frame, now: float) -> list[Output]:
        """Take a sure frame to be sent. Raises LocalError for what no frame can carry.

        One that finds no room is dropped and counted, except that the session ends with a control frame.
        """
        if self.outbox.put_sure(frame) or frame.type != DataType.CONTROL:
            return []
        return self.end("The other half takes no frames", now)

    def say_goodbye(self) -> bool:
        """This half is about to stop: let the other one end the session now; whether it can be told."""
        if self.state is State.UP:
            self.outbox.put_own(DataType.DUMMY, _DUMMY.pack(_GOODBYE, 0))
        return self.state is State.UP

    def received(self, frames: list[Frame], now: float) -> list[Output]:
        """What the receiving lane brought, except media."""
        outputs: list[Output] = []
        try:
            for frame in frames:
                outputs += self._received(frame, now)
        except AckError as error:
            outputs += self.end(str(error), now)
        return outputs

    def tick(self, now: float) -> list[Output]:
        """Do what is due: ask for a sign of life, give up what shows none."""
        if self.state is State.UP:
            if self._answer_by is not None and now >= self._answer_by:
                return self.lost("No answer in time", now)
            if now >= self._ask_at:
                self._ask(now)
            return []
        if self.state is not State.CLOSED and now >= self._expires:
            return self.end("No lanes in time", now)
        if self._join_by is not None and now >= self._join_by:
            return self.lost("The lanes carry nothing", now)
        return []

    def _received(self, frame: Frame, now: float) -> list[Output]:
        if self.state is State.CLOSED or not self._receiving or frame.type == DataType.PAD:
            return []
        if frame.type == DataType.ACK:
            return self._take_ack(frame.data, now)
        if not self._greeted:
            raise AckError("The lane did not open with an ack frame")
        outputs = self._try_join(now, heard=True)
        if frame.type == DataType.DUMMY:
            outputs += self._take_dummy(frame.data, now)
        elif is_sure(frame.type):
            outputs += self._take_sure(frame)
        return outputs

    def _take_ack(self, data: bytes, now: float) -> list[Output]:
        handled, self._following = read_ack(data)
        if self._following > self.outbox.handled + 1:
            raise AckError(f"Frame {self._following} follows, {self.outbox.handled} came before")
        self.outbox.drop_acked(handled)
        self._greeted = True
        return self._try_join(now, heard=False)

    def _take_sure(self, frame: Frame) -> list[Output]:
        number, self._following = self._following, self._following + 1
        # The peer learns again what it may forget, also for frames that came twice.
        self.outbox.acknowledge()
        if number <= self.outbox.handled:
            return []
        self.outbox.handled = number
        return [Deliver(frame)] if isinstance(frame.type, DataType) else []

    def _take_dummy(self, data: bytes, now: float) -> list[Output]:
        if len(data) < _DUMMY.size:
            return []
        kind, stamp = _DUMMY.unpack_from(data)
        if kind == _ASK:
            self.outbox.put_own(DataType.DUMMY, _DUMMY.pack(_ANSWER, stamp))
        elif kind == _ANSWER and stamp <= _stamp(now):
            self.round_trip = now - stamp / 1e6
            # An answer to an older question is a sign of life too; the newer one stays open.
            latest = stamp == _stamp(self._asked)
            self._answer_by = None if latest else now + self._pace[1]
        elif kind == _GOODBYE:
            return self.end("The other half has stopped", now)
        return []

    def _ask(self, now: float) -> None:
        interval, limit = self._pace
        self.outbox.put_own(DataType.DUMMY, _DUMMY.pack(_ASK, _stamp(now)))
        self._asked, self._ask_at = now, now + interval
        if self._answer_by is None:
            self._answer_by = now + limit

    def _try_join(self, now: float, heard: bool) -> list[Output]:
        """HRAS joins as soon as both lanes are open, HRAC when it hears that HRAS has."""
        if self.state is State.UP or not (self._sending and self._receiving and self._greeted):
            return []
        if self._role is Role.CLIENT and not heard:
            return []
        return self._input(Input.JOINED, "", now)

    def _input(self, event: Input, reason: str, now: float) -> list[Output]:
        if event not in _TABLE[self.state]:
            return []
        before = self.state
        self.state, actions = _TABLE[before][event]
        if self.state is State.UP:
            self._join(now)
        else:
            self._leave(before, now)
        return [action(reason) for action in actions]

    def _join(self, now: float) -> None:
        self.outbox.ready = True
        self.joined += 1
        self._join_by = None
        self._ask(now)

    def _leave(self, before: State, now: float) -> None:
        self.outbox.lose()
        self._sending = self._receiving = self._greeted = False
        self._join_by = self._answer_by = None
        if before is State.UP:
            self._expires = now + self._window


def _stamp(now: float) -> int:
    return int(now * 1e6)
