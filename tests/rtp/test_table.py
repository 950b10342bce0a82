"""The Relay Agent Table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address
from sofw.errors import LocalError
from sofw.rtp.table import Door, End, Row, Table, sendable

PHONE = Address("10.0.0.5", 5004)
FRIEND = Address("203.0.113.9", 40000)


def a_row(call_id: str = "c1", caller_port: int = 4000, callee_port: int = 6000, made: float = 100.0) -> Row:
    """A row from a phone of site `tokyo` to one outside."""
    return Row(
        call_id, "from", "to", 0, "audio", End("tokyo", caller_port), End(OUTSIDE, callee_port), made, made
    )


class DoorTests(SynchronousTestCase):
    """Who may send through a door."""

    def test_sources(self) -> None:
        """SDP address first; else learned once from a likely host; strangers are counted and stay out."""
        signalling = "198.51.100.1"
        from_nat, other_port = Address(signalling, 61000), Address(PHONE.host, 6000)
        attacker = Address("192.0.2.66", 5004)
        cases: list[tuple[str, Address | None, list[Address], list[bool], Address | None, bool]] = [
            ("the SDP's address", PHONE, [PHONE, PHONE], [True, True], PHONE, False),
            ("a stranger", PHONE, [attacker, PHONE], [False, True], PHONE, False),
            ("behind NAT", PHONE, [from_nat, from_nat], [True, True], from_nat, True),
            ("another port of the SDP's host", PHONE, [other_port], [True], other_port, True),
            ("before any SDP", None, [attacker, from_nat], [False, True], from_nat, True),
            ("learned once only", PHONE, [from_nat, other_port], [True, False], from_nat, True),
            ("learned, then the SDP's own", PHONE, [from_nat, PHONE], [True, False], from_nat, True),
            ("locked by the SDP's own", PHONE, [PHONE, from_nat], [True, False], PHONE, False),
            ("held", Address("0.0.0.0", 5004), [PHONE, from_nat], [False, True], from_nat, True),
        ]
        for name, terminal, sources, verdicts, address, learned in cases:
            door = Door("tokyo", 4000, signalling)
            door.set_terminal(terminal)
            self.assertEqual([door.admits(source) for source in sources], verdicts, name)
            self.assertEqual((door.address, door.learned), (address, learned), name)
            self.assertEqual(door.strangers, verdicts.count(False), name)

    def test_a_new_address_unlocks(self) -> None:
        """After a re-INVITE with another address the door learns again; with the same one it does not."""
        door = Door("tokyo", 4000, "198.51.100.1")
        first, second = Address("198.51.100.1", 1111), Address("198.51.100.1", 2222)
        door.set_terminal(PHONE)
        self.assertTrue(door.admits(first))
        door.set_terminal(PHONE)
        self.assertEqual((door.address, door.admits(second)), (first, False))
        moved = Address("10.0.0.6", 5004)
        door.set_terminal(moved)
        self.assertEqual(door.address, moved)
        self.assertTrue(door.admits(second))
        self.assertFalse(door.admits(first))

    def test_the_edges_form_follows_the_address(self) -> None:
        """Whenever the address changes, peer and header are forgotten."""
        door = Door("tokyo", 4000, "198.51.100.1")
        for change in (
            lambda: door.set_terminal(PHONE),
            lambda: door.admits(Address("198.51.100.1", 1)),
            lambda: door.set_terminal(None),
        ):
            door.peer, door.header_for = b"old", 172
            change()
            self.assertEqual((door.peer, door.header_for), (None, -1))

    def test_where_a_datagram_may_go(self) -> None:
        """One host's IP address in canonical text; no name, hold, broadcast, multicast or impossible port."""
        cases = [
            (Address("10.0.0.5", 5004), Address("10.0.0.5", 5004)),
            (Address("2001:DB8:0::1", 5004), Address("2001:db8::1", 5004)),
            (Address("phone.example.com", 5004), None),
            (Address("0.0.0.0", 5004), None),
            (Address("::", 5004), None),
            (Address("224.2.0.1", 5004), None),
            (Address("ff02::1", 5004), None),
            (Address("255.255.255.255", 5004), None),
            (Address("10.0.0.5", 0), None),
            (Address("10.0.0.5", 65536), None),
            (Address("", 5004), None),
        ]
        for address, expected in cases:
            self.assertEqual(sendable(address), expected, address)


