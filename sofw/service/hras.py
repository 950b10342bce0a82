"""HRAS, the outside half: the whole object graph in one block."""

from __future__ import annotations

import secrets
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from sofw.address import OUTSIDE, Flow, bracketed
from sofw.admin.commands import Running, hras_commands
from sofw.admin.control import ControlSocket
from sofw.errors import PortInUse, RemoteError
from sofw.flow.actions import SaveBindings
from sofw.flow.admission import Admission, Domains
from sofw.flow.calls import Calls, MediaLeg
from sofw.flow.carry import closed_flow, is_sip, read_control, sip_flow
from sofw.flow.media import MediaRelay
from sofw.flow.signalling import Signalling, Site
from sofw.net.perform import Performer
from sofw.net.rtp_udp import MediaSockets, allow_descriptors
from sofw.net.tls import Tls
from sofw.net.tunnel_server import TunnelServer
from sofw.net.visitors import Visitors
from sofw.rtp.ports import PortPairs
from sofw.rtp.table import Table
from sofw.service.config import HrasConfig, load_hras
from sofw.service.garbage import spare_pauses
from sofw.service.hangup import mind_hangup
from sofw.service.options import HrasOptions as Options
from sofw.service.options import one_line_errors
from sofw.service.sip import listen, refused, sip_sockets
from sofw.service.switch import Switch
from sofw.sip.digest import Challenger
from sofw.sip.proxy import Interface
from sofw.sip.registrar import Limits, Registrar
from sofw.sip.session_timer import SessionTimer
from sofw.sip.token import Sealer
from sofw.store.sqlite import Store
from sofw.tunnel.frame import Frame
from sofw.tunnel.link import Hello

__all__ = ["Hras", "Options", "makeService"]


def makeService(options: Options) -> IService:
    """What `twistd sofw-hras` runs."""
    from twisted.internet import reactor  # noqa: PLC0415  the one place that chooses it

    with one_line_errors("sofw-hras"):
        service = Hras(reactor, options.config)
    mind_hangup(reactor, "hras", lambda: load_hras(options["config"]), renew=service.renew)
    spare_pauses(reactor, lambda: bool(service.calls()))
    return service


