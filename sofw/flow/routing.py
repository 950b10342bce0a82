"""Where a request goes (RFC 3261 §16.5 and §16.6 step 7): a token, a user, a contact, or the outside."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from attrs import evolve, frozen

from sofw.address import OUTSIDE, Address, Flow, Transport, is_ip
from sofw.flow.admission import Admission
from sofw.sip.locate import Destination, Wanted, wanted
from sofw.sip.message import Request, Response, SipError
from sofw.sip.proxy import Interface, Refusal, next_hop
from sofw.sip.registrar import Binding, Registrar, quality
from sofw.sip.uri import Uri, format_uri, parse_uri

#: Networks that exist once per site (RFC 1918, RFC 4193, link-local).
_SITE_NETWORKS = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)

#: No name in the DNS is longer (RFC 1035 §2.3.4), even where a `maddr` spares us to ask for it.
LONGEST_NAME = 253


@frozen
class Hop:
    """A place still to be found, on a leg; with TLS its server must speak for the `domain`.

    That is the one asked for, not what an SRV record, a `maddr` or a route leads to (RFC 5922 §4).
    """

    leg: str
    place: Wanted
    domain: str

    def flow(self, found: Destination, interface: Interface) -> Flow:
        """The flow to one of its destinations, from our port on that leg."""
        remote, port = Address(found.host, found.port), interface.port_of(found.transport)
        domain = self.domain if found.transport is Transport.TLS else ""
        return Flow(self.leg, found.transport, remote, port, domain)


@frozen
class Target:
    """One place to forward to: its Request-URI, and its flow, or the hop that leads there.

    Those of higher `q` are tried first.
    """

    uri: str
    flow: Flow | None
    hop: Hop | None = None
    routes: tuple[str, ...] = ()
    q: float = 1.0


class Routing:
    """Decides the targets of a request; knows the registrar and who may call whom.

    `routes` says per domain where its requests go, instead of what the DNS says.
    """

    def __init__(self, registrar: Registrar, admission: Admission, routes: Mapping[str, Uri]) -> None:
        self._registrar = registrar
        self._admission = admission
        self._routes = routes

    def in_dialog(self, request: Request, flow: Flow) -> Target:
        """The target of a request that came with our token (§16.12: loose routing).

        Outside, a further Route is the far side's own proxy chain and is followed by its address.
        """
        if flow.leg == OUTSIDE and request.routes:
            return Target(request.uri, None, self._hop(next_hop(request), OUTSIDE))
        return Target(request.uri, flow)

    def out_of_dialog(
        self, request: Request, source: Flow, interface: Interface, sender: str | None, now: float
    ) -> list[Target]:
        """The target set of a request that begins something (§16.5).

        Raises SipError: 404 unknown user, 480 nobody registered, 403 neither for nor from one of us.
        """
        uri = parse_uri(request.uri)
        domain = self._admission.domains.of(uri, interface)
        user = uri.aor() if uri.scheme == "tel" else ""
        if user and sender:
            domain = sender.partition("@")[2]
        if domain is not None and not request.routes:
            secure = uri.scheme == "sips"
            return self._of_user(user or uri.aor().partition("@")[0], domain, secure, now)
        binding = self._registrar.find_contact(uri, source.leg, now)
        if binding is not None:
            return [Target(request.uri, binding.flow, routes=binding.path)]
        if sender is None:
            raise Refusal(403, "Relaying is for our own users")
        hop = next_hop(request)
        return [Target(request.uri, None, self._hop(hop, _leg_of(hop, source)))]

    def redirected(self, response: Response, source: Flow, interface: Interface, now: float) -> list[Target]:
        """The targets a 3xx names (§16.5), as its sender means them; those that lead nowhere are left out."""
        targets: list[Target] = []
        for contact in response.contacts:
            try:
                found = self._named(contact.uri, source, interface, now)
            except SipError:
                continue
            q = quality(contact.param("q"))
            targets += [evolve(target, q=q) for target in found]
        return targets

    def _named(self, uri: Uri, source: Flow, interface: Interface, now: float) -> list[Target]:
        domain = self._admission.domains.of(uri, interface)
        if domain is not None:
            return self._of_user(uri.aor().partition("@")[0], domain, uri.scheme == "sips", now)
        binding = self._registrar.find_contact(uri, source.leg, now)
        if binding is not None:
            return [Target(format_uri(uri), binding.flow, routes=binding.path)]
        return [Target(format_uri(uri), None, self._hop(uri, _leg_of(uri, source)))]

    def _of_user(self, user: str, domain: str, secure: bool, now: float) -> list[Target]:
        """Where a user is registered; securely at sips contacts alone, which serve others too (RFC 5630)."""
        bindings = self._registrar.lookup(f"{user}@{domain}", now)
        if secure:
            bindings = tuple(b for b in bindings if parse_uri(b.contact).scheme == "sips")
        if bindings:
            return [Target(_contact(b, secure), b.flow, routes=b.path, q=b.q) for b in bindings]
        if not self._admission.known(user, domain):
            raise SipError("No such user here", 404)
        raise SipError("Nobody is registered under this address", 480)

    def _hop(self, uri: Uri, leg: str) -> Hop:
        domain = uri.host.lower()
        if len(domain) > LONGEST_NAME:
            raise SipError("The host name is too long", 400)
        route = self._routes.get(domain)
        if route is None:
            return Hop(leg, wanted(uri), domain)
        if uri.scheme == "sips":
            route = evolve(route, scheme="sips")
        return Hop(OUTSIDE, wanted(route), domain)


def _leg_of(hop: Uri, source: Flow) -> str:
    """Private addresses are meant on the leg they were named on; all others are outside."""
    return source.leg if is_site_address(hop.host) else OUTSIDE


def is_site_address(host: str) -> bool:
    """Whether it is an address that each site has for itself."""
    return is_ip(host) and any(ip_address(host) in network for network in _SITE_NETWORKS)


def _contact(binding: Binding, secure: bool) -> str:
    uri = parse_uri(binding.contact)
    return str(evolve(uri, scheme="sip")) if uri.scheme == "sips" and not secure else binding.contact


def is_direct(request: Request, source: Flow, target: Target) -> bool:
    """Whether two phones of one site can do the rest by themselves (paper 002 §3.5).

    Only when both can be reached at their contacts, that is, with no NAT between them and the half; who uses
    TLS is reached on the connection it opened, as it has no certificate to be called with.
    """
    flow = target.flow
    if flow is None or flow.leg != source.leg or flow.leg == OUTSIDE:
        return False
    if Transport.TLS in (flow.transport, source.transport):
        return False
    contacts = request.contacts
    near = bool(contacts) and contacts[0].uri.host == source.remote.host
    return near and parse_uri(target.uri).host == flow.remote.host
