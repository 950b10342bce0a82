"""The steps of a stateful proxy (RFC 3261 §16) that need no state, each one function.

check → without_own_routes → (targets) → forwarded → … → returned
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2s

from attrs import evolve, frozen

from sofw.address import Address, Transport, bracketed, is_ip
from sofw.sip.headers import Headers, Via, format_via, parse_name_addr
from sofw.sip.message import Request, Response, SipError, check_request
from sofw.sip.uri import Uri, format_uri, parse_uri

COOKIE = "z9hG4bK"
DEFAULT_MAX_FORWARDS = 70
_HASH_BYTES = 8
#: Methods that can begin a dialog; only these need to be recorded (RFC 3261 §16.6 step 4).
DIALOG_METHODS = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})


class Refusal(SipError):
    """A request the proxy answers itself, with headers the answer must carry."""

    def __init__(self, status: int, sentence: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(sentence, status)
        self.headers = headers


@frozen
class Interface:
    """How the proxy shows itself on a leg: the host that goes into Via and Record-Route.

    UDP and TCP share `port`; `tls_port` is None on a leg without TLS.
    """

    leg: str
    host: str
    port: int
    tls_port: int | None = None

    def port_of(self, transport: Transport) -> int:
        """Our port for a transport."""
        return self.tls_port or self.port if transport is Transport.TLS else self.port

    def via(self, transport: Transport, branch: str) -> str:
        """Our Via on this leg; rport asks the next hop for symmetric answers (RFC 3581 §3)."""
        place = f"{bracketed(self.host)}:{self.port_of(transport)}"
        return f"SIP/2.0/{transport.value} {place};branch={branch};rport"

    def record_route(self, token: str, transport: Transport, secure: bool = False) -> str:
        """Our Record-Route on this leg, the token in its user part (RFC 5626 §5.3 advice)."""
        return f"<{self.uri(token, transport, secure)};lr>"

    def uri(self, user: str, transport: Transport, secure: bool = False) -> str:
        """A URI of ours on this leg, to be reached by this transport; by TLS alone when it is `secure`."""
        if secure and self.tls_port:
            return f"sips:{user}@{bracketed(self.host)}:{self.tls_port}"
        parameter = "" if transport is Transport.UDP else f";transport={transport.value.lower()}"
        return f"sip:{user}@{bracketed(self.host)}:{self.port_of(transport)}{parameter}"

    def is_at(self, uri: Uri) -> bool:
        """Whether the URI points at this interface."""
        ports = (self.port, self.tls_port)
        return uri.host.lower() == self.host.lower() and (uri.port or default_port(uri)) in ports


def default_port(uri: Uri) -> int:
    """The port meant when a URI names none (RFC 3261 §19.1.2)."""
    tls = uri.scheme == "sips" or (uri.param("transport") or "").lower() == "tls"
    return 5061 if tls else 5060


def check(request: Request, loop_key: bytes) -> None:
    """Request validation (§16.3): syntax, Max-Forwards, loops, Proxy-Require.

    Raises SipError or Refusal with the status to answer. The URI scheme is judged by the one who
    looks for targets, as `tel:` is ours to route.
    """
    check_request(request)
    if request.max_forwards == 0 and request.method != "OPTIONS":
        raise Refusal(483, "Too Many Hops")
    mark = loop_mark(request, loop_key)
    if any((via.branch or "").endswith(f".{mark}") for via in request.vias):
        raise Refusal(482, "Loop Detected")
    required = request.headers.all("Proxy-Require")
    if required:
        raise Refusal(420, "Bad Extension", (("Unsupported", ", ".join(required)),))


def loop_mark(request: Request, key: bytes) -> str:
    """The part of our branch that is the same when a request comes round again (§16.6 step 8).

    Covers what may decide the way: tags, Call-ID, Request-URI, CSeq number, Proxy-Require and Route.
    The topmost Via is left out, since we may hide it from the far side; the key keeps it ours.
    """
    parts = (
        request.uri,
        request.call_id,
        request.from_.tag or "",
        request.to.tag or "",
        str(request.cseq.number),
        *request.headers.all("Proxy-Require"),
        *request.headers.all("Route"),
    )
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return blake2s(text, key=key, digest_size=_HASH_BYTES).hexdigest()


def new_branch(unique: str, mark: str) -> str:
    """A branch for a forwarded request: unique, and telling a loop from a spiral (§16.6 step 8)."""
    return f"{COOKIE}{unique}.{mark}"


def without_own_routes(request: Request, is_ours: Callable[[Uri], bool]) -> tuple[Request, list[Uri]]:
    """Route information preprocessing (§16.4): take off our own Route values, strict routers' too.

    Returns the request and the URIs taken off, first one first.
    """
    request, taken = _from_strict_router(request, is_ours)
    routes = request.routes
    count = 0
    while count < len(routes) and is_ours(routes[count].uri):
        taken.append(routes[count].uri)
        count += 1
    if count:
        request = evolve(request, headers=request.headers.remove_first("Route", count))
    return request, taken


def _from_strict_router(request: Request, is_ours: Callable[[Uri], bool]) -> tuple[Request, list[Uri]]:
    """A strict router put our Record-Route into the Request-URI and the real one last (§16.4)."""
    uri = parse_uri(request.uri)
    routes = request.headers.all("Route")
    if not (uri.has_param("lr") and routes and is_ours(uri)):
        return request, []
    target = request.routes[-1].uri
    headers = request.headers.replace("Route", *routes[:-1])
    return evolve(request, uri=str(target), headers=headers), [uri]


def forwarded(
    request: Request,
    uri: str,
    via: str,
    record_routes: Iterable[str] = (),
    routes: Iterable[str] = (),
    hide_vias: bool = False,
    breadth: int | None = None,
) -> Request:
    """The copy that goes to one target (§16.6 steps 1-8).

    `record_routes` stand topmost first; `routes` come from a Path (RFC 3327 §5.2). With `hide_vias`
    the receiver sees no Via but ours: what lies inside stays inside, and `returned` puts them back.
    `breadth` is this copy's share of the branches the request may make (RFC 5393 §5.3.3).
    """
    headers = request.headers
    hops = request.max_forwards
    headers = headers.replace("Max-Forwards", str(DEFAULT_MAX_FORWARDS if hops is None else hops - 1))
    if breadth is not None:
        headers = headers.replace("Max-Breadth", str(breadth))
    headers = headers.prepend("Record-Route", *record_routes)
    headers = headers.prepend("Route", *routes)
    headers = headers.replace("Via", via) if hide_vias else headers.prepend("Via", via)
    return evolve(request, uri=request_uri(uri), headers=headers)


def request_uri(text: str) -> str:
    """A target's URI without what a Request-URI must not have: headers, method (§16.6 step 2, §19.1.1)."""
    uri = parse_uri(text)
    if not uri.host or not (uri.headers or uri.has_param("method")):
        return text
    return format_uri(evolve(uri.without_param("method"), headers=""))


