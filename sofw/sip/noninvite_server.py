"""The server transaction of every other request (RFC 3261 §17.2.2 and figure 8, as changed by RFC 4320).

in:  start, the request again, final responses of the transaction user, send failed,
     timers trying, F, J, abandon
out: the responses and their repetitions

The only provisional response is a 100, sent here when the final one takes long (RFC 4320 §4.1): one by
the transaction user has no row. Once the sender's Timer F has run out, nobody waits for an answer, and
a late one would only do harm (§4.2); so the transaction then ends, and a 408, which always comes too
late, ends it unsent.
"""

from __future__ import annotations

from sofw.sip.transaction_actions import (
    report_unreachable,
    send_again,
    send_response,
    send_trying,
    start_patience,
    start_trying,
    starts,
    stop_timers,
)
from sofw.sip.transaction_values import Input, State, Table

_FINAL = (State.COMPLETED, (stop_timers, send_response, starts(Input.TIMER_J)))

TABLE: Table = {
    State.INITIAL: {
        Input.START: (State.TRYING, (start_trying,)),
    },
    State.TRYING: {
        Input.REQUEST: (State.TRYING, ()),
        Input.SUCCESS: _FINAL,
        Input.FAILURE: _FINAL,
        Input.TOO_LATE: (State.TERMINATED, ()),
        Input.TIMER_TRYING: (State.PROCEEDING, (send_trying, start_patience)),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    State.PROCEEDING: {
        Input.REQUEST: (State.PROCEEDING, (send_again,)),
        Input.SUCCESS: _FINAL,
        Input.FAILURE: _FINAL,
        Input.TOO_LATE: (State.TERMINATED, ()),
        Input.TIMER_F: (State.TERMINATED, ()),
        Input.SEND_FAILED: (State.TERMINATED, (report_unreachable,)),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    State.COMPLETED: {
        Input.REQUEST: (State.COMPLETED, (send_again,)),
        Input.TIMER_J: (State.TERMINATED, ()),
        Input.SEND_FAILED: (State.TERMINATED, (report_unreachable,)),
        Input.ABANDON: (State.TERMINATED, ()),
    },
}
