"""The phone: it registers, calls, answers, speaks from a recording and records what it hears.

It knows UDP, TCP and TLS, one audio
codec (G.711 µ-law), digest authentication (MD5 and SHA-256), PRACK, UPDATE, hold, early media, offers
with the answer, and dialogs through proxies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults

from sofw.address import Address, Transport, bracketed, is_ip
from sofw.net.tls import Tls, TlsFiles
from sofw.phone.agent import Asked
from sofw.phone.call import Call
from sofw.phone.dialog import new_call_id, new_request, new_tag
from sofw.phone.line import Heard, Line
from sofw.phone.replies import ALLOW
from sofw.phone.states import Input
from sofw.sip.digest import answer
from sofw.sip.fields import parse_auth
from sofw.sip.message import Request, Response, SipError, response_to
from sofw.sip.proxy import destination, next_hop
from sofw.sip.timers import Timers
from sofw.sip.transaction import Key

#: Challenge and credentials of the registrar or callee, and of a proxy (§22.2, §22.3).
_CHALLENGES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


class Phone:
    """A phone at one address.

    With a `registrar` everything outside a dialog goes there, as to an outbound proxy; without one the
    phone calls addresses directly. `answering` says what happens to an incoming call: "auto" answers,
    "ring" rings until `answer()`, "reject" refuses with 486, "early" sends 183 with media and waits.
    `events` lists (name, detail) of everything that happened; `expect` waits for one.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int = 0,
        transport: Transport = Transport.UDP,
        registrar: Address | None = None,
        user: str = "phone",
        domain: str = "",
        password: str = "",
        *,
        answering: str = "auto",
        reliable: bool = False,
        speech: Sequence[int] = (),
        repeats: bool = False,
        algorithms: Sequence[str] = ("SHA-256", "MD5"),
        timers: Timers | None = None,
        ca_file: str = "",
    ) -> None:
        """Bind at once; raises PortInUse, and TlsError for a `ca_file` that cannot be used.

        `reliable` asks for PRACK when ringing or early; `ca_file` says whom to believe over TLS.
        """
        self.reactor = reactor
        self.user = user
        self.domain = domain or bracketed(host)
        self.answering = answering
        self.reliable = reliable
        self.speech = speech
        self.repeats = repeats
        self.calls: list[Call] = []
        self.events: list[tuple[str, str]] = []
        self.on_call: Callable[[Call], None] = lambda _call: None
        self.on_event: Callable[[str, str], None] = lambda _name, _detail: None
        self._registrar = registrar
        self._password = password
        self._algorithms = algorithms
        self._closing: list[Deferred[Any]] = []
        self._read = 0
        self._expected: list[tuple[str, Deferred[str]]] = []
        self._registration = (new_call_id(host), new_tag(), count(1))
        tls = Tls(TlsFiles(ca_file=ca_file)) if transport is Transport.TLS else None
        self.line = Line(reactor, host, transport, self._take, timers or Timers(), tls, self.domain)
        self.line.listen(port)

    @property
    def contact(self) -> str:
        """Our Contact."""
        name = self.line.transport.value.lower()
        transport = f";transport={name}" if self.line.transport.reliable else ""
        return f"<sip:{self.user}@{bracketed(self.line.host)}:{self.line.port}{transport}>"

    @property
    def sender(self) -> str:
        """Our address of record, as From without a tag."""
        return f"<sip:{self.user}@{self.domain}>"

    def register(self, expires: int = 300) -> Deferred[Response]:
        """Register for so many seconds, 0 to take leave; fires with the final response."""
        call_id, tag, numbers = self._registration
        done: Deferred[Response] = Deferred()

        def heard(response: Response) -> None:
            if response.status >= 200:
                self.tell("registered" if response.status < 300 else "not registered", str(response.status))
                done.callback(response)

        uri, me = f"sip:{self.domain}", self.sender
        request = new_request("REGISTER", uri, f"{me};tag={tag}", me, call_id, next(numbers))
        headers = request.headers.append("Contact", self.contact).append("Expires", str(expires))
        self.send(evolve(request, headers=headers), numbers, heard)
        return done

    def call(self, uri: str, *, delayed_offer: bool = False, reliable: bool = False) -> Call:
        """Call a SIP URI; `reliable` insists on PRACK."""
        call = self._open(new_call_id(self.line.host))
        call.begin(uri, delayed_offer, reliable)
        return call

    def say(self, uri: str, text: str) -> Deferred[Response]:
        """Send a MESSAGE (RFC 3428); fires with the final response."""
        numbers = count(1)
        done: Deferred[Response] = Deferred()
        sender = f"{self.sender};tag={new_tag()}"
        request = new_request(
            "MESSAGE", uri, sender, f"<{uri}>", new_call_id(self.line.host), next(numbers), text.encode()
        )
        headers = request.headers.replace("Content-Type", "text/plain;charset=utf-8")
        self.send(
            evolve(request, headers=headers),
            numbers,
            lambda response: done.callback(response) if response.status >= 200 else None,
        )
        return done

    def expect(self, name: str) -> Deferred[str]:
        """The detail of the next event of that name that no `expect` has fired with or passed over."""
        for index in range(self._read, len(self.events)):
            if self.events[index][0] == name:
                self._read = index + 1
                done: Deferred[str] = Deferred()
                done.callback(self.events[index][1])
                return done
        waiting: Deferred[str] = Deferred()
        self._expected.append((name, waiting))
        return waiting

    def stop(self) -> Deferred[Any]:
        """End all calls without ceremony and close the sockets."""
        for call in list(self.calls):
            call.finish(None)
        return gatherResults([self.line.stop(), *self._closing])

    # What calls ask of their phone

    def send(self, request: Request, numbers: Iterator[int], heard: Heard) -> Asked:
        """Send a request, answering challenges; `heard` is told the other responses."""
        asked = Asked(request)

        def listen(response: Response) -> None:
            again = self._with_credentials(asked, numbers, response)
            if again is None:
                heard(response)
            else:
                self._send(asked, again, listen)

        self._send(asked, request, listen)
        return asked

    def acknowledge(self, ack: Request) -> None:
        """Send the ACK of a 2xx."""
        remote = self._remote(ack)
        if remote is not None:
            self.line.transmit(ack, remote)

    def tell(self, event: str, detail: str) -> None:
        """Something happened."""
        self.events.append((event, detail))
        self.on_event(event, detail)
        for index, (name, waiting) in enumerate(self._expected):
            if name == event:
                del self._expected[index]
                self._read = len(self.events)
                waiting.callback(detail)
                return

    # Within

    def _open(self, call_id: str) -> Call:
        call = Call(self, call_id, new_tag())
        self.calls.append(call)
        call.over.addCallback(self._close, call)
        return call

    def _close(self, reason: str, call: Call) -> str:
        self.calls.remove(call)
        self._closing.append(call.media.stop())
        return reason

    def _send(self, asked: Asked, request: Request, listen: Heard) -> None:
        asked.request = request
        remote = self._remote(request)
        if remote is None:
            listen(response_to(request, 503, "No way to this address"))
            return
        _key, asked.request = self.line.ask(request, remote, listen)

    def _remote(self, request: Request) -> Address | None:
        """The next hop: by Route or Request-URI, outside a dialog the registrar (§8.1.2)."""
        if self._registrar is not None and not (request.headers.get("Route") or request.to.tag):
            return self._registrar
        try:
            hop = Address(*destination(next_hop(request)))
        except SipError:
            return self._registrar
        return hop if is_ip(hop.host) else self._registrar

    def _with_credentials(self, asked: Asked, numbers: Iterator[int], response: Response) -> Request | None:
        """The request again, with credentials for a challenge it has not seen yet (§22.2)."""
        challenge, credentials = _CHALLENGES.get(response.status, ("", ""))
        request = asked.request
        for value in response.headers.all(challenge) if self._password and challenge else ():
            scheme, given = parse_auth(value)
            known = given.get("algorithm", "MD5").upper() in self._algorithms
            nonce = given.get("nonce", "")
            if scheme.lower() == "digest" and known and nonce not in asked.nonces and len(asked.nonces) < 3:
                asked.nonces.add(nonce)
                proof = answer(value, self.user, self._password, request.method, request.uri, request.body)
                number = f"{next(numbers)} {request.method}"
                headers = request.headers.remove_first("Via").replace("CSeq", number)
                return evolve(request, headers=headers.replace(credentials, proof))
        return None

    def _take(self, request: Request, key: Key | None) -> None:
        call = self._find(request)
        if key is None:
            if call is not None:
                call.take_ack(request)
        elif request.method == "CANCEL":
            self._take_cancel(request, key)
        elif request.to.tag:
            if call is None:
                self.line.answer(key, response_to(request, 481))
            else:
                call.take(request, key)
        else:
            self._take_new(request, key)

    def _take_new(self, request: Request, key: Key) -> None:
        if request.method == "INVITE":
            self._take_call(request, key)
        elif request.method in ("OPTIONS", "MESSAGE"):
            self.line.answer(key, response_to(request, 200, headers=(("Allow", ALLOW),)))
            self.tell(request.method, request.body.decode("utf-8", "replace"))
        else:
            self.line.answer(key, response_to(request, 405, headers=(("Allow", ALLOW),)))

    def _take_call(self, request: Request, key: Key) -> None:
        call = self._open(request.call_id)
        call.ringing(request, key)
        self.tell("ringing", call.remote)
        self.on_call(call)
        if self.answering == "reject":
            call.reject(486)
        elif self.answering == "early":
            call.ring(183, self.reliable, media=True)
        elif self.answering == "ring":
            call.ring(180, self.reliable)
        else:
            call.answer()

    def _take_cancel(self, request: Request, key: Key) -> None:
        cancelled = self.line.cancelled(request)
        call = next(
            (call for call in self.calls if cancelled is not None and call.is_asked_in(cancelled)), None
        )
        self.line.answer(key, response_to(request, 200 if call else 481))
        if call is not None:
            call.step(Input.CANCEL, request)

    def _find(self, request: Request) -> Call | None:
        names = (request.call_id, request.to.tag)
        return next((call for call in self.calls if (call.call_id, call.tag) == names), None)
