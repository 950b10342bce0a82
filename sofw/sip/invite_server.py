"""The INVITE server transaction (RFC 3261 §17.2.1 and figure 7, as changed by RFC 6026 §8.5 to §8.7).

in:  start, the INVITE again, ACK of a refusal, responses of the transaction user, send failed,
     timers G H I L, abandon
out: the responses and their repetitions

The 100 that §17.2.1 wants within 200 ms is for the transaction user, which knows at once whether it
will answer sooner. So is the end of Proceeding. Nothing has a row for an ACK in Accepted: the ACK of a
2xx is not part of the transaction and goes its own way.
"""

from __future__ import annotations

from sofw.sip.transaction_actions import (
    doubles_to_t2,
    report_timeout,
    report_unreachable,
    send_again,
    send_response,
    starts,
    starts_repeating,
    stop_timers,
)
from sofw.sip.transaction_values import Input, State, Table

TABLE: Table = {
    State.INITIAL: {
        Input.START: (State.PROCEEDING, ()),
    },
    State.PROCEEDING: {
        Input.REQUEST: (State.PROCEEDING, (send_again,)),
        Input.PROVISIONAL: (State.PROCEEDING, (send_response,)),
        Input.SUCCESS: (State.ACCEPTED, (send_response, starts(Input.TIMER_L))),
        Input.FAILURE: (
            State.COMPLETED,
            (send_response, starts_repeating(Input.TIMER_G), starts(Input.TIMER_H)),
        ),
        Input.SEND_FAILED: (State.PROCEEDING, (report_unreachable,)),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    # RFC 6026 §7.1: the INVITE again is absorbed, and more 2xx may follow from other forks.
    State.ACCEPTED: {
        Input.REQUEST: (State.ACCEPTED, ()),
        Input.SUCCESS: (State.ACCEPTED, (send_response,)),
        Input.SEND_FAILED: (State.ACCEPTED, (report_unreachable,)),
        Input.TIMER_L: (State.TERMINATED, ()),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    State.COMPLETED: {
        Input.REQUEST: (State.COMPLETED, (send_again,)),
        Input.ACK: (State.CONFIRMED, (stop_timers, starts(Input.TIMER_I))),
        Input.TIMER_G: (State.COMPLETED, (send_again, doubles_to_t2(Input.TIMER_G))),
        Input.TIMER_H: (State.TERMINATED, (report_timeout,)),
        Input.SEND_FAILED: (State.COMPLETED, (report_unreachable,)),
        Input.ABANDON: (State.TERMINATED, ()),
    },
    # What is still under way is absorbed: ACKs that answer repetitions, and an INVITE they overtook.
    State.CONFIRMED: {
        Input.REQUEST: (State.CONFIRMED, ()),
        Input.ACK: (State.CONFIRMED, ()),
        Input.TIMER_I: (State.TERMINATED, ()),
        Input.ABANDON: (State.TERMINATED, ()),
    },
}
