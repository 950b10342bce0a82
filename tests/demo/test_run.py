"""Tests for the words of sofw.demo.run."""

from __future__ import annotations

import sys
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address
from sofw.demo.loopback import address
from sofw.demo.run import Teller, rat_lines, tunnel_text
from sofw.rtp.table import End, Row, Table


class RunTests(SynchronousTestCase):
    """What a newcomer reads."""

    def test_rat(self) -> None:
        """A row of the RAT stands under the papers' names, its packets beside."""
        ends = End("office", 30000), End("outside", 20000)
        row = Row("call-id-of-it", "from-tag-long", "to-tag", 0, "audio", *ends, 0.0)
        table = Table()
        table.add(row)
        table.set_terminal(row.caller, Address("192.168.1.10", 4000))
        table.set_terminal(row.callee, Address("203.0.113.20", 6000))
        row.caller.rtp.packets, row.callee.rtp.packets = 151, 7
        row.callee.rtcp.strangers = 2
        names, values = (line.split() for line in rat_lines([row.as_dict()]))
        self.assertEqual(names[:8], ["To", "From", "Call-ID", "IIP", "IPort", "OIP", "OPort", "kind"])
        self.assertEqual(
            " ".join(values),
            "to-tag from-tag call-id- 192.168.1.10 4000 203.0.113.20 6000 audio 151 7 2",
        )

    def test_empty_rat(self) -> None:
        """A call without a row, which is a fault, is still shown."""
        self.assertEqual(rat_lines([]), ["(empty)"])

    def test_tunnel(self) -> None:
        """How the tunnel got out is told in two lines, also before its first round trip."""
        tunnel = {"state": "up", "rung": "streams", "lanes": 2, "rtt_ms": 0.4}
        self.assertEqual(
            tunnel_text("straight", tunnel),
            "HRAC's tunnel to HRAS is up, straight\nrung streams, 2 lanes, there and back 0.4 ms",
        )
        self.assertIn("not measured yet", tunnel_text("straight", tunnel | {"rtt_ms": None}))

    def test_teller(self) -> None:
        """Each piece of news has its time; its further lines stand below it."""
        times = iter((100.0, 100.25, 112.0))
        output = StringIO()
        self.patch(sys, "stdout", output)
        tell = Teller(lambda: next(times))
        tell("one\ntwo")
        tell("three")
        self.assertEqual(output.getvalue(), "  0.2 s  one\n         two\n 12.0 s  three\n")

    def test_address(self) -> None:
        """This process has a corner of loopback of its own."""
        self.assertRegex(address(10), r"\A127\.\d+\.\d+\.10\Z")
        self.assertTrue(all(0 < int(part) < 255 for part in address(1).split(".")))
