"""How SIP and orders travel in frames: the pairs both halves use (design: RA header; paper 003 §3)."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sofw.address import Address, Flow, Transport
from sofw.errors import RemoteError
from sofw.tunnel.frame import DataType, Frame

_TYPE_OF = {Transport.UDP: DataType.SIP_UDP, Transport.TCP: DataType.SIP_TCP, Transport.TLS: DataType.SIP_TLS}
_TRANSPORT_OF = {int(kind): transport for transport, kind in _TYPE_OF.items()}


def is_sip(frame: Frame) -> bool:
    """Whether a frame carries a SIP message."""
    return frame.type in _TRANSPORT_OF


def sip_frame(flow: Flow, data: bytes) -> Frame:
    """A SIP message and the terminal it is from or for; the relay port is the half's own SIP port."""
    return Frame(_TYPE_OF[flow.transport], flow.remote, flow.port, data)


def sip_flow(leg: str, frame: Frame) -> Flow:
    """The flow a SIP frame came on or is for; RemoteError when it names no terminal."""
    if frame.address is None:
        raise RemoteError("A SIP frame names no terminal")
    return Flow(leg, _TRANSPORT_OF[frame.type], frame.address, frame.relay_port)


def control_frame(op: str, **fields: object) -> Frame:
    """An order or a report to the other half: {"op": …} as compact JSON."""
    return Frame(DataType.CONTROL, None, 0, json.dumps({"op": op, **fields}, separators=(",", ":")).encode())


def read_control(frame: Frame) -> dict[str, object]:
    """The object in a control frame; RemoteError for anything that is not one."""
    try:
        order = json.loads(frame.data)
    except (ValueError, RecursionError):
        raise RemoteError("A control frame is not JSON") from None
    if not isinstance(order, dict) or not isinstance(order.get("op"), str):
        raise RemoteError("A control frame has no op")
    return order


def ports_frame(op: str, ports: Iterable[int]) -> Frame:
    """The order to open or close relay ports."""
    return control_frame(op, ports=list(ports))


def ports_of(order: dict[str, object]) -> tuple[int, ...]:
    """The relay ports an order names: even, and within what a port can be."""
    ports = order.get("ports")
    if not isinstance(ports, list) or not all(_is_even_port(port) for port in ports):
        raise RemoteError("A control frame names no relay ports")
    return tuple(ports)


def closed_frame(flow: Flow) -> Frame:
    """The report that a connection closed."""
    remote = flow.remote
    return control_frame(
        "closed", transport=flow.transport.value, host=remote.host, port=remote.port, own=flow.port
    )


def closed_flow(leg: str, order: dict[str, object]) -> Flow:
    """The flow such a report is about."""
    transport, host, port, own = (order.get(name) for name in ("transport", "host", "port", "own"))
    known = isinstance(transport, str) and transport in Transport.__members__
    if not (known and isinstance(host, str) and isinstance(port, int) and isinstance(own, int)):
        raise RemoteError("A report of a closed connection is incomplete")
    return Flow(leg, Transport[str(transport)], Address(host, port), own)


def _is_even_port(port: object) -> bool:
    return isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65535 and port % 2 == 0