def strictly_routed(request: Request) -> Request:
    """When the next hop is a strict router, swap it into the Request-URI (§16.6 step 6)."""
    routes = request.headers.all("Route")
    if not routes or request.routes[0].uri.has_param("lr"):
        return request
    headers = request.headers.remove_first("Route").append("Route", f"<{request.uri}>")
    return evolve(request, uri=str(request.routes[0].uri), headers=headers)


def returned(response: Response, request: Request) -> Response:
    """A response for the one who sent `request`: our Via off, theirs back (§16.7 step 3)."""
    return evolve(response, headers=response.headers.replace("Via", *request.headers.all("Via")))


def received(request: Request, source: Address) -> Request:
    """Note in the topmost Via where the request came from (§18.2.1, RFC 3581 §4)."""
    via = request.via
    if via.rport is None and via.host == source.host:
        return request
    params = [(name, value) for name, value in via.params if name.lower() not in ("received", "rport")]
    params.append(("received", source.host))
    if via.rport is not None:
        params.append(("rport", str(source.port)))
    headers = request.headers.remove_first("Via").prepend(
        "Via", format_via(evolve(via, params=tuple(params)))
    )
    return evolve(request, headers=headers)


def reply_address(via: Via, source: Address) -> Address:
    """Where a response over UDP goes: the source, at its own port if it asked so (RFC 3581 §4)."""
    if via.rport is not None:
        return source
    return Address(source.host, via.port or 5060)


def next_hop(request: Request) -> Uri:
    """The URI that decides where the request goes: topmost Route, else Request-URI (§16.6 step 7)."""
    routes = request.routes
    return routes[0].uri if routes else parse_uri(request.uri)


def transport_of(uri: Uri) -> Transport:
    """The transport a URI asks for, UDP by default; SipError 416 or 501 for what cannot be reached."""
    if uri.scheme not in ("sip", "sips"):
        raise SipError(f"Cannot route the URI scheme {uri.scheme}", 416)
    if uri.scheme == "sips":
        return Transport.TLS
    name = (uri.param("transport") or "udp").upper()
    if name not in Transport.__members__:
        raise SipError(f"Transport {name} is not supported", 501)
    return Transport[name]


def destination(uri: Uri) -> tuple[str, int]:
    """Host and port of a hop, with maddr honoured (§19.1.1)."""
    # What RFC 3261's own grammar makes of "::" before an IPv4 part (RFC 5118 §4.10).
    host = (uri.param("maddr") or uri.host).replace(":::", "::")
    if is_ip(host.strip("[]")):
        host = host.strip("[]")
    return host, uri.port or default_port(uri)


def is_secure(uri: str, routes: Sequence[str]) -> bool:
    """Whether a request must go by TLS all the way (§26.2.2), and our Record-Route say so (§16.6 step 4).

    `uri` is its Request-URI as forwarded, `routes` its Route values.
    """
    first = [parse_name_addr(route).uri for route in routes[:1]]
    return any(each.scheme == "sips" for each in (parse_uri(uri), *first))


def cancel_of(request: Request, reasons: Iterable[str] = ()) -> Request:
    """The CANCEL for a request we sent: same branch, same route (§9.1), and why (RFC 3326 §2)."""
    headers = Headers(
        (
            ("Via", request.headers.all("Via")[0]),
            *(("Route", value) for value in request.headers.all("Route")),
            ("Max-Forwards", str(DEFAULT_MAX_FORWARDS)),
            *((name, request.headers.get(name) or "") for name in ("From", "To", "Call-ID")),
            ("CSeq", f"{request.cseq.number} CANCEL"),
            *(("Reason", value) for value in reasons),
        )
    )
    return Request("CANCEL", request.uri, headers)
