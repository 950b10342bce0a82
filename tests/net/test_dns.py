"""Names to addresses, with a resolver that plays back what it is told."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IResolutionReceiver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sofw.net.dns import resolve


class Resolver:
    """As a reactor's nameResolver; keeps who asked what."""

    def __init__(self, *addresses: Any) -> None:
        self.asked: list[str] = []
        self._addresses = addresses

    def resolveHostName(self, receiver: Any, host: str) -> None:
        """As Twisted's."""
        verifyObject(IResolutionReceiver, receiver)
        self.asked.append(host)
        receiver.resolutionBegan(None)
        for address in self._addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()


class Reactor:
    """Has a resolver and nothing else."""

    def __init__(self, resolver: Resolver | None) -> None:
        self.nameResolver = resolver


class Resolve(SynchronousTestCase):
    """What is told, and what is never asked."""

    def resolve(self, host: str, *addresses: Any) -> tuple[list[list[str]], list[str]]:
        """All answers, and what the resolver was asked."""
        resolver = Resolver(*addresses)
        answers: list[list[str]] = []
        resolve(Reactor(resolver), host, answers.append)
        return answers, resolver.asked

    def test_addresses_in_their_order_and_once(self) -> None:
        """The resolver's order is kept, what it says twice is told once."""
        one, two = IPv6Address("TCP", "2001:db8::7", 0), IPv4Address("TCP", "198.51.100.7", 0)
        answers, asked = self.resolve("elsewhere.org", one, two, one)
        self.assertEqual(answers, [["2001:db8::7", "198.51.100.7"]])
        self.assertEqual(asked, ["elsewhere.org"])

    def test_nothing_found(self) -> None:
        """No address is an answer too."""
        self.assertEqual(self.resolve("elsewhere.org")[0], [[]])

    def test_what_needs_no_resolver(self) -> None:
        """Addresses are their own answer; what can be no host name is not looked up, yet answered."""
        cases = [
            ("198.51.100.7", ["198.51.100.7"]),
            ("2001:db8::7", ["2001:db8::7"]),
            ("", []),
            ("a..b", []),
            ("a" * 64 + ".org", []),
            ("x\udcff.org", []),
        ]
        for host, found in cases:
            with self.subTest(host.encode("ascii", "replace")):
                self.assertEqual(self.resolve(host), ([found], []))

    def test_reactor_without_resolver(self) -> None:
        """Before it runs, a reactor may have none."""
        answers: list[list[str]] = []
        resolve(Reactor(None), "elsewhere.org", answers.append)
        self.assertEqual(answers, [[]])