class Hras(Service):
    """The outside half: proxy, registrar, RAT, relay ports, and the near end of every tunnel."""

    log = Logger("sofw")

    def __init__(self, reactor: Any, config: HrasConfig) -> None:
        """Build everything; nothing listens before the service is started."""
        self._reactor = reactor
        self._config = config
        sip, media = config.sip, config.media
        store = self._store = Store(config.state.database)
        table = Table()
        calls = Calls(
            table,
            MediaLeg(media.address, PortPairs(media.first_port, media.last_port)),
            config.silence.silence,
            config.silence.held_silence,
        )
        registrar = Registrar(_limits(config), store.bindings())
        admission = Admission(Domains(config.domains), self._ha1, _challenger(store, config))
        self._core = Signalling(
            Interface(OUTSIDE, sip.address, sip.port, sip.secure_port),
            registrar,
            admission,
            calls,
            Sealer(store.key("token")),
            loop_key=store.key("loop"),
            fresh=lambda: secrets.token_hex(8),
            site_domains=self._site_domains,
            routes=config.routes,
            follow_redirects=config.call.follow_redirects,
            session=SessionTimer(config.call.session_expires, config.call.min_session_expires),
        )
        self._relay = MediaRelay(table, reactor.seconds)
        self._tunnels = TunnelServer(reactor, self._site_secret, self)
        self._visitors = Visitors(config.http.max_connections, config.http.max_per_source)
        self._media = MediaSockets(reactor, media.listen, self._relay, self._tunnels.send_media, media.tick)
        self._tls = Tls(config.tls) if config.tls else None
        self._sip = sip_sockets(reactor, OUTSIDE, config.sip, self._tls, self.received, self.flow_closed)
        self._performer = Performer(
            reactor, OUTSIDE, self._sip, self._media, self._tunnels, self._core, self._save
        )
        running = Running(
            self.status, self.calls, self.registrations, self.rat, self.user_removed, self.site_removed
        )
        self._switch = Switch(config.state.switch("hras"), self._switched, reactor.seconds)
        self._tunnels.accepting = not self._switch.is_off
        commands = hras_commands(store, config.domains, _url(config), running, reactor.seconds, self._switch)
        self._control = ControlSocket(reactor, config.control.socket, config.control.group, commands)
        self._since = reactor.seconds()
        self._http: Any = None

    def privilegedStartService(self) -> None:
        """Bind every port; one that is taken is named, and ends the program."""
        allow_descriptors()
        with one_line_errors("sofw-hras"):
            self._control.startService()
            listen(self._reactor, self._sip, self._config.sip)
            self._http = self._listen_http()

    def startService(self) -> None:
        """Begin."""
        super().startService()
        self._performer.perform(self._core.start())
        sip, http = self._config.sip, self._config.http
        self.log.info(
            "hras.started sip={sip} http={http} domains={domains}",
            sip=f"{sip.listen}:{sip.port}",
            http=f"{http.address}:{http.port}",
            domains=",".join(self._config.domains),
        )

    def stopService(self) -> Any:
        """End: timers, sockets, tunnels, store."""
        super().stopService()
        self._performer.stop()
        self._media.stop()
        parts = [
            self._control.stopService,
            self._tunnels.stop,
            *(socket.stop for socket in self._sip.values()),
        ]
        if self._http is not None:
            parts.append(self._http.stopListening)
        done = DeferredList([maybeDeferred(part) for part in parts])
        return done.addCallback(lambda _results: self._store.close())

    def renew(self) -> None:
        """Take renewed certificates into use. Raises TlsError and goes on with the old ones."""
        if self._tls is not None:
            self._tls.load()

    def received(self, flow: Flow, data: bytes) -> None:
        """SIP came in, from outside or through a tunnel."""
        self._performer.perform(self._core.received(flow, data, self._reactor.seconds()))

    def flow_closed(self, flow: Flow) -> None:
        """A SIP connection closed."""
        self._performer.perform(self._core.flow_closed(flow, self._reactor.seconds()))

    def tunnel_up(self, leg: str, hello: Hello, resumed: bool) -> None:
        """Tunnel: a site is there."""
        if resumed:
            return
        interface = Interface(leg, hello.address.host, hello.address.port, hello.tls_port)
        site = Site(interface, MediaLeg(hello.media_host, PortPairs(hello.first_port, hello.last_port)))
        self._performer.perform(self._core.site_up(leg, site))

    def tunnel_down(self, leg: str) -> None:
        """Tunnel: a site's session is over; its calls wait for the silence limit or its return."""

    def frame(self, leg: str, frame: Frame) -> None:
        """Tunnel: a frame other than media; a bad one is counted and disturbs nothing."""
        try:
            if is_sip(frame):
                self.received(sip_flow(leg, frame), frame.data)
            else:
                self._report(leg, read_control(frame))
        except RemoteError:
            self._core.counts["bad frames"] += 1

    def media(self, leg: str, head: bytes, relay_port: int, payload: bytes) -> None:
        """Tunnel: a media frame."""
        self._relay.media(leg, head, relay_port, payload)

    def media_end(self, leg: str) -> None:
        """Tunnel: that was a turn's media."""
        self._media.flush()

    def status(self) -> dict[str, object]:
        """For `sofw status`."""
        return {
            "half": "hras",
            **self._switch.status(),
            "uptime": round(self._reactor.seconds() - self._since),
            "domains": list(self._config.domains),
            "registrations": len(self.registrations()),
            **self._core.status(),
            **refused(self._sip),
            "media": {**self._media.status(), "strays": self._relay.strays, "unaimed": self._relay.unaimed},
            "web": self._visitors.status(),
            "tunnels": self._tunnels.status(),
        }

    def calls(self) -> list[dict[str, object]]:
        """For `sofw calls`."""
        now = self._reactor.seconds()
        return [call.describe(now) for call in self._core.calls.all()]

    def registrations(self) -> list[dict[str, object]]:
        """For `sofw registrations`."""
        now = self._reactor.seconds()
        return [
            {
                "aor": aor,
                "contact": binding.contact,
                "leg": binding.flow.leg,
                "transport": binding.flow.transport.value,
                "from": str(binding.flow.remote),
                "expires": round(binding.expires - now),
                "user_agent": binding.user_agent,
            }
            for aor, binding in self._core.registrar.all(now)
        ]

    def rat(self) -> list[dict[str, object]]:
        """For `sofw rat`."""
        return [row.as_dict() for row in self._core.calls.table.rows()]

    def user_removed(self, aor: str) -> None:
        """A user was deleted: its phones are forgotten."""
        self._core.registrar.forget(aor)

    def site_removed(self, site: str) -> None:
        """A site was deleted: its tunnel and its calls end."""
        self._performer.perform(self._core.site_gone(site, self._reactor.seconds()))
        self._tunnels.drop(site)

    def _listen_http(self) -> Any:
        http = self._config.http
        try:
            site = self._tunnels.site(self._visitors)
            return self._reactor.listenTCP(http.port, site, interface=http.address)
        except CannotListenError as error:
            raise PortInUse("tcp", http.address, http.port, str(error.socketError)) from None

    def _report(self, leg: str, order: dict[str, object]) -> None:
        if order["op"] == "closed":
            self.flow_closed(closed_flow(leg, order))
        elif order["op"] == "off":
            self._end_calls(leg)
        else:
            self._core.counts["unknown reports"] += 1

    def _end_calls(self, leg: str) -> None:
        now = self._reactor.seconds()
        self._performer.perform(self._core.calls.site_gone(leg, now, "switched off"))

    def _switched(self, off: bool) -> None:
        self._tunnels.accepting = not off
        if off:
            calls = self._core.calls.all()
            for leg in {each for call in calls for each in (call.caller.leg, call.callee.leg)} - {OUTSIDE}:
                self._end_calls(leg)
            self._tunnels.stop()

    def _save(self, action: SaveBindings) -> None:
        self._store.save_bindings(action.aor, action.bindings)

    def _ha1(self, user: str, domain: str, algorithm: str) -> str | None:
        found = self._store.user(user, domain)
        if found is None:
            return None
        return found.ha1_md5 if algorithm == "MD5" else found.ha1_sha256

    def _site_secret(self, site: str) -> bytes | None:
        found = self._store.site(site)
        return found.secret if found else None

    def _site_domains(self, leg: str) -> tuple[str, ...]:
        found = self._store.site(leg)
        return found.domains if found else ()


def _challenger(store: Store, config: HrasConfig) -> Challenger:
    registrar = config.registrar
    return Challenger(store.key("nonce"), algorithms=registrar.digests, md5_agents=registrar.md5_agents)


def _limits(config: HrasConfig) -> Limits:
    registrar = config.registrar
    return Limits(
        registrar.default_expires, registrar.min_expires, registrar.max_expires, registrar.max_contacts
    )


def _url(config: HrasConfig) -> str:
    """HRAS's web address, as a site would write it."""
    port = "" if config.http.port == 80 else f":{config.http.port}"
    return f"http://{bracketed(config.sip.address)}{port}/"
