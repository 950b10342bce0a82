"""HRAS's side of all tunnels: who may open one, which sessions there are, and their lanes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Protocol

from twisted.logger import Logger
from twisted.web.server import Site

from sofw.net.server_lanes import GONE, HeldLane, PollsLane, PostsLane, StreamLane
from sofw.net.server_probes import Probes
from sofw.net.tunnel_end import TunnelEnd
from sofw.net.tunnel_http import tunnel_site
from sofw.net.visitors import Visitors
from sofw.tunnel.bucket import Bucket
from sofw.tunnel.exchange import (
    REPLACED,
    Claim,
    ExchangeError,
    Hello,
    LaneRequest,
    challenge_body,
    read_claim,
    read_hello,
    session_body,
)
from sofw.tunnel.frame import Frame
from sofw.tunnel.link import Link, Role, TunnelListener
from sofw.tunnel.proof import Challenges, SessionKey, check_claim, prove_session
from sofw.tunnel.rungs import Purpose, rung_seen

#: Lines about refusals: so many per second in the long run, so many at once.
REFUSALS_TOLD = (0.1, 10)
#: How many replaced sessions are remembered; an HRAC that lost one asks for it again within seconds.
MAX_REPLACED = 256


class Lane(Protocol):
    """A lane of a session: what answers its requests, until it is closed."""

    def answer(self, part: int, request: Any) -> int | bytes: ...
    def close(self) -> None: ...


class ServerSession:
    """A session of a site: its key, its end of the tunnel, at most one lane for each purpose, its probes."""

    def __init__(self, reactor: Any, hello: Hello, key: SessionKey, listener: TunnelListener) -> None:
        self.key = key
        self.probes = Probes(reactor)
        self._reactor = reactor
        self._lanes: dict[Purpose, Lane] = {}
        self._short: dict[Purpose, bool] = {}
        self._number = 0
        link = Link(Role.SERVER, reactor.seconds())
        self.end = TunnelEnd(reactor, link, hello.site, hello, listener, self._drop_lanes)

    def lane(self, request: LaneRequest, transport: Any) -> Lane:
        """The lane of an admitted request; raises ExchangeError. Lanes of an earlier opening are closed."""
        if request.number < self._number:
            raise ExchangeError("Newer lanes are open", 403)
        if request.number > self._number:
            if self._lanes:
                self.end.lost("The site opens new lanes")
            self._number = request.number
            self._short = {}
        known = request.purpose in self._short
        if known and request.purpose not in self._lanes:
            raise ExchangeError("These lanes are closed", GONE)
        if not known:
            self._short[request.purpose] = request.part > 0
            self._lanes[request.purpose] = self._open(request, transport)
        return self._lanes[request.purpose]

    def _open(self, request: LaneRequest, transport: Any) -> Lane:
        if request.purpose is Purpose.BOTH:
            return PollsLane(self.end)
        if not request.part:
            return StreamLane(self.end, transport)
        if request.purpose is Purpose.UP:
            return PostsLane(self.end)
        return HeldLane(self._reactor, self.end)

    def status(self) -> dict[str, object]:
        """The state of the tunnel for the operator."""
        short = {purpose for purpose, short in self._short.items() if short}
        return self.end.status(rung_seen(short).name, len(self._lanes))

    def _drop_lanes(self, _reason: str) -> None:
        lanes, self._lanes = list(self._lanes.values()), {}
        for lane in lanes:
            lane.close()


class TunnelServer:
    """All tunnels that end here, by leg.

    `sites(site)` gives the site's secret, or None when it is not known here.
    """

    log = Logger("sofw")

    def __init__(self, reactor: Any, sites: Callable[[str], bytes | None], listener: TunnelListener) -> None:
        #: Whether sites may open sessions.
        self.accepting = True
        self._reactor = reactor
        self._sites = sites
        self._listener = listener
        self._challenges = Challenges(secrets.token_bytes(32))
        self._sessions: dict[str, ServerSession] = {}
        self._by_leg: dict[str, ServerSession] = {}
        self._busy: set[str] = set()
        self._refusals = Bucket(*REFUSALS_TOLD)
        self._untold = 0
        #: Sessions that another one of the same site has replaced → the site, or "" when it has been told.
        self._replaced: dict[str, str] = {}

    def site(self, visitors: Visitors | None = None) -> Site:
        """The web site on which tunnels are accepted, to be listened with."""
        return tunnel_site(self._reactor, self, visitors or Visitors())

    def send(self, leg: str, frame: Frame) -> bool:
        """Send a sure frame to a site; false without a session there."""
        session = self._by_leg.get(leg)
        return session is not None and session.end.send(frame)

    def send_media(self, leg: str, batch: bytes, packets: int) -> None:
        """Send media frames to a site."""
        session = self._by_leg.get(leg)
        if session is not None:
            session.end.send_media(batch, packets)

    def set_busy(self, leg: str, busy: bool) -> None:
        """Calls are up with this site, or none any more; holds for its later sessions too."""
        (self._busy.add if busy else self._busy.discard)(leg)
        session = self._by_leg.get(leg)
        if session is not None:
            session.end.set_busy(busy)

    def drop(self, leg: str) -> None:
        """The site is deleted: its session ends."""
        self._busy.discard(leg)
        self._close(leg, "The site was deleted")

    def stop(self) -> None:
        """Say goodbye and close every lane; the listener is not told."""
        for session in self._sessions.values():
            session.end.say_goodbye()
            session.end.abandon()
        self._sessions.clear()
        self._by_leg.clear()

    def status(self) -> list[dict[str, object]]:
        """One entry for each site with a session."""
        self._forget_closed()
        return [session.status() for _, session in sorted(self._by_leg.items())]

    def hello(self, body: bytes, peer: str) -> bytes:
        """HTTP: the first request; raises ExchangeError."""
        self._check_accepting()
        site, nonce = read_hello(body)
        return challenge_body(self._challenges.make(site, nonce, self._reactor.seconds()))

    def session(self, body: bytes, peer: str) -> bytes:
        """HTTP: the request for a session; raises ExchangeError."""
        self._check_accepting()
        claim = read_claim(body)
        secret = self._sites(claim.hello.site)
        try:
            check_claim(secret, claim)
            self._challenges.redeem(claim, self._reactor.seconds())
        except ExchangeError as error:
            self._report_refused(claim.hello.site, peer, str(error))
            raise
        return self._grant(claim, secret or b"")

    def admit(self, request: LaneRequest, transport: Any) -> ServerSession:
        """HTTP: the session of a request that belongs to one; raises ExchangeError."""
        session = self._sessions.get(request.session)
        if request.session in self._replaced:
            self._report_two(request.session, transport)
            raise ExchangeError("Another HRAC has opened a session for this site", REPLACED)
        if session is None or session.end.closed:
            raise ExchangeError("There is no such session", 404)
        session.key.admit(request)
        return session

    def _grant(self, claim: Claim, secret: bytes) -> bytes:
        """A new session; it replaces the one the site has."""
        leg = claim.hello.site
        if leg in self._by_leg:
            self._remember(self._by_leg[leg])
        self._close(leg, "The site opened a new session")
        self._forget_closed()
        name = secrets.token_hex(16)
        key = SessionKey(secret, claim.nonce, claim.challenge, name)
        session = ServerSession(self._reactor, claim.hello, key, self._listener)
        session.end.set_busy(leg in self._busy)
        self._sessions[name] = self._by_leg[leg] = session
        return session_body(name, prove_session(secret, claim.nonce, claim.challenge, name))

    def _report_refused(self, site: str, peer: str, reason: str) -> None:
        """Anybody can be refused as often as they like; the log must not be theirs."""
        if not self._refusals.take(self._reactor.seconds()):
            self._untold += 1
            return
        self.log.warn(
            "tunnel.refused site={site} peer={peer} reason={reason} untold={untold}",
            site=site,
            peer=peer,
            reason=reason,
            untold=self._untold,
        )
        self._untold = 0

    def _check_accepting(self) -> None:
        if not self.accepting:
            raise ExchangeError("No tunnels are accepted at the moment", 503)

    def _remember(self, replaced: ServerSession) -> None:
        while len(self._replaced) >= MAX_REPLACED:
            del self._replaced[next(iter(self._replaced))]
        self._replaced[replaced.key.session] = replaced.end.hello.site

    def _report_two(self, session: str, transport: Any) -> None:
        """Only an HRAC that still runs asks for lanes of a session that was replaced; said once."""
        site, self._replaced[session] = self._replaced[session], ""
        if not site:
            return
        self.log.error(
            "tunnel.replaced site={site} peer={peer} reason=two HRACs run as this site; each needs its own",
            site=site,
            peer=getattr(transport.getPeer(), "host", "?"),
        )

    def _close(self, leg: str, reason: str) -> None:
        session = self._by_leg.pop(leg, None)
        if session is not None:
            del self._sessions[session.key.session]
            session.end.close(reason)

    def _forget_closed(self) -> None:
        for leg, session in list(self._by_leg.items()):
            if session.end.closed:
                self._close(leg, "")
