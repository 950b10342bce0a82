"""The path of a packet through both halves."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address
from sofw.flow.media import Batch, Datagram, MediaRelay, PortRelay, address_of, head_of
from sofw.rtp.table import End, Row, Table
from sofw.tunnel.frame import DataType, Decoder, Frame, encode
from sofw.tunnel.link import TUNNEL

PHONE = Address("10.0.0.5", 5004)
FRIEND = Address("203.0.113.9", 40000)
STRANGER = Address("192.0.2.66", 1234)


def place(address: Address) -> tuple[str, int]:
    """An address as sockets give it."""
    return address.host, address.port


def frame(address: Address, relay_port: int, data: bytes) -> bytes:
    """A media frame, by the book."""
    return encode(Frame(DataType.MEDIA, address, relay_port, data))


def feed(relay: MediaRelay | PortRelay, leg: str, batch: bytes) -> None:
    """Hand a lane's bytes to a relay as a tunnel does."""
    Decoder().feed(batch, lambda head, port, payload: relay.media(leg, head, port, payload))


class RelayCase(SynchronousTestCase):
    """An HRAS with calls between legs."""

    def setUp(self) -> None:
        self.table = Table()
        self.relay = MediaRelay(self.table, lambda: 50.0)

    def call(self, caller: End, callee: End, callers: Address | None, callees: Address | None) -> Row:
        """A row whose terminals SDP has named."""
        row = Row(f"c{len(self.table)}", "f", "t", 0, "audio", caller, callee, 0.0, 0.0)
        self.table.add(row)
        self.table.set_terminal(caller, callers)
        self.table.set_terminal(callee, callees)
        return row


class WayTests(RelayCase):
    """From every kind of leg to every other."""

    def test_site_to_outside(self) -> None:
        """A frame leaves as a datagram of the outside relay port; RTCP on the port above."""
        self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, FRIEND)
        control = Address(PHONE.host, 5005)
        feed(self.relay, "tokyo", frame(PHONE, 4000, b"voice") + frame(control, 4001, b"report"))
        expected: tuple[list[Datagram], list[Batch]] = (
            [(6000, b"voice", place(FRIEND)), (6001, b"report", (FRIEND.host, 40001))],
            [],
        )
        self.assertEqual(self.relay.take(), expected)

    def test_outside_to_site(self) -> None:
        """Datagrams of a turn leave as one batch of frames to the terminal, from the HRAC's relay port."""
        self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, FRIEND)
        self.relay.datagrams(
            [
                (6000, b"voice", place(FRIEND)),
                (6000, b"more voice", place(FRIEND)),
                (6001, b"report", (FRIEND.host, 40001)),
            ]
        )
        batch = frame(PHONE, 4000, b"voice") + frame(PHONE, 4000, b"more voice")
        batch += frame(Address(PHONE.host, 5005), 4001, b"report")
        self.assertEqual(self.relay.take(), ([], [("tokyo", batch, 3)]))

    def test_site_to_site(self) -> None:
        """A frame of one site leaves as a frame to the other."""
        self.call(End("tokyo", 4000), End("osaka", 4000), PHONE, FRIEND)
        feed(self.relay, "tokyo", frame(PHONE, 4000, b"voice"))
        self.assertEqual(self.relay.take(), ([], [("osaka", frame(FRIEND, 4000, b"voice"), 1)]))

    def test_outside_to_outside(self) -> None:
        """Two own sockets."""
        self.call(End(OUTSIDE, 6002), End(OUTSIDE, 6000), PHONE, FRIEND)
        self.relay.datagrams([(6002, b"voice", place(PHONE))])
        self.assertEqual(self.relay.take(), ([(6000, b"voice", place(FRIEND))], []))

    def test_ipv6(self) -> None:
        """IPv6 terminals on both legs; a socket's four-part address is understood."""
        inside, outside = Address("fd00::5", 5004), Address("2001:db8::9", 40000)
        self.call(End("tokyo", 4000), End(OUTSIDE, 6000), inside, outside)
        self.relay.datagrams([(6000, b"voice", ("2001:db8::9", 40000, 0, 0))] * 2)
        self.assertEqual(self.relay.take(), ([], [("tokyo", frame(inside, 4000, b"voice") * 2, 2)]))
        feed(self.relay, "tokyo", frame(inside, 4000, b"back"))
        self.assertEqual(self.relay.take(), ([(6000, b"back", ("2001:db8::9", 40000, 0, 0))], []))

    def test_several_legs_in_one_turn(self) -> None:
        """Each site has its own batch, and what was taken is gone."""
        for number, leg in enumerate(("tokyo", "osaka", "tokyo")):
            self.call(End(leg, 4000 + 2 * number), End(OUTSIDE, 6000 + 2 * number), PHONE, FRIEND)
        self.relay.datagrams([(port, b"v", place(FRIEND)) for port in (6000, 6002, 6004)])
        batches = [
            ("tokyo", frame(PHONE, 4000, b"v") + frame(PHONE, 4004, b"v"), 2),
            ("osaka", frame(PHONE, 4002, b"v"), 1),
        ]
        self.assertEqual(self.relay.take(), ([], batches))
        self.assertEqual(self.relay.take(), ([], []))


