"""The response context: best response, cancelling, and what must never happen."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.fork import COMPLETED_ELSEWHERE, CancelBranch, Fork, Forward, Further, Output
from sofw.sip.headers import Headers
from sofw.sip.message import Request, Response, response_to


def asked(method: str = "INVITE") -> Request:
    """A request that is forwarded."""
    fields = (
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"),
        ("From", "<sip:a@x.org>;tag=a"),
        ("To", "<sip:b@x.org>"),
        ("Call-ID", "c"),
        ("CSeq", f"1 {method}"),
    )
    return Request(method, "sip:b@x.org", Headers(fields))


def answer(status: int, *headers: tuple[str, str], method: str = "INVITE") -> Response:
    """A response to it."""
    return response_to(asked(method), status, headers=headers)


def forked(branches: int = 2, method: str = "INVITE") -> Fork:
    """A fork of so many branches, named by number."""
    fork = Fork(asked(method))
    for key in range(branches):
        fork.open(key)
    return fork


def brief(outputs: list[Output]) -> list[object]:
    """Outputs in short: a status, ("cancel", key), "further", or None for Abandon."""
    return [
        o.response.status
        if isinstance(o, Forward)
        else ("cancel", o.key)
        if isinstance(o, CancelBranch)
        else "further"
        if isinstance(o, Further)
        else None
        for o in outputs
    ]


class Best(SynchronousTestCase):
    """Which final response goes up (§16.7 step 6)."""

    def test_table(self) -> None:
        """The finals of all branches, in their order of arrival, and the one that is chosen."""
        cases = [
            ([486], 486),
            ([404, 486], 404),
            ([500, 404], 404),
            ([404, 302], 302),
            ([404, 603], 603),
            ([603, 600], 603),
            ([404, 401], 401),
            ([404, 407, 401], 407),
            ([404, 484], 484),
            ([404, 420, 415], 420),
            ([503, 500], 500),
            ([503, 480], 480),
            ([503], 500),
            ([503, 503], 500),
            ([487, 486], 487),
        ]
        for finals, best in cases:
            with self.subTest(finals):
                fork = forked(len(finals))
                outputs = [
                    out for key, status in enumerate(finals) for out in fork.response(key, answer(status))
                ]
                self.assertEqual([o for o in brief(outputs) if isinstance(o, int)], [best])

    def test_503_does_not_keep_the_caller_from_us(self) -> None:
        """Retry-After of one branch is not ours."""
        (output,) = forked(1).response(0, answer(503, ("Retry-After", "60")))
        assert isinstance(output, Forward)
        self.assertEqual((output.response.status, output.response.headers.all("Retry-After")), (500, ()))

    def test_challenges_of_all_branches(self) -> None:
        """The caller can answer each of them (§16.7 step 7); equal ones stand once."""
        fork = forked(4)
        for key, status, name, value in (
            (0, 407, "Proxy-Authenticate", 'Digest realm="a"'),
            (1, 401, "WWW-Authenticate", 'Digest realm="b"'),
            (2, 407, "Proxy-Authenticate", 'Digest realm="a"'),
        ):
            self.assertEqual(fork.response(key, answer(status, (name, value))), [])
        (output,) = fork.response(3, answer(404, ("WWW-Authenticate", "Digest nobody")))
        assert isinstance(output, Forward)
        headers = output.response.headers
        self.assertEqual(headers.all("Proxy-Authenticate"), ('Digest realm="a"',))
        self.assertEqual(headers.all("WWW-Authenticate"), ('Digest realm="b"',))


class Steps(SynchronousTestCase):
    """One input after the other; after each the whole output."""

    def run_steps(self, fork: Fork, steps: list[tuple[object, ...]]) -> None:
        """Each step is an input, its arguments and what must come of it."""
        for step in steps:
            *call, expected = step
            with self.subTest(step):
                self.assertEqual(brief(self.do(fork, *call)), expected)

    def do(self, fork: Fork, what: object, *arguments: object) -> list[Output]:
        """A status is a response on a branch; "fail" and "cancel" are what they say."""
        if what == "cancel":
            return fork.cancel()
        if what == "redirected":
            return fork.redirected(arguments[0])
        if what == "fail":
            key, status = arguments
            return fork.failed(key, int(str(status)))
        return fork.response(arguments[0], answer(int(str(what)), method=fork.request.method))

    def test_conversations(self) -> None:
        """What goes up, and who is cancelled."""
        zero, one = ("cancel", 0), ("cancel", 1)
        cases = {
            "100 stops here": [(100, 0, []), (180, 0, [180]), (183, 1, [183])],
            "the winner cancels who rings": [(180, 1, [180]), (200, 0, [200, one]), (487, 1, [])],
            "who has not rung is cancelled when it does": [(200, 0, [200]), (180, 1, [one]), (180, 1, [])],
            "a 100 is enough for the CANCEL": [("cancel", []), (100, 0, [zero]), (180, 0, [])],
            "cancelled once only": [(180, 0, [180]), ("cancel", [zero]), ("cancel", []), (180, 0, [])],
            "every 2xx goes up": [(200, 0, [200]), (200, 0, [200]), (200, 1, [200])],
            "6xx ends the search, and waits": [(180, 1, [180]), (603, 0, [one]), (487, 1, [603])],
            "a 2xx is better than a 6xx": [(180, 1, [180]), (603, 0, [one]), (200, 1, [200])],
            "the same final again": [(404, 0, []), (404, 0, []), (486, 1, [404]), (486, 1, [])],
            "nothing rings after its end": [(404, 0, []), (180, 0, []), (486, 1, [404])],
            "timed out": [("fail", 0, 408, []), ("fail", 1, 408, [408]), ("fail", 1, 408, [])],
            "unreachable": [("fail", 0, 503, []), (480, 1, [480])],
            "cancelled and answered": [(180, 0, [180]), ("cancel", [zero]), (487, 0, []), (487, 1, [487])],
        }
        for name, steps in cases.items():
            with self.subTest(name):
                self.run_steps(forked(2), steps)

    def test_other_methods(self) -> None:
        """Only one final response ever, and none when time has run out (RFC 4320 §4.2)."""
        cases = {
            "one 2xx only": [(200, 0, [200]), (200, 1, [])],
            "all timed out": [("fail", 0, 408, []), ("fail", 1, 408, [None])],
            "one timed out": [("fail", 0, 408, []), (404, 1, [404])],
            "late": [("fail", 0, 408, []), ("fail", 1, 408, [None]), ("fail", 0, 503, [])],
        }
        for name, steps in cases.items():
            with self.subTest(name):
                self.run_steps(forked(2, "MESSAGE"), steps)

    def test_further_targets(self) -> None:
        """The next ones are asked for when all have failed, unless the search is over."""
        cases = {
            "all failed": [(404, 0, []), (486, 1, ["further"])],
            "time ran out": [("fail", 0, 408, []), ("fail", 1, 408, ["further"])],
            "one answers": [(404, 0, []), (200, 1, [200])],
            "declined for all": [(603, 0, []), (486, 1, [603])],
            "the caller gave up": [("cancel", []), (487, 0, []), (487, 1, [487])],
            "redirected": [("redirected", 0, []), (486, 1, ["further"])],
        }
        for name, steps in cases.items():
            with self.subTest(name):
                fork = forked(2)
                fork.further = True
                self.run_steps(fork, steps)

    def test_redirected(self) -> None:
        """A 3xx that is followed does not stand against what comes of it."""
        fork = forked(2)
        self.run_steps(fork, [(404, 0, []), ("redirected", 1, ["further"])])
        fork.open(2)
        fork.further = False
        self.run_steps(fork, [(486, 2, [404])])

    def test_nobody_waits_for_further_ones(self) -> None:
        """Who asked with another method than INVITE has no time left after a 408 (RFC 4320)."""
        fork = forked(1, "MESSAGE")
        fork.further = True
        self.run_steps(fork, [("fail", 0, 408, [None])])

    def test_reasons(self) -> None:
        """Why a branch is cancelled, at once or when it first rings (RFC 3326)."""
        busy = 'SIP;cause=600;text="Busy Everywhere"'
        cases = [
            ((180, 1), (200, 0), (COMPLETED_ELSEWHERE,)),
            ((180, 1), (600, 0), (busy,)),
            ((200, 0), (180, 1), (COMPLETED_ELSEWHERE,)),
        ]
        for first, second, expected in cases:
            fork = forked(2)
            self.do(fork, *first)
            found = [out.reasons for out in self.do(fork, *second) if isinstance(out, CancelBranch)]
            self.assertEqual(found, [expected])
        fork = forked(1)
        fork.response(0, answer(180))
        self.assertEqual(fork.cancel(("Q.850;cause=16",)), [CancelBranch(0, ("Q.850;cause=16",))])

    def test_rename(self) -> None:
        """A branch keeps what is known of it under its new name."""
        fork = forked(1)
        fork.cancel()
        fork.rename(0, "transaction")
        self.assertEqual(brief(fork.response("transaction", answer(180))), [("cancel", "transaction")])


class ForkMachine(RuleBasedStateMachine):
    """Any order of inputs on three branches."""

    method = "INVITE"
    keys = st.integers(0, 2)

    def __init__(self) -> None:
        super().__init__()
        self.fork = forked(3, self.method)
        self.outputs: list[object] = []
        self.rung: set[int] = set()
        self.done: set[int] = set()

    @rule(key=keys, status=st.sampled_from([100, 180, 183]))
    def provisional(self, key: int, status: int) -> None:
        """It rings."""
        self.rung.add(key)
        self.outputs += brief(self.fork.response(key, answer(status, method=self.method)))

    @rule(key=keys, status=st.sampled_from([200, 202, 302, 401, 404, 408, 486, 487, 503, 603]))
    def final(self, key: int, status: int) -> None:
        """It answers."""
        self.done.add(key)
        self.outputs += brief(self.fork.response(key, answer(status, method=self.method)))

    @rule(key=keys, status=st.sampled_from([408, 487, 488, 503]))
    def fails(self, key: int, status: int) -> None:
        """It cannot be reached."""
        self.done.add(key)
        self.outputs += brief(self.fork.failed(key, status))

    @rule()
    def cancel(self) -> None:
        """The caller gives up."""
        self.outputs += brief(self.fork.cancel())

    @precondition(lambda self: len(self.done) == 3)
    @rule()
    def nothing_more(self) -> None:
        """When all is done, cancelling does nothing."""
        assert self.fork.cancel() == []

    @invariant()
    def at_most_one_refusal(self) -> None:
        """Never two finals other than 2xx, none after a 2xx; for others than INVITE one of any kind."""
        finals = [o for o in self.outputs if o is None or (isinstance(o, int) and o >= 200)]
        refusals = [o for o in finals if o is None or o >= 300]
        assert len(refusals) <= 1
        assert not refusals or finals.index(refusals[0]) == 0
        assert self.method == "INVITE" or len(finals) <= 1

    @invariant()
    def an_end_when_all_are_done(self) -> None:
        """Exactly then, or at the first 2xx, the caller has its answer."""
        finals = [o for o in self.outputs if o is None or (isinstance(o, int) and o >= 200)]
        successes = [o for o in finals if o is not None and o < 300]
        assert bool(finals) == (len(self.done) == 3 or bool(successes))
        assert self.fork.is_done == (len(self.done) == 3)

    @invariant()
    def cancelled_once_and_only_who_rang(self) -> None:
        """§9.1: no CANCEL before a provisional response, and one at most."""
        cancelled = [o[1] for o in self.outputs if isinstance(o, tuple)]
        assert len(cancelled) == len(set(cancelled))
        assert set(cancelled) <= self.rung

    @invariant()
    def nothing_rings_after_the_answer(self) -> None:
        """No provisional response follows a final one."""
        statuses = [o for o in self.outputs if isinstance(o, int)]
        finals = [place for place, status in enumerate(statuses) if status >= 200]
        assert not finals or all(status >= 200 for status in statuses[finals[0] :])


class OtherMachine(ForkMachine):
    """The same for a request other than INVITE."""

    method = "MESSAGE"


class AnyOrder(SynchronousTestCase):
    """Hypothesis plays the far side."""

    def test_machines(self) -> None:
        """Of an INVITE and of a MESSAGE."""
        briefly = settings(deadline=None, max_examples=100, stateful_step_count=20)
        for machine in (ForkMachine, OtherMachine):
            with self.subTest(machine.__name__):
                run_state_machine_as_test(machine, settings=briefly)
