"""HRAC's side of its tunnel: a service that opens it and opens it again, as long as it runs."""

from __future__ import annotations

import secrets
from random import random
from typing import Any

from attrs import field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger

from sofw.errors import RemoteError
from sofw.net.client_lanes import ClientLanes
from sofw.net.http_wire import LOGIN_WANTED, Answer, HttpWire, Route, explain
from sofw.net.ladder import Ladder
from sofw.net.tunnel_end import TunnelEnd
from sofw.tunnel.backoff import Backoff
from sofw.tunnel.courtesy import Courtesy
from sofw.tunnel.exchange import (
    HELLO_PATH,
    SESSION_PATH,
    Hello,
    claim_body,
    hello_body,
    read_challenge,
    read_refusal,
    read_session,
)
from sofw.tunnel.frame import Frame
from sofw.tunnel.link import TUNNEL, Link, Role, TunnelListener
from sofw.tunnel.login import Login
from sofw.tunnel.proof import SessionKey, check_session, prove_claim
from sofw.tunnel.rungs import Rung

#: Between attempts to open a session. After an outage of HRAS all sites are back within a minute.
HELLO_BACKOFF = Backoff(0.5, 60.0)
#: After a refusal: a wrong secret does not become right.
REFUSED_PAUSE = Backoff(60.0, 60.0)
#: After the proxy has refused a login: accounts are locked after a few attempts in a quarter of an hour.
LOGIN_PAUSE = Backoff(600.0, 600.0)
#: Seconds between looks whether the file with the password has changed meanwhile.
LOOK_EVERY = 5.0
#: After another HRAC has taken this site's place: the two must not cut each other's calls all day.
REPLACED_PAUSE = Backoff(60.0, 3600.0)
#: Seconds for the other half to hear that this one stops.
GOODBYE_LIMIT = 0.5
#: Between attempts to open lanes: the session lives for a minute, and calls are waiting.
LANE_BACKOFF = Backoff(0.25, 5.0)


@frozen
class TunnelSettings:
    """Where HRAS is, how to get there, and who we are.

    `hras` and `proxy` are URLs (http://host:port); an empty `proxy` means straight. `proxy_password` is what
    stood in `proxy_password_file`, if that is given. A ceiling of 0 is none. `memory` is the file in which
    the rung that was found is remembered ("" for none); with `rung` none is looked for.
    """

    hras: str
    secret: bytes = field(repr=False)
    hello: Hello
    proxy: str = ""
    proxy_user: str = ""
    proxy_password: str = field(default="", repr=False)
    proxy_password_file: str = ""
    requests_per_second: float = 0.0
    memory: str = ""
    rung: Rung | None = None

    def credentials(self) -> tuple[str, str]:
        """User and password at the proxy; a file is read anew, and counts while it can be read."""
        return self.proxy_user, first_line(self.proxy_password_file) or self.proxy_password


class Refused(RemoteError):
    """Somebody answered, and said no: trying again soon is of no use."""


class LoginRefused(Refused):
    """The web proxy does not let us through."""


class Replaced(Refused):
    """Another HRAC runs as this site."""


