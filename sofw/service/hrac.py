"""HRAC, the inside half: the whole object graph in one block."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.logger import Logger

from sofw.address import Address, Flow
from sofw.admin.commands import hrac_commands
from sofw.admin.control import ControlSocket
from sofw.flow.carry import control_frame
from sofw.flow.gateway import INSIDE, Gateway
from sofw.flow.media import PortRelay
from sofw.net.perform import Performer
from sofw.net.rtp_udp import MediaSockets, allow_descriptors
from sofw.net.tls import Tls
from sofw.net.tunnel_client import TunnelClient, TunnelSettings
from sofw.service.config import HracConfig, load_hrac
from sofw.service.garbage import spare_pauses
from sofw.service.hangup import mind_hangup
from sofw.service.options import HracOptions as Options
from sofw.service.options import one_line_errors
from sofw.service.sip import listen, refused, sip_sockets
from sofw.service.switch import Switch
from sofw.tunnel.exchange import ceiling_capability, tls_capability
from sofw.tunnel.frame import Frame
from sofw.tunnel.link import Hello

__all__ = ["Hrac", "Options", "makeService"]


def makeService(options: Options) -> IService:
    """What `twistd sofw-hrac` runs."""
    from twisted.internet import reactor  # noqa: PLC0415  the one place that chooses it

    with one_line_errors("sofw-hrac"):
        service = Hrac(reactor, options.config)
    mind_hangup(reactor, "hrac", lambda: load_hrac(options["config"]), renew=service.renew)
    spare_pauses(reactor, lambda: bool(service.status()["open_ports"]))
    return service


class Hrac(Service):
    """The inside half: the phones' SIP server, relay ports, and the far end of one tunnel."""

    log = Logger("sofw")

    def __init__(self, reactor: Any, config: HracConfig) -> None:
        """Build everything; nothing listens or connects before the service is started."""
        self._reactor = reactor
        self._config = config
        self._core = Gateway()
        self._relay = PortRelay()
        self._tunnel = TunnelClient(reactor, _tunnel_settings(config), self)
        media = config.media
        self._media = MediaSockets(reactor, media.listen, self._relay, self._send_media, media.tick)
        self._tls = Tls(config.tls) if config.tls else None
        self._sip = sip_sockets(reactor, INSIDE, config.sip, self._tls, self.received, self.flow_closed)
        self._performer = Performer(reactor, INSIDE, self._sip, self._media, self)
        self._switch = Switch(config.state.switch("hrac"), self._switched, reactor.seconds)
        commands = hrac_commands(self.status, self._switch)
        self._control = ControlSocket(reactor, config.control.socket, config.control.group, commands)
        self._since = reactor.seconds()

    def privilegedStartService(self) -> None:
        """Bind every port; one that is taken is named, and ends the program."""
        allow_descriptors()
        with one_line_errors("sofw-hrac"):
            self._control.startService()
            listen(self._reactor, self._sip, self._config.sip)

    def startService(self) -> None:
        """Begin: open the tunnel."""
        super().startService()
        sip = self._config.sip
        self.log.info(
            "hrac.started site={site} sip={sip} hras={hras} proxy={proxy}",
            site=self._config.site,
            sip=f"{sip.listen}:{sip.port}",
            hras=self._config.hras,
            proxy=self._config.proxy.url if self._config.proxy else "none",
        )
        if not self._switch.is_off:
            self._tunnel.startService()

    def stopService(self) -> Any:
        """End: tunnel, timers, sockets."""
        super().stopService()
        self._performer.stop()
        self._media.stop()
        parts = [self._tunnel.stopService, self._control.stopService]
        return DeferredList([maybeDeferred(part) for part in [*parts, *(s.stop for s in self._sip.values())]])

    def renew(self) -> None:
        """Take renewed certificates into use. Raises TlsError and goes on with the old ones."""
        if self._tls is not None:
            self._tls.load()

    def received(self, flow: Flow, data: bytes) -> None:
        """A phone sent SIP."""
        self._performer.perform(self._core.received(flow, data))

    def flow_closed(self, flow: Flow) -> None:
        """A phone's connection closed."""
        self._performer.perform(self._core.flow_closed(flow))

    def send(self, leg: str, frame: Frame) -> bool:
        """Performer: a frame for HRAS; there is but one tunnel here."""
        return self._tunnel.send(frame)

    def set_busy(self, leg: str, busy: bool) -> None:
        """Performer: HRAS says that calls are up, or that there are none any more."""
        self._tunnel.set_busy(busy)

    def tunnel_up(self, leg: str, hello: Hello, resumed: bool) -> None:
        """Tunnel: it stands."""
        self._performer.perform(self._core.tunnel_up(resumed))

    def tunnel_down(self, leg: str) -> None:
        """Tunnel: the session is over."""
        self._performer.perform(self._core.tunnel_down())

    def frame(self, leg: str, frame: Frame) -> None:
        """Tunnel: a frame other than media."""
        self._performer.perform(self._core.frame(frame))

    def media(self, leg: str, head: bytes, relay_port: int, payload: bytes) -> None:
        """Tunnel: a media frame."""
        self._relay.media(leg, head, relay_port, payload)

    def media_end(self, leg: str) -> None:
        """Tunnel: that was a turn's media."""
        self._media.flush()

    def status(self) -> dict[str, object]:
        """For `sofw status`."""
        return {
            "half": "hrac",
            **self._switch.status(),
            "site": self._config.site,
            "uptime": round(self._reactor.seconds() - self._since),
            "open_ports": len(self._core.open_ports),
            "dropped": dict(self._core.counts),
            **refused(self._sip),
            "media": {**self._media.status(), "strays": self._relay.strays},
            "tunnels": self._tunnel.status(),
        }

    def _switched(self, off: bool) -> None:
        if off:
            # HRAS ends the calls that were ours; without the word it would wait for our return.
            self._tunnel.send(control_frame("off"))
            self._tunnel.stopService()
            self._performer.perform(self._core.tunnel_down())
        else:
            self._tunnel = TunnelClient(self._reactor, _tunnel_settings(self._config), self)
            self._tunnel.startService()

    def _send_media(self, leg: str, batch: bytes, packets: int) -> None:
        self._tunnel.send_media(batch, packets)


def _tunnel_settings(config: HracConfig) -> TunnelSettings:
    media, proxy, limits = config.media, config.proxy, config.limits
    secure_port, ceiling = config.sip.secure_port, limits.bytes_per_second
    hello = Hello(
        site=config.site,
        address=Address(config.sip.address, config.sip.port),
        first_port=media.first_port,
        last_port=media.last_port,
        media_host=media.address,
        capabilities=(
            *((tls_capability(secure_port),) if secure_port else ()),
            *((ceiling_capability(ceiling),) if ceiling else ()),
        ),
    )
    return TunnelSettings(
        hras=config.hras,
        secret=config.secret,
        hello=hello,
        proxy=proxy.url if proxy else "",
        proxy_user=proxy.user if proxy else "",
        proxy_password=proxy.password if proxy else "",
        proxy_password_file=proxy.password_file if proxy else "",
        requests_per_second=limits.requests_per_second,
        memory=config.state.rungs,
    )
