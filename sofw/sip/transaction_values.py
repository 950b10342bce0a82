"""What the four transaction machines are made of: kinds, states, inputs, outputs, transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from attrs import define, field, frozen

from sofw.address import Flow
from sofw.sip.match import Key
from sofw.sip.message import Message, Request, Response
from sofw.sip.timers import Timers


class Kind(Enum):
    """Which of the four machines of RFC 3261 §17 a transaction runs."""

    INVITE_CLIENT = "INVITE client"
    INVITE_SERVER = "INVITE server"
    CLIENT = "non-INVITE client"
    SERVER = "non-INVITE server"

    @property
    def is_client(self) -> bool:
        """Whether it sends the request, and so receives the responses."""
        return self in (Kind.INVITE_CLIENT, Kind.CLIENT)


class State(Enum):
    """Where a transaction stands (RFC 3261 figures 5 to 8; Accepted by RFC 6026)."""

    INITIAL = "initial"
    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Input(Enum):
    """What can happen to a transaction.

    A client receives responses, a server is given them by its transaction user: one word serves both.
    The value of a timer is its name.
    """

    START = "start"
    REQUEST = "request"
    ACK = "ACK"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    TOO_LATE = "408"
    SEND_FAILED = "send failed"
    ABANDON = "abandon"
    TIMER_A = "A"
    TIMER_B = "B"
    TIMER_D = "D"
    TIMER_E = "E"
    TIMER_F = "F"
    TIMER_G = "G"
    TIMER_H = "H"
    TIMER_I = "I"
    TIMER_J = "J"
    TIMER_K = "K"
    TIMER_L = "L"
    TIMER_M = "M"
    TIMER_TRYING = "trying"


@frozen
class Transmit:
    """Send this message on this flow."""

    flow: Flow
    message: Message


@frozen
class StartTimer:
    """Tell the transaction when so many seconds have passed."""

    key: Key
    name: str
    seconds: float


@frozen
class StopTimer:
    """The timer is no longer wanted; being told of it nevertheless does no harm."""

    key: Key
    name: str


@frozen
class Deliver:
    """A response for the transaction user."""

    key: Key
    message: Message


@frozen
class TimedOut:
    """Nothing came in time: no final response, or to a server no ACK. `Ended` follows."""

    key: Key


@frozen
class Unreachable:
    """A message could not be sent. Unless `Ended` follows, the transaction goes on (RFC 6026 §7.1)."""

    key: Key


@frozen
class Ended:
    """The transaction is gone; its key means nothing any more."""

    key: Key


Output = Transmit | StartTimer | StopTimer | Deliver | TimedOut | Unreachable | Ended


@define(eq=False)
class Transaction:
    """One transaction: what it is for, where it stands, and what it would send again."""

    key: Key
    kind: Kind
    request: Request
    flow: Flow
    reliable: bool
    timers: Timers
    state: State = State.INITIAL
    #: The response a server sends again; the last one it was given.
    response: Response | None = None
    #: Seconds until the next repetition.
    interval: float = 0.0
    #: The names of the timers that run, in the order of their start.
    running: list[str] = field(factory=list)
    #: A timer that takes no time on this transport has run out before it could be started.
    expired: Input | None = None
    #: Under which key the ACK of a refused INVITE is found.
    ack: Key | None = None


#: What a transition does; the message is the one that came in or is to go out, if the input has one.
Action = Callable[[Transaction, Message | None], list[Output]]
#: state → input → (next state, actions in order); a missing row is the illegal input.
Table = Mapping[State, Mapping[Input, tuple[State, tuple[Action, ...]]]]
