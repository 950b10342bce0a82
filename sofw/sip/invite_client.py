"""The INVITE client transaction (RFC 3261 §17.1.1 and figure 5, as changed by RFC 6026 §8.4).

in:  start, responses, send failed, timers A B D M, abandon
out: the INVITE and its repetitions, the ACK of a refusal, what came
"""

from __future__ import annotations

from sofw.sip.transaction_actions import (
    deliver,
    doubles,
    report_timeout,
    report_unreachable,
    send_ack,
    send_request,
    starts,
    starts_repeating,
    stop_timers,
)
from sofw.sip.transaction_values import Input, State, Table

TABLE: Table = {
    State.INITIAL: {
        Input.START: (
            State.CALLING,
            (send_request, starts_repeating(Input.TIMER_A), starts(Input.TIMER_B)),
        ),
    },
    State.CALLING: {
        Input.TIMER_A: (State.CALLING, (send_request, doubles(Input.TIMER_A))),
        Input.TIMER_B: (State.TERMINATED, (report_timeout,)),
        Input.PROVISIONAL: (State.PROCEEDING, (stop_timers, deliver)),
        Input.SUCCESS: (State.ACCEPTED, (stop_timers, deliver, starts(Input.TIMER_M))),
        Input.FAILURE: (State.COMPLETED, (stop_timers, send_ack, deliver, starts(Input.TIMER_D))),
        Input.SEND_FAILED: (State.TERMINATED, (report_unreachable,)),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    # Nothing ends it here but a final response: how long it may ring is for the transaction user,
    # a proxy's Timer C (RFC 3261 §16.6 step 11).
    State.PROCEEDING: {
        Input.PROVISIONAL: (State.PROCEEDING, (deliver,)),
        Input.SUCCESS: (State.ACCEPTED, (deliver, starts(Input.TIMER_M))),
        Input.FAILURE: (State.COMPLETED, (send_ack, deliver, starts(Input.TIMER_D))),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    # RFC 6026 §7.2: every 2xx, of other forks or repeated, belongs to the transaction user.
    State.ACCEPTED: {
        Input.SUCCESS: (State.ACCEPTED, (deliver,)),
        Input.TIMER_M: (State.TERMINATED, ()),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    State.COMPLETED: {
        Input.FAILURE: (State.COMPLETED, (send_ack,)),
        Input.SEND_FAILED: (State.TERMINATED, (report_unreachable,)),
        Input.TIMER_D: (State.TERMINATED, ()),
        Input.ABANDON: (State.TERMINATED, ()),
    },
}
