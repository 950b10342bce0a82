"""The response context of a forwarded request (RFC 3261 §16.7): its branches and the best response.

in:  opened, provisional, final, failed, redirected, cancel, timer C
out: Forward, CancelBranch, Further, Abandon (what to do; the caller owns transactions and sockets)

A branch goes Waiting → Proceeding → Done; a Waiting branch that must be cancelled is cancelled as
soon as its first provisional response is here (§9.1).
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum

from attrs import define, evolve, field, frozen

from sofw.sip.headers import Headers
from sofw.sip.message import Request, Response, response_to
from sofw.sip.reasons import reason_phrase


class State(Enum):
    """Where a branch stands."""

    WAITING = "waiting"
    PROCEEDING = "proceeding"
    DONE = "done"


@frozen
class Forward:
    """Send this response upstream."""

    response: Response


@frozen
class CancelBranch:
    """Send a CANCEL on this branch; `reasons` tell why (RFC 3326)."""

    key: Hashable
    reasons: tuple[str, ...] = ()


@frozen
class Further:
    """All branches failed: open some for the next targets (§16.6: sequential search)."""


@frozen
class Abandon:
    """Answer nothing: whoever asked has stopped waiting (RFC 4320 §4.2)."""


Output = Forward | CancelBranch | Further | Abandon

#: §16.7 step 6: among equals of the best class, those that let the caller try again go first.
_PREFERRED = {401: 0, 407: 0, 415: 1, 420: 1, 484: 1}
#: What the phones hear that rang in vain, so that they note no missed call (RFC 3326 §2).
COMPLETED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


@define
class Branch:
    """One target of the request."""

    key: Hashable
    state: State = State.WAITING
    cancelled: bool = False
    reasons: tuple[str, ...] = ()
    final: Response | None = None


@define
class Fork:
    """All branches of one server transaction's request; `further` while more targets are left to try."""

    request: Request
    branches: dict[Hashable, Branch] = field(factory=dict)
    answered: bool = False
    further: bool = False

    def open(self, key: Hashable) -> None:
        """A branch has been opened."""
        self.branches[key] = Branch(key)

    def rename(self, old: Hashable, new: Hashable) -> None:
        """A branch goes on in a new transaction: its address is known, or the next one is tried."""
        branch = self.branches.pop(old)
        branch.key, branch.state = new, State.WAITING
        self.branches[new] = branch

    @property
    def is_done(self) -> bool:
        """Whether every branch has its final response."""
        return all(branch.state is State.DONE for branch in self.branches.values())

    def response(self, key: Hashable, response: Response) -> list[Output]:
        """A response came on a branch."""
        branch = self.branches[key]
        if response.status < 200:
            return self._provisional(branch, response)
        return self._final(branch, response)

    def failed(self, key: Hashable, status: int) -> list[Output]:
        """A branch timed out (408) or could not be reached (503): as if so answered (§16.8, §16.9)."""
        branch = self.branches[key]
        if branch.state is State.DONE:
            return []
        if status == 408 and self.request.method != "INVITE":
            branch.state = State.DONE
            self.further = False  # the caller's own time is over too
            return self._best()
        return self._final(branch, response_to(self.request, status))

    def redirected(self, key: Hashable) -> list[Output]:
        """A branch ends with other targets to try instead (§16.7 step 4); its 3xx is no answer to send."""
        self.branches[key].state = State.DONE
        self.further = True
        return self._best()

    def cancel(self, reasons: tuple[str, ...] = ()) -> list[Output]:
        """Cancel every branch that has no final response yet (§16.10), and try no further ones."""
        self.further = False
        outputs: list[Output] = []
        for branch in self.branches.values():
            outputs += self._cancel_branch(branch, reasons)
        return outputs

    def _cancel_branch(self, branch: Branch, reasons: tuple[str, ...]) -> list[Output]:
        if branch.cancelled or branch.state is State.DONE:
            return []
        branch.cancelled, branch.reasons = True, reasons
        return [CancelBranch(branch.key, reasons)] if branch.state is State.PROCEEDING else []

    def _provisional(self, branch: Branch, response: Response) -> list[Output]:
        if branch.state is State.DONE:
            return []
        first = branch.state is State.WAITING
        if first:
            branch.state = State.PROCEEDING
        if branch.cancelled:
            return [CancelBranch(branch.key, branch.reasons)] if first else []
        # 100 is hop by hop and stops here (§16.7 step 5).
        return [] if response.status == 100 or self.answered else [Forward(response)]

    def _final(self, branch: Branch, response: Response) -> list[Output]:
        again = branch.state is State.DONE
        branch.state = State.DONE
        if 200 <= response.status < 300:
            return self._success(branch, response)
        if again:
            return []
        branch.final = response
        # A 6xx ends the search everywhere, yet is itself only sent on when all are done (§16.7 step 5).
        cancels = self.cancel((_reason(response.status),)) if response.status >= 600 else []
        return cancels + self._best()

    def _success(self, branch: Branch, response: Response) -> list[Output]:
        """Every 2xx to INVITE goes up at once; of other methods only the first final response."""
        if self.answered and self.request.method != "INVITE":
            return []
        self.answered = True
        branch.final = response
        return [Forward(response), *self.cancel((COMPLETED_ELSEWHERE,))]

    def _best(self) -> list[Output]:
        if self.answered or not self.is_done:
            return []
        if self.further:
            return [Further()]
        self.answered = True
        finals = [branch.final for branch in self.branches.values() if branch.final]
        return [Forward(best_response(finals)) if finals else Abandon()]


def best_response(responses: list[Response]) -> Response:
    """The final response to send up when no branch succeeded (§16.7 steps 6 and 7)."""
    best = min(responses, key=_rank)
    if best.status in (401, 407):
        best = evolve(best, headers=_with_challenges(best.headers, responses))
    if best.status == 503:
        # A 503 would keep the caller from us, though only that branch is overloaded (§16.7 step 6).
        return evolve(
            best, status=500, reason="Next Hop Unavailable", headers=best.headers.remove("Retry-After")
        )
    return best


def _reason(status: int) -> str:
    """A status as the value of a Reason (RFC 3326 §2)."""
    return f'SIP;cause={status};text="{reason_phrase(status)}"'


def _rank(response: Response) -> tuple[int, int, int]:
    group = response.status // 100
    # 503 is the last choice of its class.
    return (0 if group == 6 else group, _PREFERRED.get(response.status, 2), int(response.status == 503))


def _with_challenges(headers: Headers, responses: list[Response]) -> Headers:
    """All challenges of all branches, so that the caller can answer each (§16.7 step 7)."""
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        values = [value for r in responses if r.status in (401, 407) for value in r.headers.all(name)]
        headers = headers.replace(name, *dict.fromkeys(values))
    return headers
