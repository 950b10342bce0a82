"""Whatever happens to transactions, in whatever order: nothing raises, nothing is left over."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.message import response_to
from sofw.sip.timers import Timers
from sofw.sip.transaction import Ended, Input, Key, Kind, Output, StartTimer, State, StopTimer, Transactions
from tests.sip.sending import FLOW, request

METHODS = st.sampled_from(["INVITE", "BYE", "CANCEL", "REGISTER"])
BRANCHES = st.sampled_from(["1", "2"])
STATUSES = st.sampled_from([100, 180, 200, 202, 302, 408, 486, 603])
TIMERS = st.sampled_from([i.value for i in Input])
PICK = st.integers(0, 99)


class AnyOrder(RuleBasedStateMachine):
    """The edge in small: it keeps the timers and knows which transactions it was not told the end of."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions = Transactions(Timers())
        self.known: list[Key] = ["never was"]
        self.live: set[Key] = set()
        self.now = 0.0
        self.timers: dict[tuple[Key, str], float] = {}

    def perform(self, outputs: list[Output]) -> None:
        """Do as told, and hold the outputs to their promises."""
        for output in outputs:
            if isinstance(output, StartTimer):
                assert output.seconds > 0 and (output.key, output.name) not in self.timers
                self.timers[output.key, output.name] = self.now + output.seconds
            elif isinstance(output, StopTimer):
                del self.timers[output.key, output.name]
            elif isinstance(output, Ended):
                assert output is outputs[-1]
                self.live.remove(output.key)

    def pick(self, number: int) -> Key:
        """One of the keys there are or ever were."""
        return self.known[number % len(self.known)]

    @rule(server=st.booleans(), method=METHODS, branch=BRANCHES, reliable=st.booleans())
    def start(self, server: bool, method: str, branch: str, reliable: bool) -> None:
        """Begin a transaction, perhaps one that is under way."""
        begin = self.transactions.start_server if server else self.transactions.start_client
        key, outputs = begin(request(method, branch), FLOW, reliable)
        assert outputs or key in self.live or (server and method == "INVITE")
        if key not in self.known:
            self.known.append(key)
        self.live.add(key)
        self.perform(outputs)

    @rule(number=PICK, method=METHODS, branch=BRANCHES, status=STATUSES)
    def receive_response(self, number: int, method: str, branch: str, status: int) -> None:
        """A response comes, perhaps to a server or for another transaction."""
        response = response_to(request(method, branch), status)
        self.perform(self.transactions.receive(self.pick(number), response))

    @rule(number=PICK, method=METHODS | st.just("ACK"), branch=BRANCHES)
    def receive_request(self, number: int, method: str, branch: str) -> None:
        """A request comes, perhaps to a client or for another transaction."""
        self.perform(self.transactions.receive(self.pick(number), request(method, branch)))

    @rule(number=PICK, method=METHODS, branch=BRANCHES, status=STATUSES)
    def respond(self, number: int, method: str, branch: str, status: int) -> None:
        """The transaction user answers, perhaps a client."""
        response = response_to(request(method, branch), status)
        self.perform(self.transactions.respond(self.pick(number), response))

    @rule(branch=BRANCHES)
    def acknowledge(self, branch: str) -> None:
        """An ACK comes; it is given to the transaction it belongs to."""
        key = self.transactions.match_request(request("ACK", branch))
        if key is not None:
            found = self.transactions.get(key)
            assert found is not None and found.state in (State.COMPLETED, State.CONFIRMED)
            self.perform(self.transactions.receive(key, request("ACK", branch)))

    @rule(number=PICK)
    def run_out(self, number: int) -> None:
        """A timer that runs runs out."""
        if self.timers:
            key, name = list(self.timers)[number % len(self.timers)]
            self.fire(key, name)

    @rule(number=PICK, name=TIMERS)
    def any_timer(self, number: int, name: str) -> None:
        """A timer is told of that may not run, or not exist."""
        self.fire(self.pick(number), name)

    @rule(number=PICK)
    def fail(self, number: int) -> None:
        """A message could not be sent."""
        self.perform(self.transactions.send_failed(self.pick(number)))

    @rule(number=PICK)
    def abandon(self, number: int) -> None:
        """The transaction user drops it."""
        self.perform(self.transactions.abandon(self.pick(number)))

    @invariant()
    def agree(self) -> None:
        """Edge and core agree on what lives and which timers run."""
        assert len(self.transactions) == len(self.live)
        running = {(key, name) for key in self.live for name in self.running(key)}
        assert running == set(self.timers)

    def running(self, key: Key) -> list[str]:
        """The timers the core believes to run."""
        found = self.transactions.get(key)
        assert found is not None
        return found.running

    def fire(self, key: Key, name: str) -> None:
        """The edge's timer has run out."""
        self.timers.pop((key, name), None)
        self.perform(self.transactions.timer(key, name))

    def teardown(self) -> None:
        """Time alone ends all but what waits for the transaction user, and that it can drop."""
        for _ in range(1000):
            if not self.timers:
                break
            soonest = min(self.timers, key=lambda timer: self.timers[timer])
            self.now = max(self.now, self.timers[soonest])
            self.fire(*soonest)
        left = [found for found in map(self.transactions.get, self.live) if found is not None]
        assert all(found.state is State.PROCEEDING for found in left)
        assert all(found.kind in (Kind.INVITE_CLIENT, Kind.INVITE_SERVER) for found in left)
        for found in left:
            self.perform(self.transactions.abandon(found.key))
        assert len(self.transactions) == 0 and not self.timers and not self.live
        assert self.transactions.match_request(request("ACK", "1")) is None


class AnyOrderTests(SynchronousTestCase):
    """Many random lives of a few transactions."""

    def test_any_order(self) -> None:
        """Every promise holds after every step, and in the end nothing is left."""
        run_state_machine_as_test(
            AnyOrder, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
        )
