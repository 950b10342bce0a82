"""SIP and orders in frames: each pair is its own reverse."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address, Flow, Transport
from sofw.errors import RemoteError
from sofw.flow import carry
from sofw.tunnel.frame import DataType, Decoder, Frame, encode

addresses = st.builds(Address, st.ip_addresses().map(str), st.integers(1, 65535))
flows = st.builds(Flow, st.just("tokyo"), st.sampled_from(Transport), addresses, st.integers(0, 65535))


def control(data: bytes) -> Frame:
    """A control frame with that in it."""
    return Frame(DataType.CONTROL, None, 0, data)


class Carry(SynchronousTestCase):
    """There and back, and what is refused."""

    @settings(deadline=None, max_examples=100)
    @given(flows, st.binary(max_size=100))
    def test_sip(self, flow: Flow, data: bytes) -> None:
        """A message arrives with its flow, also over the wire."""
        (frame,) = Decoder().feed(encode(carry.sip_frame(flow, data)), lambda *_: None)
        self.assertTrue(carry.is_sip(frame))
        self.assertEqual((carry.sip_flow("tokyo", frame), frame.data), (flow, data))

    def test_data_types(self) -> None:
        """Which types carry SIP (design of the RA header)."""
        sip = {int(DataType.SIP_UDP), int(DataType.SIP_TCP), int(DataType.SIP_TLS)}
        self.assertEqual({kind for kind in range(200) if carry.is_sip(Frame(kind, None, 0, b""))}, sip)

    def test_sip_frame_without_terminal(self) -> None:
        """Nobody to answer."""
        self.assertRaises(RemoteError, carry.sip_flow, "tokyo", Frame(DataType.SIP_UDP, None, 0, b""))

    def test_control_bytes(self) -> None:
        """Compact JSON, the op first."""
        self.assertEqual(
            carry.ports_frame("open", [30000, 30002]).data, b'{"op":"open","ports":[30000,30002]}'
        )

    def test_read_control(self) -> None:
        """Objects with an op, and nothing else."""
        self.assertEqual(carry.read_control(control(b'{"op":"x","more":[1]}')), {"op": "x", "more": [1]})
        for data in (
            b"",
            b"x",
            b"[]",
            b"1",
            b"null",
            b"{}",
            b'{"op":1}',
            b'{"op":null}',
            b"\xff",
            b"[" * 100000,
        ):
            with self.subTest(data[:9]):
                self.assertRaises(RemoteError, carry.read_control, control(data))

    def test_ports(self) -> None:
        """Even ports within range."""
        for ports in ([], [2], [30000, 65534]):
            order = carry.read_control(carry.ports_frame("open", ports))
            self.assertEqual(carry.ports_of(order), tuple(ports))
        for bad in (None, 2, "2", {"2": 2}, [1], [0], [-2], [65536], ["2"], [2.0], [True], [None], [2, 3]):
            with self.subTest(bad):
                self.assertRaises(RemoteError, carry.ports_of, {"op": "open", "ports": bad})

    @settings(deadline=None, max_examples=50)
    @given(flows)
    def test_closed(self, flow: Flow) -> None:
        """The report names the same flow."""
        order = carry.read_control(carry.closed_frame(flow))
        self.assertEqual(carry.closed_flow("tokyo", order), flow)

    def test_incomplete_report(self) -> None:
        """Each field that is missing or of another kind."""
        whole = {"op": "closed", "transport": "TCP", "host": "192.0.2.1", "port": 1, "own": 5060}
        carry.closed_flow("tokyo", whole)
        for name, bad in (
            ("transport", "SCTP"),
            ("transport", []),
            ("host", 1),
            ("port", "1"),
            ("own", None),
        ):
            for value in (bad, None):
                with self.subTest(name=name, value=value):
                    self.assertRaises(RemoteError, carry.closed_flow, "tokyo", {**whole, name: value})
