"""Runs the actions of the core, in order, and owns every timer.

An action may lead to new ones at once (a send that fails): they wait until the current list is done,
so that the core is never entered twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from secrets import randbelow
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from sofw.address import Transport
from sofw.errors import LocalError, PortInUse
from sofw.flow.actions import (
    Action,
    Busy,
    ClosePorts,
    Key,
    Note,
    OpenPorts,
    Resolve,
    SaveBindings,
    SendFrame,
    SendSip,
    StartTimer,
    StopTimer,
)
from sofw.flow.carry import control_frame, ports_frame, sip_frame
from sofw.net.dns import Dns
from sofw.net.sip_stream import SipStreams
from sofw.net.sip_udp import SipUdp
from sofw.sip.locate import Destination, Kind, Locate
from sofw.tunnel.frame import Frame


class Core(Protocol):
    """What the edge tells the core; each answers with actions."""

    def timer(self, key: Key, now: float) -> list[Action]: ...

    def failed(self, key: Any, now: float) -> list[Action]: ...

    def resolved(self, key: Key, destinations: tuple[Destination, ...], now: float) -> list[Action]: ...


class Media(Protocol):
    """The relay ports of this half."""

    def open(self, port: int) -> None: ...

    def close(self, port: int) -> None: ...


class Tunnels(Protocol):
    """The tunnels of this half, by leg; `send` tells whether there is a session to send in."""

    def send(self, leg: str, frame: Frame) -> bool: ...

    def set_busy(self, leg: str, busy: bool) -> None: ...


class Performer:
    """Performs actions with the sockets, tunnels and store of one half."""

    def __init__(
        self,
        reactor: Any,
        leg: str,
        sip: dict[Transport, SipUdp | SipStreams],
        media: Media,
        tunnels: Tunnels,
        core: Core | None = None,
        save: Callable[[SaveBindings], None] = lambda _action: None,
        log: Logger = Logger("sofw"),  # noqa: B008
        dns: Dns | None = None,
    ) -> None:
        self._clock: IReactorTime = reactor
        self._dns = dns or Dns(reactor)
        self._leg = leg
        self._sip = sip
        self._media = media
        self._tunnels = tunnels
        self._core = core
        self._save = save
        self._log = log
        self._timers: dict[Key, Any] = {}
        self._queue: deque[Action] = deque()
        self._running = False
        self._verbs: dict[type, Callable[[Any], object]] = {
            SendSip: self._send_sip,
            SendFrame: lambda action: self._tunnels.send(action.leg, action.frame),
            StartTimer: self._start_timer,
            StopTimer: self._stop_timer,
            OpenPorts: self._open_ports,
            ClosePorts: self._close_ports,
            Resolve: self._resolve,
            SaveBindings: self._save,
            Busy: self._set_busy,
            Note: self._note,
        }

    def perform(self, actions: Iterable[Action]) -> None:
        """Perform all of them, in order, after those already under way."""
        self._queue.extend(actions)
        if self._running:
            return
        self._running = True
        try:
            while self._queue:
                action = self._queue.popleft()
                self._verbs[type(action)](action)
        finally:
            self._running = False

    def stop(self) -> None:
        """Forget every timer and every name."""
        self._dns.stop()
        for call in self._timers.values():
            call.cancel()
        self._timers.clear()

    def _send_sip(self, action: SendSip) -> None:
        flow = action.flow
        if flow.leg != self._leg:
            self._send_through(action)
            return
        socket = self._sip.get(flow.transport)
        if isinstance(socket, SipStreams):
            socket.send(flow.remote, action.data, lambda: self._failed(action), flow.domain)
        elif socket is None or not socket.send(flow.remote, action.data):
            self._failed(action)

    def _send_through(self, action: SendSip) -> None:
        try:
            sent = self._tunnels.send(action.flow.leg, sip_frame(action.flow, action.data))
        except LocalError:  # our own headers made it longer than a frame
            sent = False
        if not sent:
            self._failed(action)

    def _failed(self, action: SendSip) -> None:
        self._log.info("sip.unreachable flow={flow}", flow=action.flow)
        if self._core is not None and action.failed_key is not None:
            self.perform(self._core.failed(action.failed_key, self._clock.seconds()))

    def _start_timer(self, action: StartTimer) -> None:
        self._stop_timer(StopTimer(action.key))
        self._timers[action.key] = self._clock.callLater(action.seconds, self._fire, action.key)

    def _stop_timer(self, action: StopTimer) -> None:
        call = self._timers.pop(action.key, None)
        if call is not None:
            call.cancel()

    def _fire(self, key: Key) -> None:
        del self._timers[key]
        if self._core is not None:
            self.perform(self._core.timer(key, self._clock.seconds()))

    def _open_ports(self, action: OpenPorts) -> None:
        if action.leg != self._leg:
            self._tunnels.send(action.leg, ports_frame("open", action.ports))
            return
        for port in action.ports:
            try:
                self._media.open(port)
            except PortInUse as error:
                self._log.error("media.port_in_use {problem}", problem=str(error))

    def _close_ports(self, action: ClosePorts) -> None:
        if action.leg != self._leg:
            self._tunnels.send(action.leg, ports_frame("close", action.ports))
            return
        for port in action.ports:
            self._media.close(port)

    def _resolve(self, action: Resolve) -> None:
        core = self._core
        if core is None:
            return

        def located(destinations: tuple[Destination, ...]) -> None:
            self.perform(core.resolved(action.key, destinations, self._clock.seconds()))

        families = (Kind.AAAA,) if action.ipv6 else (Kind.A,)
        search = Locate(action.place, tuple(self._sip), families, lambda most: randbelow(most + 1))
        self._dns.locate(search, located)

    def _set_busy(self, action: Busy) -> None:
        """A busy tunnel is watched more closely, by both halves."""
        self._tunnels.set_busy(action.leg, action.busy)
        if self._core is not None:
            self._tunnels.send(action.leg, control_frame("busy", busy=action.busy))

    def _note(self, action: Note) -> None:
        pairs = " ".join(f"{name}={{{name}}}" for name, _value in action.fields)
        self._log.info(f"{action.event} {pairs}", **dict(action.fields))
