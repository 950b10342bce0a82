"""The client transaction of every other request (RFC 3261 §17.1.2 and figure 6).

in:  start, responses, send failed, timers E F K, abandon
out: the request and its repetitions, what came
"""

from __future__ import annotations

from sofw.sip.transaction_actions import (
    deliver,
    doubles_to_t2,
    report_timeout,
    report_unreachable,
    send_request,
    slow_timer_e,
    starts,
    starts_repeating,
    stop_timers,
)
from sofw.sip.transaction_values import Input, State, Table

_FINAL = (State.COMPLETED, (stop_timers, deliver, starts(Input.TIMER_K)))

TABLE: Table = {
    State.INITIAL: {
        Input.START: (
            State.TRYING,
            (send_request, starts_repeating(Input.TIMER_E), starts(Input.TIMER_F)),
        ),
    },
    State.TRYING: {
        Input.TIMER_E: (State.TRYING, (send_request, doubles_to_t2(Input.TIMER_E))),
        Input.TIMER_F: (State.TERMINATED, (report_timeout,)),
        Input.PROVISIONAL: (State.PROCEEDING, (deliver,)),
        Input.SUCCESS: _FINAL,
        Input.FAILURE: _FINAL,
        Input.SEND_FAILED: (State.TERMINATED, (report_unreachable,)),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    State.PROCEEDING: {
        Input.TIMER_E: (State.PROCEEDING, (send_request, slow_timer_e)),
        Input.TIMER_F: (State.TERMINATED, (report_timeout,)),
        Input.PROVISIONAL: (State.PROCEEDING, (deliver,)),
        Input.SUCCESS: _FINAL,
        Input.FAILURE: _FINAL,
        Input.SEND_FAILED: (State.TERMINATED, (report_unreachable,)),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    State.COMPLETED: {
        Input.PROVISIONAL: (State.COMPLETED, ()),
        Input.SUCCESS: (State.COMPLETED, ()),
        Input.FAILURE: (State.COMPLETED, ()),
        Input.TIMER_K: (State.TERMINATED, ()),
        Input.ABANDON: (State.TERMINATED, ()),
    },
}
