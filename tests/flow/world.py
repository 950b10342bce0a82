"""A Signalling with two sites and an outside, users, and short ways to say SIP."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.actions import Action, SendSip, StartTimer, StopTimer
from sofw.flow.admission import Admission, Domains
from sofw.flow.calls import Calls, MediaLeg
from sofw.flow.signalling import Signalling, Site
from sofw.rtp.ports import PortPairs
from sofw.rtp.table import Table
from sofw.sip.digest import Challenger, answer, ha1
from sofw.sip.message import Message, Request, Response, parse_message
from sofw.sip.proxy import Interface
from sofw.sip.registrar import Limits, Registrar
from sofw.sip.token import Sealer

HRAS = "203.0.113.10"
HRAC = "192.168.1.2"
ALICE = Flow("tokyo", Transport.UDP, Address("192.168.1.10", 5060), 5060)
CAROL = Flow("tokyo", Transport.UDP, Address("192.168.1.11", 5060), 5060)
DAVE = Flow("osaka", Transport.UDP, Address("192.168.1.10", 5060), 5060)
BOB = Flow(OUTSIDE, Transport.UDP, Address("203.0.113.20", 5060), 5060)
USERS = {"alice": ALICE, "bob": BOB, "carol": CAROL, "dave": DAVE}
SDP = (
    "v=0\r\no={user} 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
)


def sdp(flow: Flow, port: int = 4000, user: str = "x", extra: str = "") -> bytes:
    """An audio offer or answer of the terminal at that flow."""
    return (SDP.format(user=user, host=flow.remote.host, port=port) + extra).encode()


def request(
    method: str,
    uri: str,
    flow: Flow,
    sender: str,
    to: str = "",
    to_tag: str = "",
    cseq: int = 1,
    call_id: str = "call",
    branch: str = "",
    headers: str = "",
    body: bytes = b"",
    tag: str = "",
) -> bytes:
    """A request as a phone at that flow would send it."""
    host = flow.remote.host
    to_value = f"<sip:{to or uri.removeprefix('sip:')}>" + (f";tag={to_tag}" if to_tag else "")
    kind = "Content-Type: application/sdp\r\n" if body else ""
    text = (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/{flow.transport.value} {host}:{flow.remote.port}"
        f";branch=z9hG4bK{branch or f'{method}{cseq}{sender}{call_id}'};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{sender}@example.com>;tag={tag or sender}\r\nTo: {to_value}\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:{sender}@{host}:{flow.remote.port}>\r\n"
        f"{headers}{kind}Content-Length: {len(body)}\r\n\r\n"
    )
    return text.encode() + body


def reply(to: Request, status: int, flow: Flow, user: str, body: bytes = b"", headers: str = "") -> bytes:
    """A response as the phone at that flow would send it."""
    lines = [f"SIP/2.0 {status} Whatever"]
    lines += [f"Via: {value}" for value in to.headers.all("Via")]
    lines += [f"Record-Route: {value}" for value in to.headers.all("Record-Route")]
    tag = "" if status == 100 or to.to.tag else f";tag={user}"
    lines += [f"From: {to.headers.get('From')}", f"To: {to.headers.get('To')}{tag}"]
    lines += [f"Call-ID: {to.call_id}", f"CSeq: {to.headers.get('CSeq')}"]
    lines += [f"Contact: <sip:{user}@{flow.remote}>"]
    lines += ["Content-Type: application/sdp"] if body else []
    text = "\r\n".join(lines) + f"\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return text.encode() + body


class World:
    """What the outside world sees of one HRAS, with sites tokyo and osaka."""

    def __init__(
        self,
        silence: float = 60.0,
        host: str = HRAS,
        admission: Callable[..., Admission] = Admission,
        **options: Any,
    ) -> None:
        """`options` are those of Signalling."""
        numbers = count(1)
        self.now = 1000.0
        self.timers: dict[tuple[object, ...], float] = {}
        self.table = Table()
        self.calls = Calls(self.table, MediaLeg(host, PortPairs(20000, 20099)), silence, 600.0)
        self.registrar = Registrar(Limits())
        self.hashes = {
            (user, algorithm): ha1(user, "example.com", "secret", algorithm)
            for user in USERS
            for algorithm in ("MD5", "SHA-256")
        }
        self.core = Signalling(
            Interface(OUTSIDE, host, 5060),
            self.registrar,
            admission(Domains(("example.com",)), self._lookup, Challenger(b"n" * 32)),
            self.calls,
            Sealer(b"t" * 32),
            b"l" * 32,
            lambda: f"id{next(numbers)}",
            **options,
        )
        for leg in ("tokyo", "osaka"):
            pairs = PortPairs(30000, 30099)
            self.core.site_up(leg, Site(Interface(leg, HRAC, 5060), MediaLeg(HRAC, pairs)))

    def _lookup(self, user: str, realm: str, algorithm: str) -> str | None:
        return self.hashes.get((user, algorithm)) if realm == "example.com" else None

    def say(self, flow: Flow, data: bytes) -> list[Action]:
        """A terminal sends; returns all that follows."""
        return self.noted(self.core.received(flow, data, self.now))

    def later(self, seconds: float, key: tuple[object, ...]) -> list[Action]:
        """Time passes and a timer runs out."""
        self.now += seconds
        return self.noted(self.core.timer(key, self.now))

    def noted(self, actions: list[Action]) -> list[Action]:
        """The same actions, their timers kept for `run_timers`."""
        for action in actions:
            if isinstance(action, StartTimer):
                self.timers[action.key] = self.now + action.seconds
            elif isinstance(action, StopTimer):
                self.timers.pop(action.key, None)
        return actions

    def run_timers(self, seconds: float) -> list[Action]:
        """So many seconds pass, and every timer that is due in them runs out in its order."""
        end = self.now + seconds
        actions: list[Action] = []
        while due := [(when, number) for number, when in enumerate(self.timers.values()) if when <= end]:
            when, number = min(due)
            key = list(self.timers)[number]
            del self.timers[key]
            self.now = when
            actions += self.noted(self.core.timer(key, when))
        self.now = end
        return actions

    def login(self, flow: Flow, data: bytes, user: str, password: str = "secret") -> list[Action]:
        """Send, be challenged, send again with credentials: what a phone does."""
        challenge = sent(self.say(flow, data))[-1][1]
        assert isinstance(challenge, Response), challenge
        name = "WWW-Authenticate" if challenge.status == 401 else "Proxy-Authenticate"
        header = "Authorization" if challenge.status == 401 else "Proxy-Authorization"
        if challenge.status not in (401, 407):
            return []
        if data.startswith(b"INVITE"):
            self.say(flow, data.replace(b"INVITE", b"ACK", 1).replace(b" INVITE\r\n", b" ACK\r\n"))
        method, uri = data.split(b" ", 2)[0].decode(), data.split(b" ", 2)[1].decode()
        credentials = answer(challenge.headers.all(name)[-1], user, password, method, uri)
        number = data.split(b"CSeq: ")[1].split(b" ")[0]
        again = data.replace(b"CSeq: " + number, b"CSeq: " + str(int(number) + 1).encode())
        again = again.replace(b"branch=z9hG4bK", b"branch=z9hG4bKagain")
        again = again.replace(b"Call-ID:", f"{header}: {credentials}\r\nCall-ID:".encode(), 1)
        return self.say(flow, again)

    def register(self, *users: str) -> None:
        """Register these users from their flows."""
        for user in users:
            flow = USERS[user]
            data = request(
                "REGISTER", "sip:example.com", flow, user, f"{user}@example.com", call_id=f"reg-{user}"
            )
            status = sent(self.login(flow, data, user))[-1][1]
            assert isinstance(status, Response) and status.status == 200, status


def sent(actions: list[Action]) -> list[tuple[Flow, Message]]:
    """The SIP messages among the actions, parsed."""
    return [(a.flow, parse_message(a.data)) for a in actions if isinstance(a, SendSip)]


def summary(actions: list[Action]) -> list[str]:
    """The actions in short, timers of transactions left out: what happens, where."""
    lines = []
    for action in actions:
        if isinstance(action, SendSip):
            message = parse_message(action.data)
            what = message.method if isinstance(message, Request) else str(message.status)
            lines.append(f"{what} -> {action.flow.leg} {action.flow.remote}")
        elif isinstance(action, StartTimer | StopTimer):
            if action.key[0] != "tx":
                lines.append(f"{type(action).__name__} {action.key[0]}")
        else:
            lines.append(type(action).__name__ + _detail(action))
    return lines


def _detail(action: Action) -> str:
    leg, ports = getattr(action, "leg", ""), getattr(action, "ports", "")
    return f" {leg} {list(ports)}" if ports else f" {leg}" if leg else ""