class TunnelClient(Service):
    """The one tunnel of an HRAC. The listener knows it as TUNNEL.

    Raises LocalError for URLs that cannot be used.
    """

    log = Logger("sofw")

    def __init__(self, reactor: Any, settings: TunnelSettings, listener: TunnelListener) -> None:
        self._reactor = reactor
        self._settings = settings
        self._listener = listener
        self._login = Login(settings.credentials)
        self._courtesy = Courtesy(settings.requests_per_second)
        self._route = Route(settings.hras, settings.proxy, self._login, self._courtesy)
        # Whether the way lets a second request pass on a connection is not known yet.
        self._wire = HttpWire(reactor, self._route, persistent=False)
        self._ladder = Ladder(reactor, self._route, settings.memory, settings.rung)
        self._end: TunnelEnd | None = None
        self._lanes: ClientLanes | None = None
        self._work: Deferred[None] | None = None
        self._problem = ""
        self._site = settings.hello.site

    def startService(self) -> None:
        """Begin to open the tunnel."""
        super().startService()
        self._work = Deferred.fromCoroutine(self._run())
        self._work.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def stopService(self) -> Deferred[None]:
        """Say goodbye and close everything; the listener is not told. Fires when that is done."""
        super().stopService()
        work, self._work = self._work, None
        if work is None:
            return succeed(None)
        told = self._end is not None and self._end.say_goodbye()
        # HRAS closes the lanes when it has heard it, and then there is nothing left to do.
        limit = self._reactor.callLater(GOODBYE_LIMIT if told else 0.0, self._give_up, work)
        return work.addCallback(lambda _done: limit.cancel() if limit.active() else None)

    def send(self, frame: Frame) -> bool:
        """Send a sure frame; false without a session."""
        return self._end is not None and self._end.send(frame)

    def send_media(self, batch: bytes, packets: int) -> None:
        """Send media frames at once, or drop them when that is not possible in time."""
        if self._end is not None:
            self._end.send_media(batch, packets)

    def set_busy(self, busy: bool) -> None:
        """HRAS says that calls are up, or none any more."""
        if self._end is not None:
            self._end.set_busy(busy)

    def status(self) -> list[dict[str, object]]:
        """One entry: the tunnel, also while there is no session."""
        login = {"proxy_login": self._login.kind} if self._settings.proxy else {}
        if self._end is None:
            facts = {"site": self._site, "state": "connecting", "rung": self._ladder.name, "lanes": 0}
            return [{**facts, "problem": self._problem, **login}]
        lanes = 0 if self._lanes is None else len(self._lanes)
        return [{**self._end.status(self._ladder.name, lanes), **login}]

    async def _run(self) -> None:
        """Session after session, with pauses that grow while none of them comes up."""
        failures = 0
        while self.running:
            pause, failures = HELLO_BACKOFF, failures + 1
            try:
                if await self._carry(await self._introduce()):
                    failures = 0
            except RemoteError as error:
                pause = self._failed(error)
            except CancelledError:
                raise
            except Exception:
                # A fault of ours; without a tunnel this half is of no use, so it goes on trying.
                self.log.failure("tunnel.failed hras={hras}", hras=self._settings.hras)
            await self._pause(pause.delay(max(failures, 1), random()))

    async def _pause(self, seconds: float) -> None:
        """Wait, longer when we were asked to; a refused login waits for another one at the most."""
        now, login = self._reactor.seconds(), self._login
        end = now + max(seconds, self._courtesy.asked_to_wait(now))
        while self.running and now < end and not login.is_changed():
            await self._rest(min(end - now, LOOK_EVERY) if login.refused else end - now)
            now = self._reactor.seconds()
        if login.refused:
            login.forget()

    def _failed(self, error: RemoteError) -> Backoff:
        """Tell why there is no tunnel; returns how long to wait."""
        self._problem, hras = str(error), self._settings.hras
        if isinstance(error, Replaced):
            self.log.error("tunnel.replaced site={site} reason={reason}", site=self._site, reason=str(error))
            return REPLACED_PAUSE
        if isinstance(error, LoginRefused):
            self.log.error(
                "proxy.refused proxy={proxy} reason={reason}", proxy=self._settings.proxy, reason=str(error)
            )
            return LOGIN_PAUSE
        if isinstance(error, Refused):
            self.log.error("tunnel.refused hras={hras} reason={reason}", hras=hras, reason=str(error))
            return REFUSED_PAUSE
        self.log.warn("tunnel.failed hras={hras} reason={reason}", hras=hras, reason=str(error))
        return HELLO_BACKOFF

    async def _introduce(self) -> SessionKey:
        """Prove the secret, have HRAS prove it, and get a session; raises RemoteError."""
        settings = self._settings
        nonce = secrets.token_hex(16)
        try:
            answer = await self._ask(HELLO_PATH, hello_body(settings.hello.site, nonce))
            challenge = read_challenge(answer.body)
            proof = prove_claim(settings.secret, settings.hello, nonce, challenge)
            answer = await self._ask(SESSION_PATH, claim_body(settings.hello, nonce, challenge, proof))
            session, proof = read_session(answer.body)
        finally:
            self._wire.close()
        try:
            check_session(settings.secret, nonce, challenge, session, proof)
        except RemoteError as error:
            raise Refused(str(error)) from None
        return SessionKey(settings.secret, nonce, challenge, session)

    async def _ask(self, path: str, body: bytes) -> Answer:
        """A short request; raises Refused for a no of HRAS or proxy, RemoteError for other failures."""
        try:
            answer = await self._wire.ask(path, body)
        except CancelledError:
            raise
        except Exception as error:
            raise RemoteError(explain(error)) from None
        if answer.status == 200:
            return answer
        if answer.status == LOGIN_WANTED:
            raise LoginRefused(self._login.refused or "The web proxy does not accept its own nonce (407)")
        reason = read_refusal(answer.body)
        if reason is not None and answer.status == 403:
            raise Refused(reason)
        raise RemoteError(f"{path} was answered {answer.status} {reason or '(not by HRAS)'}")

    async def _carry(self, key: SessionKey) -> bool:
        """Keep lanes open until the session is over; whether it was up at all. Raises Refused."""
        link = Link(Role.CLIENT, self._reactor.seconds())
        end = self._end = TunnelEnd(
            self._reactor, link, TUNNEL, self._settings.hello, self._listener, self._drop_lanes
        )
        self._problem = ""
        climbing = self._ladder.start_climbing(key, end)
        try:
            await self._keep_open(link, end, key)
        finally:
            climbing.cancel()
        if self._login.refused:
            end.close(self._login.refused)
        self._end = None
        end.abandon()
        if end.replaced:
            raise Replaced("Another HRAC runs as this site, and has its tunnel now; each needs its own site")
        if self._login.refused:
            raise LoginRefused(self._login.refused)
        return link.joined > 0

    async def _keep_open(self, link: Link, end: TunnelEnd, key: SessionKey) -> None:
        """Lanes after lanes, with pauses that grow while they carry nothing."""
        number = failures = 0
        while self.running and not (end.closed or self._login.refused):
            rung = await self._ladder.settle(key)
            if self._login.refused:
                break
            number += 1
            before = link.joined
            await self._open_lanes(end, key, number, rung)
            failures = 1 if link.joined > before else failures + 1
            self._ladder.opened(link.joined > before)
            if self.running and not (end.closed or self._login.refused):
                await self._pause(LANE_BACKOFF.delay(failures, random()))

    async def _open_lanes(self, end: TunnelEnd, key: SessionKey, number: int, rung: Rung) -> None:
        """Open lanes and wait until they are lost."""
        lanes = self._lanes = ClientLanes(self._reactor, self._route, end, key, number, rung)
        end.opening_lanes()
        lanes.start()
        await lanes.done
        self._lanes = None

    def _drop_lanes(self, reason: str) -> None:
        if self._lanes is not None:
            self.log.info("tunnel.cut reason={reason}", reason=reason)
            self._lanes.close()

    def _give_up(self, work: Deferred[None]) -> None:
        """Nobody has heard the goodbye in time."""
        if self._end is not None:
            self._end.abandon()
        work.cancel()

    def _rest(self, seconds: float) -> Deferred[None]:
        return deferLater(self._reactor, seconds)


def first_line(path: str) -> str:
    """The first line of a file; "" without a path, or when it cannot be read."""
    try:
        with open(path, encoding="utf-8") as lines:
            return lines.readline().strip()
    except (OSError, ValueError):
        return ""
