"""A phone that only signals, as cheap as can be: one UDP socket, a few headers by regular expression.

It is no SIP stack; what it is measured against costs far more than it does.
"""

from __future__ import annotations

import re
import select
import socket
from itertools import count

from sofw.sip.digest import answer

Place = tuple[str, int]

DOMAIN = "example.com"
PASSWORD = "measure-for-measure"
#: Seconds after which a request that was not answered counts as lost for good.
PATIENCE = 8.0

_STATUS = re.compile(rb"SIP/2\.0 (\d{3})")
_CHALLENGE = re.compile(rb"^(?:WWW|Proxy)-Authenticate: *(.+?)\r$", re.M)
_COPIED = re.compile(rb"^(?:Via|Record-Route|From|Call-ID|CSeq): .+\r\n", re.M)
_TO = re.compile(rb"^To: *(.+?)\r$", re.M)


def status(message: bytes) -> int:
    """The status of a response, 0 for a request."""
    match = _STATUS.match(message)
    return int(match[1]) if match else 0


def sdp(host: str, number: int, port: int) -> bytes:
    """The description of one G.711 stream; the call's number stands in its name."""
    return (
        f"v=0\r\no=- {number} 1 IN IP4 {host}\r\ns={number}\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
    ).encode()


class Phone:
    """A user at an address, whose requests all go to `proxy`."""

    def __init__(self, user: str, at: Place, proxy: Place) -> None:
        self.user, self.at, self.proxy = user, at, proxy
        self.aor = f"sip:{user}@{DOMAIN}"
        self.contact = f"sip:{user}@{at[0]}:{at[1]}"
        self._branches = count(1)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.setblocking(False)
        self.socket.bind(at)

    def branch(self) -> str:
        """A branch that was not used yet."""
        return f"z9hG4bK-{self.user}-{next(self._branches)}"

    def request(
        self,
        method: str,
        uri: str,
        call_id: str,
        cseq: int,
        to: str,
        branch: str,
        more: str = "",
        body: bytes = b"",
    ) -> bytes:
        """A request; `more` is further header lines, each with its CRLF."""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.at[0]}:{self.at[1]};branch={branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <{self.aor}>;tag={call_id}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n"
            f"CSeq: {cseq} {method}\r\nContact: <{self.contact}>\r\n{more}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def response(self, line: str, request: bytes, tag: str, body: bytes = b"") -> bytes:
        """The response to a request, with what must be copied (RFC 3261 §8.2.6)."""
        match = _TO.search(request)
        assert match is not None
        to = match[1] if b";tag=" in match[1] else match[1] + b";tag=" + tag.encode()
        kind = b"Content-Type: application/sdp\r\n" if body else b""
        head = b"SIP/2.0 " + line.encode() + b"\r\n" + b"".join(_COPIED.findall(request))
        own = b"To: " + to + b"\r\nContact: <" + self.contact.encode() + b">\r\n" + kind
        return head + own + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def send(self, data: bytes, place: Place | None = None) -> None:
        """To a place, by default the proxy."""
        self.socket.sendto(data, place or self.proxy)

    def credentials(self, challenge: bytes, method: str, uri: str) -> str:
        """The header line that answers a 401 or 407."""
        match = _CHALLENGE.search(challenge)
        assert match is not None
        name = "Authorization" if status(challenge) == 401 else "Proxy-Authorization"
        return f"{name}: {answer(match[1].decode(), self.user, PASSWORD, method, uri)}\r\n"

    def register(self) -> None:
        """Register with digest; raises RuntimeError when that fails."""
        uri, more = f"sip:{DOMAIN}", "Expires: 3600\r\n"
        for cseq in (1, 2):
            self.send(
                self.request("REGISTER", uri, f"reg-{self.user}", cseq, f"<{self.aor}>", self.branch(), more)
            )
            response = self._final()
            if status(response) == 200:
                return
            if status(response) == 401:
                more += self.credentials(response, "REGISTER", uri)
        raise RuntimeError(f"{self.user} cannot register: {status(response)}")

    def _final(self) -> bytes:
        while select.select([self.socket], [], [], PATIENCE)[0]:
            data = self.socket.recv(65536)
            if status(data) >= 200:
                return data
        raise RuntimeError(f"{self.user} gets no answer from {self.proxy[0]}:{self.proxy[1]}")
