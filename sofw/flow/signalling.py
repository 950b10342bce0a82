"""The order of the steps for every SIP message that reaches HRAS, from whichever leg.

    bytes → parse → match a transaction → (new) check → admit → route → forward or answer

Everything returned is a list of actions; nothing is sent, timed or stored here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from attrs import evolve, frozen

from sofw.address import OUTSIDE, Flow
from sofw.errors import RemoteError
from sofw.flow.actions import Action, Key, Note, SaveBindings, SendSip, StartTimer, StopTimer
from sofw.flow.admission import Admission, without_credentials
from sofw.flow.calls import Calls, MediaLeg
from sofw.flow.contacts import Contacts
from sofw.flow.forwarding import Forwarding
from sofw.flow.routing import Routing, Target
from sofw.sip import proxy
from sofw.sip.locate import Destination
from sofw.sip.message import (
    Request,
    Response,
    SipError,
    check_response,
    format_message,
    parse_message,
    response_to,
    salvage,
)
from sofw.sip.proxy import Interface, Refusal
from sofw.sip.registrar import Registrar, TooBrief, contact_value
from sofw.sip.session_timer import SessionTimer
from sofw.sip.timers import Timers
from sofw.sip.token import Sealer
from sofw.sip.transaction import (
    Deliver,
    Ended,
    Output,
    TimedOut,
    Transactions,
    Transmit,
    Unreachable,
)
from sofw.sip.transaction import (
    StartTimer as TransactionTimer,
)
from sofw.sip.transaction import (
    StopTimer as TransactionTimerOff,
)
from sofw.sip.uri import Uri, parse_uri

#: Seconds between two looks for expired bindings and silent calls.
SWEEP = 5.0
#: Beyond this, what is new is refused early, so that the calls that are up keep their machine: each takes
#: some 6 kB, and a call leaves three for 32 s and two for 5 s (300 MB, 470 calls a second);
#: what belongs to them is refused beyond twice as many.
MAX_TRANSACTIONS = 50000
RETRY_AFTER = 5
ALLOW = (
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, MESSAGE, INFO, "
    "SUBSCRIBE, NOTIFY, PUBLISH, REFER"
)
#: What an OPTIONS for the server itself is told (RFC 3261 §11.2); bodies are the users' affair.
ABILITIES = (("Allow", ALLOW), ("Accept", "*/*"), ("Supported", "path"))


@frozen
class Site:
    """What a site that connects says of itself."""

    interface: Interface
    media: MediaLeg


class Signalling:
    """The virtual SIP server: one stateful proxy and registrar with an interface per leg."""

    def __init__(
        self,
        outside: Interface,
        registrar: Registrar,
        admission: Admission,
        calls: Calls,
        sealer: Sealer,
        loop_key: bytes,
        fresh: Callable[[], str],
        timers: Timers = Timers(),  # noqa: B008
        site_domains: Callable[[str], tuple[str, ...]] = lambda _site: (),
        routes: Mapping[str, Uri] | None = None,
        follow_redirects: bool = False,
        session: SessionTimer = SessionTimer(),  # noqa: B008
    ) -> None:
        self.registrar = registrar
        self.calls = calls
        self.counts: Counter[str] = Counter()
        self._admission = admission
        self._loop_key = loop_key
        self._fresh = fresh
        self._site_domains = site_domains
        self._session = session
        self._interfaces = {OUTSIDE: outside}
        self._transactions = Transactions(timers)
        self._routing = Routing(registrar, admission, routes or {})
        self._contacts = Contacts(sealer)
        self._forwarding = Forwarding(
            self._transactions,
            calls,
            self._contacts,
            self._interfaces,
            timers,
            loop_key,
            fresh,
            self._run,
            self._redirected if follow_redirects else None,
        )

    def start(self) -> list[Action]:
        """What is to be done at start."""
        return [StartTimer(("sweep",), SWEEP)]

    def received(self, flow: Flow, data: bytes, now: float) -> list[Action]:
        """A SIP message came in; bad input is answered when it can be, else counted and dropped."""
        if flow.leg not in self._interfaces:
            self.counts["from a deleted site"] += 1
            return []
        try:
            message = parse_message(data)
            if isinstance(message, Response):
                check_response(message)
                return list(self._response(message, now))
            return list(self._request(proxy.received(message, flow.remote), flow, now))
        except SipError as error:
            self.counts["malformed"] += 1
            return list(self._answer_malformed(error, error.request or salvage(data), flow))

    def timer(self, key: Key, now: float) -> list[Action]:
        """A timer started by one of our actions has run out."""
        if key[0] == "tx":
            outputs = self._transactions.timer(key[1], str(key[2]))
            return list(self._run(key[1], outputs, now))
        if key[0] == "c":
            return list(self._forwarding.timer_c(key[1], now))
        if key[0] == "next":
            return list(self._forwarding.timer_next(key[1], now))
        return self._sweep(now)

    def failed(self, key: Hashable, now: float) -> list[Action]:
        """A message of this transaction could not be sent."""
        return list(self._run(key, self._transactions.send_failed(key), now))

    def resolved(self, key: Key, destinations: tuple[Destination, ...], now: float) -> list[Action]:
        """A place has been looked up: its destinations, best first, or none."""
        return list(self._forwarding.resolved(key[1], destinations, now))

    def site_up(self, leg: str, site: Site) -> list[Action]:
        """A site's tunnel is up; its running calls are opened again in its half."""
        self._interfaces[leg] = site.interface
        return self.calls.site_up(leg, site.media)

    def site_gone(self, leg: str, now: float) -> list[Action]:
        """A site was deleted: its calls end, and nobody is reached there any more."""
        self._interfaces.pop(leg, None)
        changed = self.registrar.leg_gone(leg)
        return [*self.calls.site_gone(leg, now), *(self._save(aor, now) for aor in changed)]

    def flow_closed(self, flow: Flow, now: float) -> list[Action]:
        """A connection closed; contacts that lived on it can no longer be reached (RFC 5626 §4.2)."""
        return [self._save(aor, now) for aor in self.registrar.flow_closed(flow)]

    def status(self) -> dict[str, object]:
        """Counts for `sofw status`."""
        return {
            "transactions": len(self._transactions),
            "calls": len(self.calls),
            "rows": len(list(self.calls.table.rows())),
            "dropped": dict(self.counts),
        }

    def _sweep(self, now: float) -> list[Action]:
        saves: list[Action] = [self._save(aor, now) for aor in self.registrar.expire(now)]
        return [*saves, *self.calls.sweep(now), StartTimer(("sweep",), SWEEP)]

    def _save(self, aor: str, now: float) -> SaveBindings:
        return SaveBindings(aor, self.registrar.lookup(aor, now))

    def _response(self, response: Response, now: float) -> Iterator[Action]:
        key = self._transactions.match_response(response)
        if key is None:
            # RFC 6026 §7.1: a response that belongs to nothing goes nowhere.
            self.counts["stray responses"] += 1
            return
        yield from self._run(key, self._transactions.receive(key, response), now)

    def _request(self, request: Request, flow: Flow, now: float) -> Iterator[Action]:
        key = self._transactions.match_request(request)
        if key is not None:
            yield from self._run(key, self._transactions.receive(key, request), now)
        elif request.method == "ACK":
            yield from self._ack(request, flow, now)
        else:
            yield from self._new(request, flow, now)

    def _ack(self, request: Request, flow: Flow, now: float) -> Iterator[Action]:
        """An ACK for a 2xx is forwarded without a transaction; never answered (§17.1.1.3)."""
        try:
            proxy.check(request, self._loop_key)
            request, targets = self._targets(request, flow, now)
        except RemoteError:
            self.counts["stray ACKs"] += 1
            return
        yield from self._forwarding.start(request, flow, None, targets, now)

    def _new(self, request: Request, flow: Flow, now: float) -> Iterator[Action]:
        reply = self._reply_flow(request, flow)
        if self._is_overloaded(request):
            # Without a transaction, which would only be one more (§8.2.7).
            error = SipError("Too many transactions at the moment", 503)
            yield SendSip(reply, format_message(self._refusal(request, error, None)))
            return
        key, outputs = self._transactions.start_server(request, reply, flow.transport.reliable)
        yield from self._run(key, outputs, now)
        try:
            proxy.check(request, self._loop_key)
            yield from self._serve(key, request, reply, now)
        except RemoteError as error:
            yield from self._respond(key, self._refusal(request, error, self._fresh()), now)

    def _serve(self, key: Hashable, request: Request, flow: Flow, now: float) -> Iterator[Action]:
        if request.method == "CANCEL":
            yield from self._cancel(key, request, now)
        elif request.method == "REGISTER" and self._is_for_us(request, flow):
            yield from self._register(key, request, flow, now)
        elif request.method == "OPTIONS" and (request.max_forwards == 0 or self._is_for_us(request, flow)):
            yield from self._respond(key, response_to(request, 200, None, self._fresh(), ABILITIES), now)
        else:
            request, targets = self._targets(request, flow, now)
            if request.method == "INVITE":
                # §16.2: a stateful proxy answers 100 at once, so that the caller stops repeating;
                # what it refuses at once needs none (§17.2.1).
                yield from self._respond(key, response_to(request, 100), now)
            yield from self._forwarding.start(self._session.asked(request), flow, key, targets, now)

    def _targets(self, request: Request, flow: Flow, now: float) -> tuple[Request, list[Target]]:
        """Take our Routes off, admit the sender, find the targets (§16.4, §16.5)."""
        request, taken = proxy.without_own_routes(request, lambda uri: self._is_ours(uri, flow))
        flows = [known for known in map(self._contacts.flow_of, taken) if known is not None]
        contact = self._contacts.opened(parse_uri(request.uri))
        if contact is not None:
            request = evolve(request, uri=contact[0])
        if flows and request.to.tag:
            return request, [self._routing.in_dialog(request, flows[-1])]
        interface = self._interfaces[flow.leg]
        sender = None
        if request.method != "ACK":
            sender = self._admission.sender(request, interface, now)
        if contact is not None:
            targets = [Target(*contact)]
        else:
            targets = self._routing.out_of_dialog(request, flow, interface, sender, now)
        return without_credentials(request, self._admission.domains.names), targets

    def _register(self, key: Hashable, request: Request, flow: Flow, now: float) -> Iterator[Action]:
        aor = self._admission.registrant(request, self._interfaces[flow.leg], now)
        allowed = self._site_domains(flow.leg)
        if allowed and aor.partition("@")[2] not in allowed:
            raise SipError("This site may not serve that domain", 403)
        before = self.registrar.lookup(aor, now)
        bindings = self.registrar.register(aor, request, flow, now)
        yield SaveBindings(aor, bindings)
        if {b.contact for b in before} != {b.contact for b in bindings}:
            yield Note("registered", (("aor", aor), ("flow", flow), ("contacts", len(bindings))))
        headers = [("Contact", contact_value(binding, now)) for binding in bindings]
        headers += [("Path", value) for value in request.headers.all("Path")]  # RFC 3327 §5.3
        yield from self._respond(key, response_to(request, 200, None, self._fresh(), tuple(headers)), now)

    def _cancel(self, key: Hashable, request: Request, now: float) -> Iterator[Action]:
        """§9.2: 200 for the CANCEL itself, then the INVITE's branches are cancelled."""
        server = self._transactions.match_cancelled(request)
        if server is None:
            raise SipError("No INVITE to cancel", 481)
        yield from self._respond(key, response_to(request, 200, None, self._fresh()), now)
        yield from self._forwarding.cancel(server, request.headers.all("Reason"), now)

    def _redirected(self, response: Response, flow: Flow, now: float) -> list[Target]:
        interface = self._interfaces.get(flow.leg)
        if interface is None:
            return []
        opened = [self._contacts.opened(contact.uri) for contact in response.contacts]
        ours = [Target(*found) for found in opened if found is not None]
        return [*ours, *self._routing.redirected(response, flow, interface, now)]

    def _respond(self, key: Hashable, response: Response, now: float) -> Iterator[Action]:
        yield from self._run(key, self._transactions.respond(key, response), now)

    def _run(self, key: Hashable, outputs: Iterable[Output], now: float) -> Iterator[Action]:
        """Turn what a transaction asks for into actions, and tell the forwarding what it learned."""
        for output in outputs:
            if isinstance(output, Transmit):
                yield SendSip(output.flow, format_message(output.message), key)
            elif isinstance(output, TransactionTimer):
                yield StartTimer(("tx", output.key, output.name), output.seconds)
            elif isinstance(output, TransactionTimerOff):
                yield StopTimer(("tx", output.key, output.name))
            elif isinstance(output, Ended):
                self._forwarding.ended(output.key)
            else:
                yield from self._learned(output, now)

    def _learned(self, output: Deliver | TimedOut | Unreachable, now: float) -> Iterator[Action]:
        if isinstance(output, TimedOut):
            yield from self._forwarding.failed(output.key, 408, now)
        elif isinstance(output, Unreachable):
            yield from self._forwarding.unreachable(output.key, now)
        elif isinstance(output.message, Response):
            yield from self._forwarding.response(output.key, output.message, now)

    def _refusal(self, request: Request, error: RemoteError, tag: str | None) -> Response:
        headers = error.headers if isinstance(error, Refusal) else ()
        if isinstance(error, TooBrief):
            headers = (("Min-Expires", str(error.shortest)),)
        elif error.status == 503:
            headers = (("Retry-After", str(RETRY_AFTER)),)
        self.counts[f"refused {error.status}"] += 1
        return response_to(request, error.status, str(error), tag, headers)

    def _answer_malformed(self, error: SipError, request: Request | None, flow: Flow) -> Iterator[Action]:
        """A malformed request is answered without a transaction when it says what the answer needs (§16.3).

        When its Via cannot be read either, the answer goes to where the request came from.
        """
        if request is None or request.method == "ACK":
            return
        reply = flow
        try:
            request = proxy.received(request, flow.remote)
            reply = self._reply_flow(request, flow)
        except SipError:
            self.counts["malformed Vias"] += 1
        yield SendSip(reply, format_message(response_to(request, error.status, str(error), self._fresh())))

    def _reply_flow(self, request: Request, flow: Flow) -> Flow:
        """Where answers go: the same connection, or for UDP what the Via says (§18.2.2, RFC 3581)."""
        if flow.transport.reliable:
            return flow
        return Flow(flow.leg, flow.transport, proxy.reply_address(request.via, flow.remote), flow.port)

    def _is_ours(self, uri: Uri, flow: Flow) -> bool:
        """Whether a Route points at us: our own address on any leg, or one of our domains (§16.4)."""
        if any(interface.is_at(uri) for interface in self._interfaces.values()):
            return True
        return not uri.user and self._admission.domains.of(uri, self._interfaces[flow.leg]) is not None

    def _is_for_us(self, request: Request, flow: Flow) -> bool:
        """Whether the Request-URI names the server itself and nobody in it."""
        uri = parse_uri(request.uri)
        named = self._admission.domains.of(uri, self._interfaces[flow.leg]) is not None
        return named and (request.method == "REGISTER" or not uri.user)

    def _is_overloaded(self, request: Request) -> bool:
        belongs = request.method == "CANCEL" or ";tag=" in (request.headers.get("To") or "")
        return len(self._transactions) > MAX_TRANSACTIONS * (2 if belongs else 1)
