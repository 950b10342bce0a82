"""Calls between two phones, any number at a time: for the media to run on, and to be counted themselves.

Every call is what phones do: INVITE, 407 where there is a proxy, INVITE with digest, 180, 200 with
SDP, ACK; later BYE and 200. What is not answered is sent again after T1 (RFC 3261 §17.1).
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from phone import PATIENCE, Phone, Place, sdp, status

#: Call number i speaks from this port + 2 i, at both ends.
FIRST_PORT = 10000
#: T1 of RFC 3261 in seconds.
RETRY = 0.5

_CALL_ID = re.compile(rb"^Call-ID: *(.+?)\r$", re.M)
_CSEQ = re.compile(rb"^CSeq: *(\d+) (\w+)\r$", re.M)
_TO = re.compile(rb"^To: *(.+?)\r$", re.M)
_CONTACT = re.compile(rb"^Contact: *<([^>]+)>", re.M)
_RECORD_ROUTE = re.compile(rb"^Record-Route: *(.+?)\r$", re.M)
_ROUTE = re.compile(rb"<[^>]+>")
_NUMBER = re.compile(rb"^s=(\d+)\r$", re.M)
_HOST = re.compile(rb"^c=IN IP4 (\S+)\r$", re.M)
_PORT = re.compile(rb"^m=audio (\d+)", re.M)


@dataclass
class Call:
    """One call as its caller sees it; times are of time.monotonic(), in seconds."""

    number: int
    call_id: str
    to: str
    target: str
    method: str = ""
    cseq: int = 0
    branch: str = ""
    routes: str = ""
    request: bytes = b""
    tried: bool = False
    began: float = 0.0
    sent: float = 0.0
    relay: Place = ("", 0)


@dataclass
class Load:
    """What a load brought: seconds of each set-up and tear-down, what went wrong, and how long all took."""

    set_up: list[float] = field(default_factory=list)
    tear_down: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Pair:
    """A caller, a callee (called as `uri`) and all the calls between them."""

    def __init__(self, caller: Phone, callee: Phone, uri: str) -> None:
        self.caller, self.callee, self.uri = caller, callee, uri
        self.up: dict[str, Call] = {}
        self._pending: dict[str, Call] = {}
        self._relays: dict[int, Place] = {}
        self._numbers = count()
        self._name = f"{caller.user}-{time.time_ns() % 10**9}"
        self._load = Load()
        self._when_up: Callable[[Call], None] | None = None

    def hold(self, number: int, in_flight: int = 16) -> Load:
        """Set up so many calls and keep them up."""
        return self._carry((self._new() for _ in range(number)), self._invite, in_flight)

    def hang_up(self, in_flight: int = 16) -> Load:
        """End the calls that are up."""
        return self._carry(iter(list(self.up.values())), self._bye, in_flight)

    def cycle(self, seconds: float, in_flight: int = 16) -> Load:
        """Set up calls and end each at once, so many at a time, for so long."""
        end = time.monotonic() + seconds
        self._when_up = self._bye
        fresh = iter(lambda: self._new() if time.monotonic() < end else None, None)
        load = self._carry(fresh, self._invite, in_flight)
        self._when_up = None
        return load

    def legs(self) -> str:
        """The lines for loadgen: both phones' media addresses and the relay port each speaks to."""
        lines = []
        for call in self.up.values():
            ways = ((self.caller, call.relay), (self.callee, self._relays[call.number]))
            lines.append(" ".join(f"{p.at[0]}:{_port(call)} {relay[0]}:{relay[1]}" for p, relay in ways))
        return "\n".join(lines) + "\n"

    def _new(self) -> Call:
        number = next(self._numbers)
        return Call(number, f"{self._name}-{number}", f"<{self.uri}>", self.uri)

    def _carry(self, calls: Iterator[Call | None], begin: Callable[[Call], None], in_flight: int) -> Load:
        load, started, more = Load(), time.monotonic(), True
        self._load = load
        while more or self._pending:
            while more and len(self._pending) < in_flight:
                call = next(calls, None)
                more = call is not None
                if call is not None:
                    call.began = time.monotonic()
                    begin(call)
            self._serve()
        load.seconds = time.monotonic() - started
        return load

    def _serve(self) -> None:
        """Take what has come, and send again what was not answered."""
        ready, _, _ = select.select([self.caller.socket, self.callee.socket], [], [], RETRY / 5)
        for sock in ready:
            data = sock.recv(65536)
            if sock is self.callee.socket:
                self._at_callee(data)
            else:
                self._at_caller(data)
        now = time.monotonic()
        for call in [call for call in self._pending.values() if now - call.sent > RETRY]:
            if now - call.began > PATIENCE:
                self._fail(call, f"no answer to {call.method}")
            else:
                self._send(call, call.request)

    def _invite(self, call: Call, credentials: str = "") -> None:
        self._ask(call, "INVITE", credentials, sdp(self.caller.at[0], call.number, _port(call)))

    def _bye(self, call: Call, credentials: str = "") -> None:
        self.up.pop(call.call_id, None)
        self._ask(call, "BYE", credentials, b"")

    def _ask(self, call: Call, method: str, credentials: str, body: bytes) -> None:
        call.method, call.tried = method, bool(credentials)
        call.cseq, call.branch = call.cseq + 1, self.caller.branch()
        self._pending[call.call_id] = call
        self._send(call, self._request(call, method, credentials + call.routes, body))

    def _request(self, call: Call, method: str, more: str = "", body: bytes = b"") -> bytes:
        return self.caller.request(
            method, call.target, call.call_id, call.cseq, call.to, call.branch, more, body
        )

    def _send(self, call: Call, request: bytes) -> None:
        call.request, call.sent = request, time.monotonic()
        self.caller.send(request)

    def _at_caller(self, data: bytes) -> None:
        code, call = status(data), self._pending.get(_text(_CALL_ID, data))
        if call is None or code < 200 or _text(_CSEQ, data) != str(call.cseq):
            return
        if call.method == "INVITE":
            self._acknowledge(call, data, code)
        if code in (401, 407) and not call.tried:
            step = self._invite if call.method == "INVITE" else self._bye
            step(call, self.caller.credentials(data, call.method, call.target))
        elif code != 200:
            self._fail(call, f"{code} to {call.method}")
        else:
            self._finish(call)

    def _acknowledge(self, call: Call, response: bytes, code: int) -> None:
        """ACK: of a 2xx along the route set, of anything else in the INVITE's own transaction (§17.1.1.3)."""
        to = _text(_TO, response)
        if code != 200:
            asked, call.to = call.to, to
            self.caller.send(self._request(call, "ACK"))
            call.to = asked
            return
        call.to, call.target, call.branch = to, _text(_CONTACT, response), self.caller.branch()
        routes = [route for line in _RECORD_ROUTE.findall(response) for route in _ROUTE.findall(line)]
        call.routes = "".join(f"Route: {route.decode()}\r\n" for route in reversed(routes))
        call.relay = _media(response)
        self.caller.send(self._request(call, "ACK", call.routes))

    def _finish(self, call: Call) -> None:
        del self._pending[call.call_id]
        took = time.monotonic() - call.began
        if call.method == "BYE":
            self._load.tear_down.append(took)
            return
        self._load.set_up.append(took)
        self.up[call.call_id] = call
        if self._when_up:
            call.began = time.monotonic()
            self._when_up(call)

    def _fail(self, call: Call, why: str) -> None:
        del self._pending[call.call_id]
        self._load.failures.append(why)

    def _at_callee(self, data: bytes) -> None:
        if data.startswith(b"INVITE "):
            number = int(_text(_NUMBER, data))
            self._relays[number] = _media(data)
            self._reply(data, "180 Ringing", str(number))
            host = self.callee.at[0]
            self._reply(data, "200 OK", str(number), sdp(host, number, FIRST_PORT + 2 * number))
        elif data.startswith(b"BYE "):
            self._reply(data, "200 OK", "")

    def _reply(self, request: bytes, line: str, tag: str, body: bytes = b"") -> None:
        self.callee.send(self.callee.response(line, request, tag, body))


def _text(pattern: re.Pattern[bytes], data: bytes) -> str:
    match = pattern.search(data)
    return match[1].decode() if match else ""


def _port(call: Call) -> int:
    return FIRST_PORT + 2 * call.number


def _media(data: bytes) -> Place:
    return _text(_HOST, data), int(_text(_PORT, data) or 0)
