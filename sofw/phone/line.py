"""The phone's connection to the network: its SIP socket, transactions and timers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred

from sofw.address import Address, Flow, Transport, bracketed
from sofw.net.sip_stream import SipStreams
from sofw.net.sip_udp import SipUdp
from sofw.net.tls import Tls
from sofw.sip.message import (
    Message,
    Request,
    Response,
    SipError,
    check_request,
    format_message,
    parse_message,
    response_to,
)
from sofw.sip.proxy import received, reply_address
from sofw.sip.timers import Timers
from sofw.sip.transaction import (
    Deliver,
    Ended,
    Key,
    Output,
    StartTimer,
    StopTimer,
    TimedOut,
    Transactions,
    Transmit,
    Unreachable,
)

LEG = "phone"

Heard = Callable[[Response], None]
Took = Callable[[Request, Key | None], None]


class Line:
    """Sends requests and responses over UDP, TCP or TLS; tells `took(request, key)` of requests coming in.

    Over TLS, which needs `tls`, nobody can connect to the phone; its server must speak for `domain`.
    The key is that of the server transaction to answer in, None for an ACK. What cannot be read is
    counted in `unreadable`.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        transport: Transport,
        took: Took,
        timers: Timers,
        tls: Tls | None = None,
        domain: str = "",
    ) -> None:
        self.host = host
        self.port = 0
        self.transport = transport
        self.timers = timers
        self.unreadable = 0
        self._reactor = reactor
        self._took = took
        self._transactions = Transactions(timers)
        self._udp = SipUdp(LEG, self._receive)
        self._streams = SipStreams(reactor, LEG, self._receive, lambda _flow: None, tls)
        self._domain = domain if tls else ""
        self._asked: dict[Key, tuple[Request, Heard]] = {}
        self._timers: dict[tuple[Key, str], Any] = {}
        self._queue: deque[tuple[Key, Output]] = deque()
        self._running = False
        self._stopped = False

    def listen(self, port: int) -> None:
        """Bind, to any port for 0; raises PortInUse. Over TLS the port is only a name."""
        if self.transport is Transport.TLS:
            self._streams.host, self.port = self.host, port or 5061
        elif self.transport is Transport.TCP:
            self._streams.listen(self.host, port)
            self.port = self._streams.port
        else:
            self._udp.listen(self._reactor, self.host, port)
            self.port = self._udp.transport.getHost().port

    def stop(self) -> Deferred[object]:
        """Forget all transactions and close the socket."""
        self._stopped = True  # it may be a transaction that led here, with more to do
        self._queue.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        used = self._streams if self.transport.reliable else self._udp
        return maybeDeferred(used.stop)

    def ask(self, request: Request, remote: Address, heard: Heard) -> tuple[Key, Request]:
        """Send a request; `heard` is told every response, 408 and 503 when there is none (§8.1.3.1)."""
        if not request.headers.get("Via"):
            request = self._with_via(request)
        key, outputs = self._transactions.start_client(request, self._flow(remote), self.transport.reliable)
        self._asked[key] = (request, heard)
        self._perform(key, outputs)
        return key, request

    def transmit(self, ack: Request, remote: Address) -> None:
        """Send the ACK of a 2xx, which has no transaction (§13.2.2.4)."""
        self._send(None, self._flow(remote), self._with_via(ack))

    def answer(self, key: Key, response: Response) -> None:
        """Send a response."""
        self._perform(key, self._transactions.respond(key, response))

    def cancelled(self, cancel: Request) -> Key | None:
        """The INVITE a CANCEL is for."""
        return self._transactions.match_cancelled(cancel)

    def _with_via(self, request: Request) -> Request:
        via = f"SIP/2.0/{self.transport.value} {bracketed(self.host)}:{self.port}"
        headers = request.headers.prepend("Via", f"{via};branch=z9hG4bK{token_hex(8)};rport")
        return evolve(request, headers=headers)

    def _flow(self, remote: Address) -> Flow:
        return Flow(LEG, self.transport, remote, self.port, self._domain)

    def _receive(self, flow: Flow, data: bytes) -> None:
        if not data.strip(b"\r\n"):
            return  # a keep-alive
        try:
            message = parse_message(data)
            if isinstance(message, Request):
                self._receive_request(flow, message)
            else:
                self._receive_matched(self._transactions.match_response(message), message)
        except SipError:
            self.unreadable += 1

    def _receive_request(self, flow: Flow, request: Request) -> None:
        check_request(request)
        key = self._transactions.match_request(request)
        if key is not None:
            self._receive_matched(key, request)
        elif request.method == "ACK":
            self._took(request, None)
        else:
            request = received(request, flow.remote)
            if not self.transport.reliable:
                flow = evolve(flow, remote=reply_address(request.via, flow.remote))
            key, outputs = self._transactions.start_server(request, flow, self.transport.reliable)
            self._perform(key, outputs)
            self._took(request, key)

    def _receive_matched(self, key: Key | None, message: Message) -> None:
        if key is not None:
            self._perform(key, self._transactions.receive(key, message))

    def _perform(self, key: Key, outputs: Iterable[Output]) -> None:
        """What a transaction wants done, in order; what follows from it comes after it."""
        self._queue.extend((key, output) for output in outputs)
        if self._running or self._stopped:
            return
        self._running = True
        try:
            while self._queue:
                self._do(*self._queue.popleft())
        finally:
            self._running = False

    def _do(self, key: Key, output: Output) -> None:
        match output:
            case Transmit(flow, message):
                self._send(key, flow, message)
            case StartTimer(_, name, seconds):
                self._stop_timer(key, name)
                self._timers[key, name] = self._reactor.callLater(seconds, self._fire, key, name)
            case StopTimer(_, name):
                self._stop_timer(key, name)
            case Deliver(_, Response() as response):
                if key in self._asked:
                    self._asked[key][1](response)
            case TimedOut() | Unreachable():
                self._give_up(key, 408 if isinstance(output, TimedOut) else 503)
            case Ended():
                self._asked.pop(key, None)

    def _give_up(self, key: Key, status: int) -> None:
        request, heard = self._asked.pop(key, (None, None))
        if request is not None and heard is not None:
            heard(response_to(request, status))

    def _fire(self, key: Key, name: str) -> None:
        del self._timers[key, name]
        self._perform(key, self._transactions.timer(key, name))

    def _stop_timer(self, key: Key, name: str) -> None:
        timer = self._timers.pop((key, name), None)
        if timer is not None:
            timer.cancel()

    def _send(self, key: Key | None, flow: Flow, message: Message) -> None:
        data = format_message(message)
        if flow.transport.reliable:
            self._streams.send(flow.remote, data, lambda: self._failed(key), flow.domain)
        elif not self._udp.send(flow.remote, data):
            self._failed(key)

    def _failed(self, key: Key | None) -> None:
        if key is not None:
            self._perform(key, self._transactions.send_failed(key))


class Repeat:
    """Says something again and again, ever more slowly, until it is acknowledged (§13.3.1.4, RFC 3262 §3)."""

    def __init__(
        self, reactor: Any, timers: Timers, say: Callable[[], None], silence: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._timers = timers
        self._say = say
        self._silence = silence
        self._interval = timers.t1
        self._passed = 0.0
        self._timer: Any = None
        self._again()

    def stop(self) -> None:
        """It was acknowledged."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _again(self) -> None:
        if self._passed >= 64 * self._timers.t1:
            self._silence()
            return
        self._say()
        self._timer = self._reactor.callLater(self._interval, self._again)
        self._passed += self._interval
        self._interval = min(2 * self._interval, self._timers.t2)
