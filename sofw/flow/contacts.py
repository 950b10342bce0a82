"""Contacts and Record-Routes that cross the wall.

Towards another leg, a contact inside becomes a sealed user part of ours, and our routes show that leg
only: nobody there learns an inside address. A request to such a contact comes to us with all that is
needed to pass it on, as flow and contact stand in the token itself (sofw.sip.token).
"""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.routing import is_site_address
from sofw.sip.fields import format_name_addr, parse_name_addr
from sofw.sip.message import Request, Response, SipError
from sofw.sip.proxy import Interface, destination, transport_of
from sofw.sip.token import LONGEST_FIELD, Sealer
from sofw.sip.uri import Uri, format_uri, parse_uri

M = TypeVar("M", Request, Response)

#: The fields of a flow in a token; what follows them is a contact, in pieces no field is too short for.
_FLOW_FIELDS = 6
#: Bytes of UTF-8 a character takes at the most.
_WIDEST = 4


class Contacts:
    """Seals flows and contacts into URIs of ours, and opens them again."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def flow_token(self, flow: Flow) -> str:
        """What a Record-Route of ours carries: the flow of one side."""
        return self._sealer.seal(_flow_fields(flow))

    def flow_of(self, uri: Uri) -> Flow | None:
        """The flow in a Record-Route URI of ours; None when it names nobody.

        Raises SipError (403) when the token is not ours.
        """
        if not uri.user:
            return None
        return _flow(self._sealer.open(uri.user))

    def opened(self, uri: Uri) -> tuple[str, Flow] | None:
        """The contact behind a URI of ours and its flow; None for a URI that is just a user's."""
        try:
            fields = self._sealer.open(uri.user or "")
            flow = _flow(fields)
        except SipError:
            return None
        contact = "".join(fields[_FLOW_FIELDS:])
        return (contact, flow) if contact else None

    def recorded(self, response: Response, receiver: Flow, interface: Interface) -> Response:
        """The response with our Record-Routes showing the leg it goes to (RFC 5658 §5).

        Each party sees, and routes by, only the half it can reach; what the tokens say stays.
        """
        routes = response.headers.all("Record-Route")
        if not routes:
            return response
        values = [self._recorded(value, receiver, interface) for value in routes]
        return evolve(response, headers=response.headers.replace("Record-Route", *values))

    def _recorded(self, value: str, receiver: Flow, interface: Interface) -> str:
        try:
            uri = parse_name_addr(value).uri
            ours = self.flow_of(uri) is not None
        except SipError:
            return value
        if not ours:
            return value
        return interface.record_route(uri.user or "", receiver.transport, uri.scheme == "sips")

    def hidden(self, message: M, sender: Flow, receiver: Flow, interface: Interface) -> M:
        """The message with what names phones inside hidden, when the receiver is not there.

        The sender's own Contact is reached over its flow; others, whom it names in a 3xx or a Refer-To,
        at their address, if that is one of the inside. Raises SipError when one is malformed.
        """
        if sender.leg in (OUTSIDE, receiver.leg):
            return message
        own = isinstance(message, Request) or not 300 <= message.status < 400
        headers = message.headers
        for name, is_own in (("Contact", own), ("Refer-To", False)):
            values = [self._hidden(v, sender, is_own, receiver, interface) for v in headers.all(name)]
            headers = headers.replace(name, *values)
        return evolve(message, headers=headers)

    def _hidden(self, value: str, sender: Flow, is_own: bool, receiver: Flow, interface: Interface) -> str:
        if value == "*":
            return value
        contact = parse_name_addr(value)
        flow = sender if is_own else _flow_to(contact.uri, sender)
        if flow is None:
            return value
        return format_name_addr(evolve(contact, uri=self._cover(contact.uri, flow, receiver, interface)))

    def _cover(self, uri: Uri, flow: Flow, receiver: Flow, interface: Interface) -> Uri:
        """A URI of ours for what can be reached at this flow; headers are for the one who uses it."""
        text = format_uri(evolve(uri, headers=""))
        size = LONGEST_FIELD // _WIDEST
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        token = self._sealer.seal((*_flow_fields(flow), *pieces))
        ours = parse_uri(interface.uri(token, receiver.transport, uri.scheme == "sips"))
        return evolve(ours, headers=uri.headers)


def _flow_to(uri: Uri, sender: Flow) -> Flow | None:
    """The flow to an address of the sender's site; None for a URI that leads elsewhere."""
    if not uri.host:
        return None
    host, port = destination(uri)
    if not is_site_address(host):
        return None
    return Flow(sender.leg, transport_of(uri), Address(host, port), sender.port)


def _flow_fields(flow: Flow) -> tuple[str, ...]:
    remote = flow.remote
    return flow.leg, flow.transport.value, remote.host, str(remote.port), str(flow.port), flow.domain


def _flow(fields: tuple[str, ...]) -> Flow:
    if len(fields) < _FLOW_FIELDS:
        raise SipError("The token in this URI names no flow", 403)
    leg, transport, host, port, own, domain = fields[:_FLOW_FIELDS]
    return Flow(leg, Transport(transport), Address(host, int(port)), int(own), domain)
