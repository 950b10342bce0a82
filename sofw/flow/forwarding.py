"""Forwarding a request to its targets and the responses back (RFC 3261 §16.6 to §16.10).

One job per server transaction (sofw.flow.job). Each target is a way: first perhaps a name to look up,
then a client transaction, and another one for each destination that fails (RFC 3263 §4.3). Its SDP is
carried across the wall on the way out and its responses' SDP on the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from sofw.address import OUTSIDE, Flow, Transport
from sofw.errors import RemoteError
from sofw.flow.actions import Action, Note, Resolve, SendSip, StartTimer, StopTimer
from sofw.flow.calls import Calls, Party
from sofw.flow.contacts import Contacts
from sofw.flow.job import Job, Way
from sofw.flow.routing import Target, is_direct
from sofw.sdp.body import find_sdp
from sofw.sip import proxy, session_timer
from sofw.sip.fork import Abandon, Branch, CancelBranch, Fork, Forward, Further, State
from sofw.sip.fork import Output as ForkOutput
from sofw.sip.locate import Destination
from sofw.sip.message import Request, Response, SipError, format_message
from sofw.sip.proxy import Interface
from sofw.sip.timers import Timers
from sofw.sip.transaction import Output, Transactions

Key = Hashable
#: How long, in T1, a destination may say nothing at all while another one could still be tried: 8 s give a
#: lost INVITE five more chances, and leave time for three others before a caller's own 32 s are over.
PATIENCE = 16

#: Runs what a transaction returned: set by the one who owns the order of the steps.
Run = Callable[[Key, list[Output], float], Iterator[Action]]


#: The other targets a 3xx names, with the flow it came on.
Redirect = Callable[[Response, Flow, float], list[Target]]


class Forwarding:
    """All requests under way."""

    def __init__(
        self,
        transactions: Transactions,
        calls: Calls,
        contacts: Contacts,
        interfaces: dict[str, Interface],
        timers: Timers,
        loop_key: bytes,
        fresh: Callable[[], str],
        run: Run,
        redirect: Redirect | None = None,
    ) -> None:
        """With `redirect` a callee's 3xx is followed here, else it is the caller's to follow."""
        self._transactions = transactions
        self._calls = calls
        self._contacts = contacts
        self._interfaces = interfaces
        self._timers = timers
        self._loop_key = loop_key
        self._fresh = fresh
        self._run = run
        self._redirect = redirect
        self._jobs: dict[Key, Job] = {}
        self._copies: set[tuple[str, str]] = set()
        self._ways: dict[Key, Way] = {}

    def __len__(self) -> int:
        return len(self._ways)

    def start(
        self, request: Request, source: Flow, server: Key | None, targets: list[Target], now: float
    ) -> Iterator[Action]:
        """Forward a request to its targets (§16.6).

        Raises SipError: 482 for one that is under way already and came by a second path, 440 for one
        that may have no more branches.
        """
        job = Job(request, source, server, Fork(request), proxy.loop_mark(request, self._loop_key))
        if server is not None:
            if not request.to.tag and job.copy in self._copies:
                raise SipError("Merged request", 482)  # §8.2.2.2
            if job.breadth == 0:
                raise SipError("Max-Breadth Exceeded", 440)  # RFC 5393 §5.3.3.2
            self._jobs[server] = job
            self._copies.add(job.copy)
        job.add(targets)
        yield from self._open(job, now)

    def _open(self, job: Job, now: float) -> Iterator[Action]:
        ways = {("way", self._fresh()): way for way in job.next_ways()}
        for key, way in ways.items():
            job.fork.open(key)
            self._ways[key] = way
        for key in ways:
            yield from self._begin(key, now)

    def resolved(self, key: Key, found: tuple[Destination, ...], now: float) -> Iterator[Action]:
        """The destinations of a way's next hop are known; none at all is a 503 (RFC 3263 §4.3)."""
        way = self._ways.get(key)
        if way is None or way.target.hop is None:
            return
        way.rest = found
        if self._has_next(key, way):
            yield from self._next(key, way, now)
        else:
            cancelled = way.job.fork.branches[key].cancelled
            yield from self.failed(key, 487 if found and cancelled else 503, now)

    def response(self, key: Key, response: Response, now: float) -> Iterator[Action]:
        """A response on a client transaction (§16.7)."""
        way = self._ways.get(key)
        if way is None:
            return
        if response.status == 503 and self._has_next(key, way):
            yield from self._next(key, way, now)
            return
        if way.rest:
            yield StopTimer(("next", key))
        if way.job.request.method == "INVITE":
            yield from self._set_timer_c(way.job.fork.branches[key], response.status)
        try:
            returning, actions = self._returning(way, response, now)
        except RemoteError as error:
            yield from self.failed(key, error.status, now)
            if response.status < 200:
                yield from self._cancel(key, now)
            return
        yield from actions
        if self._follow(way, response, now):
            outputs = way.job.fork.redirected(key)
        else:
            outputs = way.job.fork.response(key, returning)
        yield from self._outputs(way.job, outputs, now)
        yield from self._settle(way, response.status, now)

    def _follow(self, way: Way, response: Response, now: float) -> bool:
        """Take in the targets a 3xx names, if we are to (§16.7 step 4); returns whether any is new."""
        if self._redirect is None or way.flow is None or not 300 <= response.status < 400:
            return False
        fork = way.job.fork
        if fork.answered or any(branch.cancelled for branch in fork.branches.values()):
            return False
        targets = self._redirect(response, way.flow, now)
        if proxy.is_secure(way.job.request.uri, ()):
            targets = [target for target in targets if proxy.is_secure(target.uri, ())]  # §16.5
        return way.job.add(targets)

    def failed(self, key: Key, status: int, now: float) -> Iterator[Action]:
        """A way came to nothing: no answer (408), no connection (503), or nothing we can carry."""
        way = self._ways.get(key)
        if way is None:
            return
        yield StopTimer(("c", key))
        if way.rest:
            yield StopTimer(("next", key))
        yield from self._settle(way, status, now)
        yield from self._outputs(way.job, way.job.fork.failed(key, status), now)
        if way.sent is None:
            self.ended(key)

    def unreachable(self, key: Key, now: float) -> Iterator[Action]:
        """A destination could not be reached: as if it had answered 503 (§16.9), unless there is another."""
        way = self._ways.get(key)
        if way is not None and self._has_next(key, way):
            yield from self._next(key, way, now)
        else:
            yield from self.failed(key, 503, now)

    def timer_next(self, key: Key, now: float) -> Iterator[Action]:
        """A destination has said nothing, and there is another one."""
        way = self._ways.get(key)
        if way is None or not self._has_next(key, way):
            return
        yield from self._next(key, way, now)
        yield from self._run(key, self._transactions.abandon(key), now)

    def cancel(self, server: Key, reasons: tuple[str, ...], now: float) -> Iterator[Action]:
        """The caller gave up (§16.10); what reasons it gives go along (RFC 3326)."""
        job = self._jobs.get(server)
        if job is not None:
            yield from self._outputs(job, job.fork.cancel(reasons), now)

    def timer_c(self, key: Key, now: float) -> Iterator[Action]:
        """It rang too long (§16.8): cancel it, or give it up when it never rang."""
        way = self._ways.get(key)
        if way is None:
            return
        branch = way.job.fork.branches[key]
        if branch.state is State.PROCEEDING and not branch.cancelled:
            branch.cancelled = True
            yield from self._cancel(key, now)
        else:
            yield from self.failed(key, 487 if branch.cancelled else 408, now)
            yield from self._run(key, self._transactions.abandon(key), now)

    def ended(self, key: Key) -> None:
        """A transaction is gone, and what was kept for it."""
        job = self._jobs.pop(key, None)
        if job is not None:
            self._copies.discard(job.copy)
        self._ways.pop(key, None)

    def _set_timer_c(self, branch: Branch, status: int) -> Iterator[Action]:
        """It starts anew while it rings and ends with the answer (§16.7 step 2); not after a CANCEL."""
        if status >= 200:
            yield StopTimer(("c", branch.key))
        elif status > 100 and not branch.cancelled and branch.state is not State.DONE:
            yield StartTimer(("c", branch.key), self._timers.c)

    def _begin(self, key: Key, now: float) -> Iterator[Action]:
        way = self._ways[key]
        if way.target.flow is not None:
            yield from self._send(key, way, way.target.flow, now)
            return
        hop = way.target.hop
        assert hop is not None
        interface = self._interfaces.get(hop.leg)
        yield Resolve(("way", key), hop.place, interface is not None and ":" in interface.host)

    def _has_next(self, key: Key, way: Way) -> bool:
        """Whether a way that came to nothing can go on to another destination, and somebody waits for it."""
        hop, branch, server = way.target.hop, way.job.fork.branches[key], way.job.server
        waited_for = server is None or self._transactions.get(server) is not None
        wanted = waited_for and branch.state is not State.DONE and not branch.cancelled
        return bool(way.rest) and wanted and hop is not None and hop.leg in self._interfaces

    def _next(self, key: Key, way: Way, now: float) -> Iterator[Action]:
        """Try the next destination, as a branch of its own; the call and its rows stay (RFC 3263 §4.3)."""
        assert way.target.hop is not None
        found, way.rest = way.rest[0], way.rest[1:]
        flow = way.target.hop.flow(found, self._interfaces[way.target.hop.leg])
        if way.flow is not None:
            yield StopTimer(("c", key))
            yield StopTimer(("next", key))
            yield Note("sip.next_destination", (("failed", way.flow), ("next", flow)))
        yield from self._send(key, way, flow, now)

    def _send(self, key: Key, way: Way, flow: Flow, now: float) -> Iterator[Action]:
        way.flow = flow
        try:
            yield from self._assign_call(way, flow, now)
            message, actions = self._outgoing(way, flow, now)
        except RemoteError as error:
            yield from self.failed(key, error.status, now)
            return
        yield from actions
        way.sent = message
        if way.job.server is None:
            yield SendSip(flow, format_message(message))
            yield from self._settle(way, 200, now)  # what an ACK carries needs nobody's consent
            self.ended(key)
            return
        client, outputs = self._transactions.start_client(message, flow, flow.transport.reliable)
        self._rename(way, key, client)
        if message.method == "INVITE":
            yield StartTimer(("c", client), self._timers.c)
        if way.rest:
            yield StartTimer(("next", client), PATIENCE * self._timers.t1)
        yield from self._run(client, outputs, now)

    def _rename(self, way: Way, old: Key, new: Key) -> None:
        way.job.fork.rename(old, new)
        self._ways[new] = self._ways.pop(old)

    def _assign_call(self, way: Way, flow: Flow, now: float) -> Iterator[Action]:
        """The call this message belongs to; an INVITE of none begins one (§12.1).

        Raises SipError (481) for an SDP that no call of ours could take across.
        """
        request, source = way.job.request, way.job.source
        if way.begins and way.call is not None:
            self._calls.move_callee(way.call, flow.remote.host)
            return
        found = self._calls.find(request)
        if found is not None:
            way.call, way.from_caller = found
        elif request.method == "INVITE" and not self._is_direct(way):
            way.begins = True
            caller = Party(source.leg, source.remote.host, request.from_.uri.aor())
            callee = Party(flow.leg, flow.remote.host, request.to.uri.aor())
            way.call, actions = self._calls.begin(request, caller, callee, now)
            yield from actions
        elif request.to.tag and source.leg != flow.leg and _has_sdp(request):
            raise SipError("No such call here", 481)

    def _is_direct(self, way: Way) -> bool:
        return is_direct(way.job.request, way.job.source, way.target)

    def _outgoing(self, way: Way, flow: Flow, now: float) -> tuple[Request, list[Action]]:
        """The request as it goes to this target (§16.6 steps 1-8), its SDP carried across."""
        request, actions = way.job.request, list[Action]()
        if way.call is not None:
            request, actions = self._calls.carry(way.call, request, way.from_caller, way.change, now)
        interface = self._interfaces.get(flow.leg)
        if interface is None:
            raise RemoteError("The site of the other party is not connected", 480)
        request = self._contacts.hidden(request, way.job.source, flow, interface)
        secure = proxy.is_secure(way.target.uri, way.target.routes or request.headers.all("Route"))
        if secure and flow.transport is not Transport.TLS:
            raise RemoteError("The other party cannot be reached securely", 480)
        message = proxy.forwarded(
            request,
            way.target.uri,
            interface.via(flow.transport, proxy.new_branch(self._fresh(), way.job.mark)),
            self._record_routes(way, flow, secure),
            way.target.routes,
            hide_vias=way.job.source.leg not in (OUTSIDE, flow.leg),
            breadth=None if way.job.server is None else way.breadth,
        )
        return proxy.strictly_routed(message), actions

    def _record_routes(self, way: Way, flow: Flow, secure: bool) -> list[str]:
        """One of ours for each side, with that side's own flow in its token (RFC 5658 §4).

        Both show the leg the request goes to; the responses are turned to show the other one.
        """
        request, source = way.job.request, way.job.source
        if request.method not in proxy.DIALOG_METHODS or request.to.tag or self._is_direct(way):
            return []
        interface = self._interfaces[flow.leg]
        tokens = [self._contacts.flow_token(side) for side in (flow, source)]
        return [interface.record_route(token, flow.transport, secure) for token in tokens]

    def _returning(self, way: Way, response: Response, now: float) -> tuple[Response, list[Action]]:
        """The response as it goes back: SDP carried across, the sender's Vias in place again."""
        actions: list[Action] = []
        if way.call is not None and response.status < 300:
            response, actions = self._calls.carry(way.call, response, not way.from_caller, way.change, now)
            if way.begins:
                self._calls.answered(way.call, response, now)
        if way.sent is not None and way.sent.method in session_timer.METHODS and response.status // 100 == 2:
            response, seconds = session_timer.answered(way.sent, response)
            if way.call is not None:
                self._calls.refreshed(way.call, response, seconds, now)
        source = way.job.source
        interface = self._interfaces.get(source.leg)  # None when the site was deleted meanwhile
        if way.flow is not None and interface is not None:
            response = self._contacts.hidden(response, way.flow, source, interface)
            response = self._contacts.recorded(response, source, interface)
        return proxy.returned(response, way.job.request), actions

    def _settle(self, way: Way, status: int, now: float) -> Iterator[Action]:
        """What a final status means for the call: refused, changed, or over."""
        if way.call is None or status < 200:
            return
        request = way.job.request
        if way.begins and status >= 300:
            yield from self._calls.end(way.call, f"{status}", now)
        elif request.method == "BYE":
            if status not in (401, 407) and not way.call.is_settled_without(request):
                yield from self._calls.end(way.call, "BYE", now)
        elif status < 300:
            yield from self._calls.keep(way.call, way.change)
        else:
            yield from self._calls.revert(way.call, way.change)

    def _outputs(self, job: Job, outputs: list[ForkOutput], now: float) -> Iterator[Action]:
        for output in outputs:
            if isinstance(output, Forward) and job.server is not None:
                yield from self._run(job.server, self._transactions.respond(job.server, output.response), now)
            elif isinstance(output, CancelBranch):
                yield from self._cancel(output.key, now, output.reasons)
            elif isinstance(output, Further):
                yield from self._open(job, now)
            elif isinstance(output, Abandon) and job.server is not None:
                yield from self._run(job.server, self._transactions.abandon(job.server), now)

    def _cancel(self, key: Key, now: float, reasons: tuple[str, ...] = ()) -> Iterator[Action]:
        way = self._ways.get(key)
        if way is None or way.sent is None or way.flow is None:
            return
        # §9.1: without a final response after 64*T1 the branch counts as cancelled.
        yield StartTimer(("c", key), 64 * self._timers.t1)
        cancel = proxy.cancel_of(way.sent, reasons)
        client, outputs = self._transactions.start_client(cancel, way.flow, way.flow.transport.reliable)
        yield from self._run(client, outputs, now)


def _has_sdp(request: Request) -> bool:
    return find_sdp(request.headers.get("Content-Type") or "", request.body) is not None
