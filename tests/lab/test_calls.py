"""Calls between real phones through the wall, judged by what was heard at either end."""

from __future__ import annotations

import json
import time
from typing import ClassVar

from sofw.demo import network
from sofw.demo.baresip import Phone
from sofw.demo.capture import Capture, Datagram
from sofw.demo.process import until
from sofw.demo.stage import OUTSIDE, Stage
from tests.lab.case import LabCase

#: baresip sends its first RTCP report after five seconds.
_RTCP_TIME = 6.0
#: The loss of a stream is known with its second sample, after 128 packets.
_QUALITY_TIME = 3.5


class CallsThroughProxy(LabCase):
    """Both sites may only talk to their web proxy, which wants a login and refuses CONNECT."""

    alice: ClassVar[Phone]
    bob: ClassVar[Phone]
    oscar: ClassVar[Phone]
    olga: ClassVar[Phone]

    @classmethod
    def lay(cls, stage: Stage) -> None:
        stage.open_hras()
        for site in ("tokyo", "osaka"):
            stage.open_site(site)
            stage.open_hrac(site)
        cls.alice = stage.phone("alice", "tokyo")
        cls.bob = stage.phone("bob", "tokyo")
        cls.oscar = stage.phone("oscar", "osaka")
        cls.olga = stage.phone("olga", OUTSIDE)

    def test_inside_calls_outside(self) -> None:
        """A phone behind the wall calls the Internet: both hear, RTCP passes, nothing private shows."""
        with Capture(self.olga.computer) as capture:
            self.talk(self.alice, self.olga, _RTCP_TIME)
            self.hang_up(self.alice, self.olga)
            seen = capture.take()
        self.assert_heard(self.olga, "tokyo")
        self.assert_heard(self.alice, OUTSIDE)
        arrived = [datagram for datagram in seen if datagram.source[0] == network.HRAS]
        self.assertTrue(any(datagram.is_rtcp for datagram in arrived))
        self.assertEqual([found.payload for found in arrived if b"192.168." in found.payload], [])
        self.assert_idle()

    def test_outside_calls_inside(self) -> None:
        """A phone on the Internet calls one behind the wall, which hangs up; both hear."""
        with Capture(self.alice.computer) as capture:
            self.talk(self.olga, self.alice)
            self.hang_up(self.alice, self.olga)
            seen = capture.take()
        self.assert_heard(self.alice, OUTSIDE)
        self.assert_heard(self.olga, "tokyo")
        self.assertEqual({_peer(datagram, self.alice) for datagram in seen}, {network.HRAC})
        self.assert_idle()

    def test_rat_shows_the_call(self) -> None:
        """`sofw rat` and `sofw calls` show a running call with the papers' names, and packets both ways."""
        self.talk(self.alice, self.olga, _QUALITY_TIME)
        rows, calls = (json.loads(self.stage.hras.show(what, "--json")) for what in ("rat", "calls"))
        self.hang_up(self.olga, self.alice)
        self.assertEqual((len(rows), len(calls)), (1, 1))
        row = rows[0]
        self.assertEqual((row["IIP"], row["OIP"]), (self.alice.computer.address, self.olga.computer.address))
        self.assertEqual((row["caller"]["leg"], row["callee"]["leg"]), ("tokyo", OUTSIDE))
        for end in ("caller", "callee"):
            self.assertGreater(row[end]["packets"], 128)
            self.assertEqual((row[end]["strangers"], row[end]["loss"]), (0, 0))
        self.assert_idle()

    def test_inside_calls_inside(self) -> None:
        """Between two phones of one site media and BYE go directly from phone to phone."""
        with Capture(self.alice.computer) as capture:
            self.talk(self.alice, self.bob)
            self.assertEqual(self.stage.hras.ask("rat"), [])
            self.hang_up(self.bob, self.alice)
            seen = capture.take()
        self.assert_heard(self.alice, "tokyo")
        self.assert_heard(self.bob, "tokyo")
        bob = self.bob.computer.address
        self.assertEqual({_peer(found, self.alice) for found in seen if found.is_rtp}, {bob})
        byes = [found for found in seen if found.payload.startswith(b"BYE ")]
        self.assertEqual({_peer(found, self.alice) for found in byes}, {bob})
        self.assert_idle()

    def test_site_calls_site(self) -> None:
        """Two sites with the same private addresses call each other through one HRAS; both hear."""
        self.talk(self.alice, self.oscar)
        legs = [(row["caller"]["leg"], row["callee"]["leg"]) for row in self.stage.hras.ask("rat")]
        self.hang_up(self.oscar, self.alice)
        self.assertEqual(legs, [("tokyo", "osaka")])
        self.assert_heard(self.alice, "osaka")
        self.assert_heard(self.oscar, "tokyo")
        self.assert_idle()

    def test_hold_and_resume(self) -> None:
        """A call that was on hold is heard again in both directions."""
        self.talk(self.olga, self.alice, 0.5)
        self.olga.hold()
        until(lambda: any(row["held"] for row in self.stage.hras.ask("rat")), 5.0, "the row to be held")
        self.olga.resume()
        until(lambda: not any(row["held"] for row in self.stage.hras.ask("rat")), 5.0, "the row to run")
        with Capture(self.alice.computer) as near, Capture(self.olga.computer) as far:
            time.sleep(1.0)
            for name, capture in (("alice", near), ("olga", far)):
                arrived = [found for found in capture.take() if found.is_rtp and _from_relay(found)]
                self.assertGreater(len(arrived), 40, name)
        self.hang_up(self.olga, self.alice)
        self.assert_idle()


class CallsThroughFirewall(LabCase):
    """The firewall passes ports 80 and 443 outward; there is no proxy."""

    profile = "web"

    @classmethod
    def lay(cls, stage: Stage) -> None:
        stage.open_hras()
        stage.open_site("tokyo")
        stage.open_hrac("tokyo")

    def test_calls_both_ways(self) -> None:
        """HRAC reaches HRAS straight through NAT, and calls go both ways."""
        alice, olga = self.stage.phone("alice", "tokyo"), self.stage.phone("olga", OUTSIDE)
        self._call(alice, olga)
        self._call(olga, alice)

    def test_phones_on_tcp(self) -> None:
        """Phones on TCP call each other across the wall, and phones on UDP."""
        places = (
            ("tom", "tokyo", "tcp"),
            ("ulf", "tokyo", "udp"),
            ("tina", OUTSIDE, "tcp"),
            ("uma", OUTSIDE, "udp"),
        )
        tom, ulf, tina, uma = (
            self.stage.phone(name, where, transport=transport) for name, where, transport in places
        )
        for inside, outside in ((tom, tina), (tom, uma), (ulf, tina)):
            self._call(inside, outside)
            self._call(outside, inside)

    def _call(self, caller: Phone, callee: Phone) -> None:
        """A whole call that both hear."""
        self.talk(caller, callee)
        self.hang_up(caller, callee)
        for phone, other in ((caller, callee), (callee, caller)):
            at_site = other.computer.address.startswith("192.168.")
            self.assert_heard(phone, "tokyo" if at_site else OUTSIDE)
        self.assert_idle()


def _peer(datagram: Datagram, phone: Phone) -> str:
    """The address at the other end of a datagram seen at a phone."""
    ends = {datagram.source[0], datagram.destination[0]} - {phone.computer.address}
    return ends.pop() if ends else phone.computer.address


def _from_relay(datagram: Datagram) -> bool:
    return datagram.source[0] in {network.HRAS, network.HRAC}
