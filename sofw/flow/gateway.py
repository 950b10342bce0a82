"""The inside half: it carries what the phones say to HRAS, and does what HRAS orders.

It decides nothing about calls. While there is no tunnel it answers requests with 503, so that a phone
shows the trouble at once instead of ringing into the void.
"""

from __future__ import annotations

from collections import Counter

from sofw.address import Flow
from sofw.errors import RemoteError
from sofw.flow.actions import Action, Busy, ClosePorts, Note, OpenPorts, SendFrame, SendSip
from sofw.flow.carry import (
    closed_frame,
    is_sip,
    ports_of,
    read_control,
    sip_flow,
    sip_frame,
)
from sofw.sip.message import Request, SipError, format_message, parse_message, response_to
from sofw.sip.proxy import received, reply_address
from sofw.tunnel.frame import DataType, Frame
from sofw.tunnel.link import TUNNEL

#: The leg the phones of this half are on.
INSIDE = "inside"
#: Seconds a phone is asked to wait while there is no tunnel.
RETRY_AFTER = 10
#: A frame's length field counts 16 bits, and an IPv6 address may stand before the message.
LARGEST_MESSAGE = 0xFFFF - 16


class Gateway:
    """What HRAC does with messages, frames and orders."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.connected = False
        self._open: set[int] = set()

    @property
    def open_ports(self) -> frozenset[int]:
        """The even relay ports HRAS has opened here."""
        return frozenset(self._open)

    def tunnel_up(self, resumed: bool) -> list[Action]:
        """The tunnel stands. A fresh session starts from nothing: HRAS orders anew what it needs."""
        self.connected = True
        return [] if resumed else self._close_all()

    def tunnel_down(self) -> list[Action]:
        """The session is over: nothing of it can come back."""
        self.connected = False
        return self._close_all()

    def received(self, flow: Flow, data: bytes) -> list[Action]:
        """A phone sent something."""
        if not data.strip():
            # RFC 5626 §4.4.1 style keep-alive over UDP: it has done its work by passing the NAT.
            return []
        if len(data) > LARGEST_MESSAGE:
            self.counts["oversized"] += 1
            return []
        if self.connected:
            return [SendFrame(TUNNEL, sip_frame(flow, data))]
        return self._unavailable(flow, data)

    def flow_closed(self, flow: Flow) -> list[Action]:
        """A phone's connection closed; HRAS forgets the contacts that lived on it."""
        return [SendFrame(TUNNEL, closed_frame(flow))] if self.connected else []

    def frame(self, frame: Frame) -> list[Action]:
        """A frame from HRAS; a bad one is counted and disturbs nothing."""
        try:
            if is_sip(frame):
                return [SendSip(sip_flow(INSIDE, frame), frame.data)]
            if frame.type == DataType.CONTROL:
                return self._order(read_control(frame))
        except RemoteError:
            self.counts["bad frames"] += 1
        return []

    def _close_all(self) -> list[Action]:
        stale = tuple(sorted(self._open))
        self._open.clear()
        return [ClosePorts(INSIDE, stale)] if stale else []

    def _order(self, order: dict[str, object]) -> list[Action]:
        if order["op"] == "open":
            fresh = tuple(port for port in ports_of(order) if port not in self._open)
            self._open.update(fresh)
            return [OpenPorts(INSIDE, fresh)]
        if order["op"] == "close":
            known = tuple(port for port in ports_of(order) if port in self._open)
            self._open.difference_update(known)
            return [ClosePorts(INSIDE, known)]
        if order["op"] == "busy":
            return [Busy(TUNNEL, order.get("busy") is True)]
        # An order of a later release is not an error: halves of different releases must talk.
        self.counts["unknown orders"] += 1
        return [Note("order.unknown", (("op", order["op"]),))]

    def _unavailable(self, flow: Flow, data: bytes) -> list[Action]:
        """503 with Retry-After to a request (RFC 3261 §21.5.4); everything else is dropped."""
        self.counts["without tunnel"] += 1
        try:
            message = parse_message(data)
            if not isinstance(message, Request) or message.method == "ACK":
                return []
            request = received(message, flow.remote)
            remote = flow.remote if flow.transport.reliable else reply_address(request.via, flow.remote)
        except SipError:
            return []
        headers = (("Retry-After", str(RETRY_AFTER)),)
        answer = response_to(request, 503, "No tunnel to the outside at the moment", "none", headers)
        return [SendSip(Flow(flow.leg, flow.transport, remote, flow.port), format_message(answer))]
