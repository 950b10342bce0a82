"""HRAC's gateway: phones, frames, orders; the whole list of what it does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address, Flow, Transport
from sofw.flow.actions import Busy, ClosePorts, Note, OpenPorts, SendFrame, SendSip
from sofw.flow.carry import closed_frame, control_frame, ports_frame, sip_frame
from sofw.flow.gateway import INSIDE, LARGEST_MESSAGE, Gateway
from sofw.sip.message import Response, parse_message
from sofw.tunnel.frame import DataType, Frame
from sofw.tunnel.link import TUNNEL
from tests.flow.world import request

PHONE = Flow(INSIDE, Transport.UDP, Address("192.168.1.10", 5062), 5060)
OVER_TCP = Flow(INSIDE, Transport.TCP, Address("192.168.1.10", 40001), 5060)
INVITE = request("INVITE", "sip:bob@example.com", PHONE, "alice")


class WithTunnel(SynchronousTestCase):
    """Everything is carried."""

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.assertEqual(self.gateway.tunnel_up(resumed=False), [])

    def test_from_the_phones(self) -> None:
        """Byte for byte, whatever it is; keep-alives stay here, what fits no frame is counted."""
        for flow in (PHONE, OVER_TCP):
            for data in (INVITE, b"\x00 not SIP at all", b"x" * LARGEST_MESSAGE):
                self.assertEqual(
                    self.gateway.received(flow, data), [SendFrame(TUNNEL, sip_frame(flow, data))]
                )
        self.assertEqual(self.gateway.received(PHONE, b"\r\n\r\n"), [])
        self.assertEqual(self.gateway.received(PHONE, b"x" * (LARGEST_MESSAGE + 1)), [])
        self.assertEqual(self.gateway.counts, {"oversized": 1})

    def test_to_the_phones(self) -> None:
        """A SIP frame leaves on the transport, to the terminal and from the port that it names."""
        for flow in (PHONE, OVER_TCP):
            self.assertEqual(self.gateway.frame(sip_frame(flow, b"any")), [SendSip(flow, b"any")])

    def test_closed_connection_is_reported(self) -> None:
        """HRAS forgets what lived on it."""
        self.assertEqual(self.gateway.flow_closed(OVER_TCP), [SendFrame(TUNNEL, closed_frame(OVER_TCP))])

    def test_ports(self) -> None:
        """Opened once, closed once; what is not open cannot be closed."""
        steps = [
            ("open", (30000, 30002), [OpenPorts(INSIDE, (30000, 30002))]),
            ("open", (30002, 30004), [OpenPorts(INSIDE, (30004,))]),
            ("close", (30002, 30006), [ClosePorts(INSIDE, (30002,))]),
            ("close", (30002,), [ClosePorts(INSIDE, ())]),
        ]
        for op, ports, expected in steps:
            self.assertEqual(self.gateway.frame(ports_frame(op, ports)), expected)
        self.assertEqual(self.gateway.open_ports, {30000, 30004})

    def test_other_orders(self) -> None:
        """Busy is passed on; an order of a later release is noted and harms nothing."""
        cases = [
            (control_frame("busy", busy=True), [Busy(TUNNEL, True)]),
            (control_frame("busy", busy="yes"), [Busy(TUNNEL, False)]),
            (control_frame("dance", ports=[1]), [Note("order.unknown", (("op", "dance"),))]),
        ]
        for frame, expected in cases:
            self.assertEqual(self.gateway.frame(frame), expected)
        self.assertEqual(self.gateway.counts, {"unknown orders": 1})

    def test_bad_frames_are_counted(self) -> None:
        """Nothing is done, nothing is raised."""
        bad = [
            Frame(DataType.SIP_UDP, None, 0, b"x"),
            Frame(DataType.CONTROL, None, 0, b"not JSON"),
            Frame(DataType.CONTROL, None, 0, b"[" * 50000),
            Frame(DataType.CONTROL, None, 0, b"\xff"),
            control_frame("open"),
            control_frame("open", ports=[30001]),
            control_frame("open", ports=["30000"]),
            control_frame("close", ports=[70000]),
        ]
        for frame in bad:
            with self.subTest(frame.data[:20]):
                self.assertEqual(self.gateway.frame(frame), [])
        self.assertEqual(self.gateway.counts, {"bad frames": len(bad)})
        self.assertEqual(self.gateway.frame(Frame(DataType.STREAM_DATA, None, 0, b"x")), [])

    def test_resume_and_new_session(self) -> None:
        """A resumed tunnel keeps the ports; a new session or none begins with none open."""
        for again in (lambda: self.gateway.tunnel_up(resumed=False), self.gateway.tunnel_down):
            self.gateway.frame(ports_frame("open", (30002, 30000)))
            self.assertEqual(self.gateway.tunnel_up(resumed=True), [])
            self.assertEqual(again(), [ClosePorts(INSIDE, (30000, 30002))])
            self.assertEqual(self.gateway.open_ports, frozenset())

    @settings(deadline=None, max_examples=100)
    @given(st.integers(0, 12), st.binary(max_size=40), st.booleans())
    def test_any_frame(self, kind: int, data: bytes, addressed: bool) -> None:
        """No frame raises."""
        Gateway().frame(Frame(kind, PHONE.remote if addressed else None, 0, data))


class WithoutTunnel(SynchronousTestCase):
    """A phone hears at once that there is no way out."""

    def answer(self, flow: Flow, data: bytes) -> tuple[Flow, Response]:
        """The only answer and where it goes."""
        (action,) = Gateway().received(flow, data)
        assert isinstance(action, SendSip)
        message = parse_message(action.data)
        assert isinstance(message, Response)
        return action.flow, message

    def test_503(self) -> None:
        """With Retry-After, to where the phone wants it."""
        without_rport = INVITE.replace(b";rport", b"")
        other_port = INVITE.replace(b"192.168.1.10:5062;branch", b"192.168.1.10:5070;branch")
        cases = [
            (PHONE, INVITE, 5062),
            (PHONE, without_rport, 5062),
            (PHONE, other_port.replace(b";rport", b""), 5070),
            (PHONE, other_port, 5062),
            (OVER_TCP, INVITE, 40001),
        ]
        for flow, data, port in cases:
            with self.subTest(port=port, transport=flow.transport):
                to, answer = self.answer(flow, data)
                self.assertEqual((to.remote.port, to.transport), (port, flow.transport))
                self.assertEqual((answer.status, answer.headers.get("Retry-After")), (503, "10"))

    def test_what_is_not_answered(self) -> None:
        """ACKs, responses and nonsense are dropped and counted."""
        gateway = Gateway()
        response = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\n\r\n"
        broken = INVITE.replace(b"Via: SIP/2.0/UDP", b"Via: nonsense")
        for data in (INVITE.replace(b"INVITE", b"ACK"), response, b"\x00", broken):
            with self.subTest(data[:20]):
                self.assertEqual(gateway.received(PHONE, data), [])
        self.assertEqual(gateway.counts, {"without tunnel": 4})

    def test_closed_connection(self) -> None:
        """Nobody to tell."""
        self.assertEqual(Gateway().flow_closed(OVER_TCP), [])
