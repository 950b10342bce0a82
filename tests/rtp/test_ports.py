"""Relay port pairs."""

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

from sofw.errors import LocalError
from sofw.rtp.ports import NoPorts, PortPairs


class PortPairsTests(SynchronousTestCase):
    """Ports are even, go round, and are never handed out twice."""

    def test_even_ports_whose_pair_is_inside_the_range(self) -> None:
        """An odd first port is skipped, and a last port that has no odd partner."""
        cases = [((4000, 4003), [4000, 4002]), ((4001, 4004), [4002]), ((65533, 65535), [65534])]
        for (first, last), expected in cases:
            pairs = PortPairs(first, last)
            self.assertEqual([pairs.take() for _ in range(len(pairs))], expected, (first, last))

    def test_ranges_without_a_pair_are_refused(self) -> None:
        """Empty, reversed and impossible ranges are named in the error."""
        for first, last in [(4000, 4000), (4001, 4002), (4010, 4000), (0, 100), (65000, 65536)]:
            error = self.assertRaises(LocalError, PortPairs, first, last)
            self.assertIn(f"{first}-{last}", str(error))

    def test_no_port_left(self) -> None:
        """The error says how many are in use, and gives the status for the caller."""
        pairs = PortPairs(4000, 4003)
        pairs.take(), pairs.take()
        error = self.assertRaises(NoPorts, pairs.take)
        self.assertEqual((str(error), error.status), ("all 2 relay port pairs are in use", 503))

    def test_a_port_rests_before_it_is_used_again(self) -> None:
        """A port given back comes after all others."""
        pairs = PortPairs(4000, 4007)
        pairs.give_back(pairs.take())
        self.assertEqual([pairs.take() for _ in range(4)], [4002, 4004, 4006, 4000])

    def test_giving_back_twice_changes_nothing(self) -> None:
        """Neither a second time nor a port that was never taken."""
        pairs = PortPairs(4000, 4003)
        port = pairs.take()
        for each in (port, port, 4002, 5000, 4001):
            pairs.give_back(each)
        self.assertEqual((len(pairs), pairs.taken), (2, 0))
        self.assertEqual([pairs.take(), pairs.take()], [4002, 4000])

    def test_claim(self) -> None:
        """A restored call gets its very port; what is not free cannot be claimed."""
        pairs = PortPairs(4000, 4005)
        pairs.claim(4002)
        for port in (4002, 4001, 3998, 4006):
            error = self.assertRaises(NoPorts, pairs.claim, port)
            self.assertIn(str(port), str(error))
        self.assertEqual([pairs.take(), pairs.take(), pairs.taken], [4000, 4004, 3])

    def test_any_order(self) -> None:
        """Any order of taking, claiming and giving back keeps every port in exactly one place."""
        run_state_machine_as_test(PortPairsMachine, settings=settings(deadline=None, max_examples=50))


class PortPairsMachine(RuleBasedStateMachine):
    """What a user of five pairs may do."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs = PortPairs(4000, 4009)
        self.mine: list[int] = []

    @precondition(lambda self: len(self.mine) < 5)
    @rule()
    def take(self) -> None:
        """A free pair is there."""
        port = self.pairs.take()
        assert port not in self.mine
        self.mine.append(port)

    @rule(port=st.sampled_from(range(4000, 4010, 2)))
    def claim(self, port: int) -> None:
        """Only what is not mine."""
        try:
            self.pairs.claim(port)
        except NoPorts:
            assert port in self.mine
        else:
            assert port not in self.mine
            self.mine.append(port)

    @rule(port=st.integers(3998, 4012))
    def give_back(self, port: int) -> None:
        """Anything may be given back."""
        self.pairs.give_back(port)
        if port in self.mine:
            self.mine.remove(port)

    @invariant()
    def counts_agree(self) -> None:
        """Free and taken are the whole range."""
        assert (self.pairs.taken, len(self.pairs)) == (len(self.mine), 5 - len(self.mine))
