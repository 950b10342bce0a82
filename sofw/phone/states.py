"""How a call of the phone comes and goes (RFC 3261 §13 to §15, §9), as a table.

in:  what the user wants (answer, hang up) and what the other phone says (responses, ACK, CANCEL, BYE)
out: calls to the methods of a Call, in order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

from sofw.sip.message import Message


class State(Enum):
    """Where a call stands. Calling and ringing there are the caller's, ringing and answered the callee's."""

    CALLING = "calling"
    RINGING_THERE = "ringing there"
    RINGING = "ringing"
    ANSWERED = "answered"
    UP = "up"
    LEAVING = "leaving"
    OVER = "over"


class Input(Enum):
    """What can happen to a call. Silence means that our answer was never acknowledged."""

    PROGRESS = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    ANSWER = "answer"
    HANG_UP = "hang up"
    ACK = "ACK"
    CANCEL = "CANCEL"
    BYE = "BYE"
    SILENCE = "silence"


class Steps(Protocol):
    """What the table asks of a call."""

    def progress(self, message: Message | None) -> None: ...

    def acknowledge(self, message: Message | None) -> None: ...

    def connect(self, message: Message | None) -> None: ...

    def accept(self, message: Message | None) -> None: ...

    def refuse(self, message: Message | None) -> None: ...

    def refuse_cancelled(self, message: Message | None) -> None: ...

    def cancel(self, message: Message | None) -> None: ...

    def bye(self, message: Message | None) -> None: ...

    def finish(self, message: Message | None) -> None: ...


Step = Callable[[Steps, Message | None], None]
_FAILED = (State.OVER, (Steps.finish,))
_SAY_BYE = (State.OVER, (Steps.bye, Steps.finish))
_TAKE_UP = (State.UP, (Steps.acknowledge, Steps.connect))
_TURN_AWAY = (State.OVER, (Steps.refuse_cancelled, Steps.finish))

#: state → input → (next state, steps in order); what has no row is ignored.
TABLE: Mapping[State, Mapping[Input, tuple[State, tuple[Step, ...]]]] = {
    State.CALLING: {
        Input.PROGRESS: (State.RINGING_THERE, (Steps.progress,)),
        Input.SUCCESS: _TAKE_UP,
        Input.FAILURE: _FAILED,
        # A CANCEL must wait for the first provisional response (§9.1).
        Input.HANG_UP: (State.LEAVING, ()),
    },
    State.RINGING_THERE: {
        Input.PROGRESS: (State.RINGING_THERE, (Steps.progress,)),
        Input.SUCCESS: _TAKE_UP,
        Input.FAILURE: _FAILED,
        Input.HANG_UP: (State.LEAVING, (Steps.cancel,)),
    },
    State.RINGING: {
        Input.ANSWER: (State.ANSWERED, (Steps.accept,)),
        Input.HANG_UP: (State.OVER, (Steps.refuse, Steps.finish)),
        Input.CANCEL: _TURN_AWAY,
        Input.BYE: _TURN_AWAY,
        Input.SILENCE: (State.OVER, (Steps.refuse, Steps.finish)),
    },
    State.ANSWERED: {
        Input.ACK: (State.UP, (Steps.connect,)),
        # The callee's BYE must wait for the ACK (§15).
        Input.HANG_UP: (State.LEAVING, ()),
        Input.BYE: _FAILED,
        Input.SILENCE: _SAY_BYE,
    },
    State.UP: {
        Input.SUCCESS: (State.UP, (Steps.acknowledge,)),
        Input.HANG_UP: _SAY_BYE,
        Input.BYE: _FAILED,
        Input.SILENCE: _SAY_BYE,
    },
    State.LEAVING: {
        Input.PROGRESS: (State.LEAVING, (Steps.cancel,)),
        Input.SUCCESS: (State.OVER, (Steps.acknowledge, Steps.bye, Steps.finish)),
        Input.FAILURE: _FAILED,
        Input.ACK: _SAY_BYE,
        Input.BYE: _FAILED,
        Input.SILENCE: _SAY_BYE,
    },
    State.OVER: {
        Input.SUCCESS: (State.OVER, (Steps.acknowledge,)),
    },
}