class SourceTests(RelayCase):
    """Only terminals may use a row."""

    def test_strangers_outside(self) -> None:
        """A stranger's datagram is dropped and counted; the terminal is not disturbed."""
        row = self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, FRIEND)
        self.relay.datagrams(
            [(6000, b"x", place(STRANGER)), (6000, b"voice", place(FRIEND)), (6000, b"x", place(STRANGER))]
        )
        self.assertEqual(self.relay.take(), ([], [("tokyo", frame(PHONE, 4000, b"voice"), 1)]))
        door = row.callee.rtp
        self.assertEqual((door.packets, door.octets, door.strangers), (1, 5, 2))

    def test_strangers_inside(self) -> None:
        """The same for frames, also of another site on the same port number."""
        row = self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, FRIEND)
        feed(self.relay, "tokyo", frame(STRANGER, 4000, b"noise"))
        feed(self.relay, "osaka", frame(PHONE, 4000, b"noise"))
        self.assertEqual(self.relay.take(), ([], []))
        self.assertEqual((row.caller.rtp.strangers, self.relay.strays), (1, 1))

    def test_ports_in_no_row(self) -> None:
        """What comes after the row is gone is counted and dropped."""
        row = self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, FRIEND)
        self.table.remove(row)
        self.relay.datagrams([(6000, b"late", place(FRIEND))])
        feed(self.relay, "tokyo", frame(PHONE, 4000, b"late"))
        self.assertEqual((self.relay.take(), self.relay.strays), (([], []), 2))

    def test_learned_source_is_answered(self) -> None:
        """A phone behind NAT gets its media where its own came from, not where its SDP points."""
        row = self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, Address("192.168.1.2", 8000))
        row.callee.signalling_host = "198.51.100.1"
        feed(self.relay, "tokyo", frame(PHONE, 4000, b"early"))
        self.relay.datagrams([(6000, b"voice", ("198.51.100.1", 61000))])
        feed(self.relay, "tokyo", frame(PHONE, 4000, b"after"))
        outgoing, _ = self.relay.take()
        self.assertEqual(
            outgoing, [(6000, b"early", ("192.168.1.2", 8000)), (6000, b"after", ("198.51.100.1", 61000))]
        )

    def test_moved_terminal(self) -> None:
        """A re-INVITE with another address moves both directions and makes the old place a stranger."""
        row = self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, FRIEND)
        feed(self.relay, "tokyo", frame(PHONE, 4000, b"1"))
        self.relay.datagrams([(6000, b"1", place(FRIEND))])
        self.relay.take()
        new_phone, new_friend = Address("10.0.0.77", 7000), Address("203.0.113.10", 9000)
        self.table.set_terminal(row.caller, new_phone)
        self.table.set_terminal(row.callee, new_friend)
        feed(self.relay, "tokyo", frame(PHONE, 4000, b"2") + frame(new_phone, 4000, b"3"))
        self.relay.datagrams([(6000, b"2", place(FRIEND)), (6000, b"3", place(new_friend))])
        expected: tuple[list[Datagram], list[Batch]] = (
            [(6000, b"3", place(new_friend))],
            [("tokyo", frame(new_phone, 4000, b"3"), 1)],
        )
        self.assertEqual(self.relay.take(), expected)

    def test_nowhere_to_send(self) -> None:
        """Before the answer, on hold and to a name nothing leaves; it is counted, as is what was heard."""
        nowhere = [None, Address("0.0.0.0", 5004), Address("phone.example.com", 5004)]
        for number, callee in enumerate(nowhere):
            port = 4000 + 2 * number
            row = self.call(End("tokyo", port), End(OUTSIDE, port), PHONE, callee)
            feed(self.relay, "tokyo", frame(PHONE, port, b"voice"))
            self.assertEqual(self.relay.take(), ([], []))
            self.assertEqual((self.relay.unaimed, row.caller.rtp.packets), (number + 1, 1))

    def test_mux(self) -> None:
        """RTCP on the RTP port (RFC 5761) goes the way of RTP."""
        self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, FRIEND)
        report = b"\x80\xc8" + bytes(26)
        feed(self.relay, "tokyo", frame(PHONE, 4000, report))
        self.assertEqual(self.relay.take(), ([(6000, report, place(FRIEND))], []))

    def test_quality_is_sampled(self) -> None:
        """Every 64th packet is looked at, and an RTP one shows its source."""
        row = self.call(End("tokyo", 4000), End(OUTSIDE, 6000), PHONE, FRIEND)
        for number in range(1, 129):
            rtp = b"\x80\x00" + (number * 2).to_bytes(2, "big") + bytes(7) + b"\x09"
            self.relay.datagrams([(6000, rtp, place(FRIEND))])
            sampled = row.callee.rtp.quality
            self.assertEqual(sampled is not None, number >= 64)
        assert sampled is not None
        self.assertEqual((sampled.ssrc, sampled.expected, sampled.lost), (9, 128, 64))