class TableTests(SynchronousTestCase):
    """Rows come, are found, and go."""

    def test_doors_lead_to_each_other(self) -> None:
        """RTP leads to RTP and RTCP to RTCP, both ways, found by leg and port."""
        table, row = Table(), a_row()
        table.add(row)
        ways = [("tokyo", 4000, row.callee.rtp), ("tokyo", 4001, row.callee.rtcp)]
        ways += [(OUTSIDE, 6000, row.caller.rtp), (OUTSIDE, 6001, row.caller.rtcp)]
        for leg, port, far in ways:
            door = table.find(leg, port)
            assert door is not None
            self.assertIs(door.far, far)
        for leg, port in [("osaka", 4000), ("tokyo", 6000), (OUTSIDE, 4000)]:
            self.assertIsNone(table.find(leg, port))

    def test_rows_by_call(self) -> None:
        """Rows of a call are its own; after removal nothing is left, and removing again is harmless."""
        table = Table()
        rows = [a_row("c1", 4000, 6000), a_row("c1", 4002, 6002), a_row("c2", 4004, 6004)]
        for row in rows:
            table.add(row)
        self.assertEqual((list(table.rows()), len(table)), (rows, 3))
        self.assertEqual(table.of_call("c1"), tuple(rows[:2]))
        self.assertEqual(table.of_call("c3"), ())
        for row in [*rows, *rows]:
            table.remove(row)
        self.assertEqual((list(table.rows()), table.doors, table.of_call("c1")), ([], {}, ()))

    def test_a_relay_port_belongs_to_one_row(self) -> None:
        """A second row on a port is our own mistake, is named, and leaves the table as it was."""
        table, row = Table(), a_row("c1", 4000, 6000)
        table.add(row)
        error = self.assertRaises(LocalError, table.add, a_row("c2", 4002, 6000))
        self.assertEqual(str(error), "relay port 6000 of leg outside is already in the table")
        self.assertEqual(list(table.rows()), [row])
        self.assertIsNone(table.find("tokyo", 4002))

    def test_the_same_ports_of_two_sites(self) -> None:
        """Sites have ports of their own, and two sites may talk through one row."""
        table = Table()
        row = Row("c1", "f", "t", 0, "audio", End("tokyo", 4000), End("osaka", 4000), 1.0, 1.0)
        table.add(row)
        tokyo, osaka = table.find("tokyo", 4000), table.find("osaka", 4000)
        assert tokyo is not None
        self.assertIs(tokyo.far, osaka)

    def test_terminals(self) -> None:
        """RTCP is on the next port unless SDP says otherwise; nothing known is possible again."""
        table, row = Table(), a_row()
        table.add(row)
        end = row.caller
        cases: list[tuple[Address | None, Address | None, Address | None]] = [
            (PHONE, None, Address(PHONE.host, 5005)),
            (PHONE, FRIEND, FRIEND),
            (Address(PHONE.host, 65535), None, None),
            (None, None, None),
        ]
        for rtp, rtcp, control in cases:
            table.set_terminal(end, rtp, rtcp)
            self.assertEqual((end.terminal, end.control), (rtp, control))

    def test_silence(self) -> None:
        """A row is silent when neither end sent anything since the limit, counted from its making."""
        table, row = Table(), a_row(made=100.0)
        table.add(row)
        steps = [
            (105.0, None, []),
            (110.5, None, [row]),
            (111.0, row.caller.rtp, []),
            (121.0, None, []),
            (121.5, row.callee.rtcp, []),
            (131.5, None, []),
            (131.6, None, [row]),
        ]
        for now, door, expected in steps:
            if door is not None:
                door.packets += 1
            self.assertEqual(table.silent(now, 10.0), expected, now)
        self.assertEqual(row.last, 121.5)

    def test_signalling_host_of_both_doors(self) -> None:
        """The host an end may learn from holds for RTP and RTCP."""
        end = End("tokyo", 4000)
        end.signalling_host = "198.51.100.1"
        self.assertEqual(end.rtcp.signalling_host, end.signalling_host)
        self.assertTrue(end.rtcp.admits(Address("198.51.100.1", 7)))

    def test_as_dict(self) -> None:
        """The papers' names: the inside terminal as IIP/IPort, the outside one as OIP/OPort."""
        table = Table()
        outgoing = a_row("c1", 4000, 6000)
        incoming = Row("c2", "from", "to", 1, "video", End(OUTSIDE, 6002), End("tokyo", 4002), 5.0, 7.0)
        for row in (outgoing, incoming):
            table.add(row)
        table.set_terminal(outgoing.caller, PHONE)
        table.set_terminal(outgoing.callee, FRIEND)
        table.set_terminal(incoming.callee, PHONE)
        shown = outgoing.as_dict()
        names = ("To", "From", "Call-ID", "IIP", "IPort", "OIP", "OPort", "index", "kind")
        self.assertEqual(
            [shown[name] for name in names],
            ["to", "from", "c1", "10.0.0.5", 5004, "203.0.113.9", 40000, 0, "audio"],
        )
        shown = incoming.as_dict()
        self.assertEqual(
            [shown[name] for name in names], ["to", "from", "c2", "10.0.0.5", 5004, "", 0, 1, "video"]
        )
        self.assertEqual((shown["made"], shown["last"], shown["held"]), (5.0, 7.0, False))
        self.assertEqual(
            shown["callee"],
            {
                "leg": "tokyo",
                "relay_port": 4002,
                "terminal": "10.0.0.5:5004",
                "address": "10.0.0.5:5004",
                "learned": False,
                "packets": 0,
                "octets": 0,
                "rtcp_packets": 0,
                "strangers": 0,
                "loss": None,
                "jitter": None,
            },
        )

    def test_other(self) -> None:
        """Each end's other is the opposite one."""
        row = a_row()
        self.assertEqual((row.other(row.caller), row.other(row.callee)), (row.callee, row.caller))