class PortRelayTests(SynchronousTestCase):
    """The HRAC's side."""

    def setUp(self) -> None:
        self.relay = PortRelay()
        self.relay.opened(4000)
        self.relay.opened(4001)

    def test_up(self) -> None:
        """Each datagram becomes a frame with its source and relay port, whoever sent it."""
        arrived: list[Datagram] = [
            (4000, b"voice", place(PHONE)),
            (4000, b"voice", place(PHONE)),
            (4000, b"longer voice", place(PHONE)),
            (4000, b"longer voice", place(STRANGER)),
            (4001, b"report", place(PHONE)),
            (4000, b"", ("fd00::5", 5004, 0, 0)),
        ]
        self.relay.datagrams(arrived)
        batch = b"".join(frame(Address(*peer[:2]), port, data) for port, data, peer in arrived)
        self.assertEqual(self.relay.take(), ([], [(TUNNEL, batch, 6)]))
        self.assertEqual(self.relay.take(), ([], []))

    def test_down(self) -> None:
        """A frame leaves from its relay port to the address in its header."""
        six = Address("fd00::5", 5004)
        cases = [(4000, PHONE), (4000, PHONE), (4000, six), (4001, PHONE), (4000, STRANGER)]
        feed(self.relay, TUNNEL, b"".join(frame(address, port, b"voice") for port, address in cases))
        expected = [(port, b"voice", place(address)) for port, address in cases]
        self.assertEqual(self.relay.take(), (expected, []))

    def test_closed_ports(self) -> None:
        """Frames for a port that is not open are counted and dropped."""
        self.relay.closed(4000)
        self.relay.closed(4000)
        feed(self.relay, TUNNEL, frame(PHONE, 4000, b"late") + frame(PHONE, 4002, b"early"))
        self.assertEqual((self.relay.take(), self.relay.strays), (([], []), 2))

    def test_a_port_opened_again_remembers_nothing(self) -> None:
        """The next call on a port has headers of its own."""
        for phone in (PHONE, STRANGER):
            self.relay.datagrams([(4000, b"voice", place(phone))])
            self.assertEqual(self.relay.take(), ([], [(TUNNEL, frame(phone, 4000, b"voice"), 1)]))
            self.relay.closed(4000)
            self.relay.opened(4000)

    def test_an_empty_turn(self) -> None:
        """Nothing in, nothing out."""
        self.relay.datagrams([])
        self.assertEqual(self.relay.take(), ([], []))


ADDRESSES = st.builds(Address, st.ip_addresses().map(str), st.integers(0, 65535))
PACKETS = st.tuples(st.sampled_from([4000, 4001]), st.binary(max_size=200), ADDRESSES)


class HeadTests(SynchronousTestCase):
    """Addresses in RA headers."""

    @settings(deadline=None)
    @given(ADDRESSES)
    def test_round_trip(self, address: Address) -> None:
        """The head has the address, as the decoder of frames gives it."""
        heads: list[bytes] = []
        keep: Callable[[bytes, int, bytes], None] = lambda head, port, payload: heads.append(head)  # noqa: E731
        self.assertEqual(Decoder().feed(frame(address, 4000, b"x"), keep), [])
        self.assertEqual(heads, [head_of(address)])
        self.assertEqual(address_of(heads[0]), address)

    @settings(deadline=None)
    @given(st.lists(PACKETS, max_size=20))
    def test_up_and_down_again(self, packets: list[tuple[int, bytes, Address]]) -> None:
        """What one HRAC frames, another sends: same port, same address, same bytes, same order."""
        up, down = PortRelay(), PortRelay()
        for relay in (up, down):
            relay.opened(4000)
            relay.opened(4001)
        arrived: list[Datagram] = [(port, data, place(address)) for port, data, address in packets]
        up.datagrams(arrived)
        for leg, batch, _ in up.take()[1]:
            feed(down, leg, batch)
        self.assertEqual(down.take(), (arrived, []))
