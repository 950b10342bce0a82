"""What the tunnel's HTTP requests look like: paths, bodies and their checks.

    POST /tunnel/hello      {"site", "nonce"}                            → {"challenge"}
    POST /tunnel/session    {"hello": {…}, "nonce", "challenge", "proof"} → {"session", "proof"}
    GET  /tunnel/SESSION/down/NUMBER/0/PROOF     the answer streams frames down
    POST /tunnel/SESSION/up/NUMBER/0/PROOF       the body streams frames up
    GET  /tunnel/SESSION/down/NUMBER/PART/PROOF  the answer is held until there are frames
    POST /tunnel/SESSION/up/NUMBER/PART/PROOF    the body is some frames
    POST /tunnel/SESSION/both/NUMBER/PART/PROOF  body and answer are frames
    …    /tunnel/SESSION/{ticks,try,report}/…    probes (sofw.tunnel.probing)

The proofs are those of sofw.tunnel.proof; the secret itself never travels. NUMBER rises with each opening
of lanes, PART counts from 1 the requests that are one lane together.
A refusal is a JSON object {"refused": reason}: what a proxy says on its own looks different.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen

from sofw.address import Address, is_ip
from sofw.errors import RemoteError
from sofw.tunnel.rungs import Purpose

HELLO_PATH = "/tunnel/hello"
SESSION_PATH = "/tunnel/session"
#: The status that refuses a lane because another HRAC has opened a session for the same site.
REPLACED = 409
#: A hello with all it may say is well below this.
MAX_BODY = 16384
#: The length of nonces and session ids, in hexadecimal digits: 16 bytes.
ID_LENGTH = 32
#: The length of proofs, in hexadecimal digits: SHA-256.
PROOF_LENGTH = 64
#: A thousand parts a second fill 12 digits in 30 years.
_NUMBER_DIGITS = 12
_MAX_SITE, _MAX_CAPABILITIES, _MAX_CAPABILITY = 63, 64, 64
#: The capability of a half that speaks SIP over TLS: this, and the port.
_TLS = "tls="
#: The capability of a site that wants a ceiling: this, and the bytes per second each way.
_CEILING = "bytes-per-second="
_HEX = frozenset("0123456789abcdef")
_PURPOSES = {purpose.value: purpose for purpose in Purpose}


class ExchangeError(RemoteError):
    """A request that is refused, with the HTTP status to say so."""


@frozen
class Hello:
    """What a site says of itself: its phones' SIP server, its relay ports and what it can do.

    `address` is what HRAC's phones reach by SIP, `media_host` where they send media,
    `first_port` to `last_port` the relay ports that HRAS may hand out.
    """

    site: str
    address: Address
    first_port: int
    last_port: int
    media_host: str
    capabilities: tuple[str, ...] = ()

    @property
    def tls_port(self) -> int | None:
        """HRAC's port for SIP over TLS; None when it has none, or is of an older release."""
        port = self._number(_TLS)
        return port if 0 < port < 65536 else None

    @property
    def bytes_per_second(self) -> int:
        """The ceiling that the site wants for each direction of its tunnel; 0 for none."""
        return self._number(_CEILING)

    def _number(self, name: str) -> int:
        """The number in the first capability that begins so; 0 for none."""
        found = [each.removeprefix(name) for each in self.capabilities if each.startswith(name)]
        return int(found[0]) if found and found[0].isdecimal() else 0

    def as_dict(self) -> dict[str, Any]:
        """The hello as a JSON object."""
        return {
            "site": self.site,
            "host": self.address.host,
            "port": self.address.port,
            "first_port": self.first_port,
            "last_port": self.last_port,
            "media_host": self.media_host,
            "capabilities": list(self.capabilities),
        }


@frozen
class Claim:
    """A request for a session: `proof` must show that the sender knows the secret of the site."""

    hello: Hello
    nonce: str
    challenge: str
    proof: str
    signed: bytes


@frozen
class LaneRequest:
    """What the path of a request of a session says; part 0 is a stream."""

    session: str
    purpose: Purpose
    number: int
    part: int
    proof: str


def tls_capability(port: int) -> str:
    """What a hello says of SIP over TLS; `Hello.tls_port` reads it."""
    return f"{_TLS}{port}"


def ceiling_capability(bytes_per_second: int) -> str:
    """What a hello says of a ceiling; `Hello.bytes_per_second` reads it."""
    return f"{_CEILING}{bytes_per_second}"


def hello_body(site: str, nonce: str) -> bytes:
    """The body of the first request."""
    return _json({"site": site, "nonce": nonce})


def read_hello(body: bytes) -> tuple[str, str]:
    """Site and nonce in the body of the first request; raises ExchangeError."""
    fields = _read(body)
    return _site(fields), _hex(fields, "nonce", ID_LENGTH)


def challenge_body(challenge: str) -> bytes:
    """The answer to the first request."""
    return _json({"challenge": challenge})


def read_challenge(body: bytes) -> str:
    """The challenge in the answer to the first request; raises ExchangeError."""
    return _text(_read(body), "challenge", 256)


def signed(hello: Hello) -> bytes:
    """What of a hello the proof covers: all of it, in one fixed form."""
    return _json(hello.as_dict())


def claim_body(hello: Hello, nonce: str, challenge: str, proof: str) -> bytes:
    """The body of the request for a session."""
    return _json({"hello": hello.as_dict(), "nonce": nonce, "challenge": challenge, "proof": proof})


def read_claim(body: bytes) -> Claim:
    """The request for a session; raises ExchangeError."""
    fields = _read(body)
    said = fields.get("hello")
    if not isinstance(said, dict):
        raise ExchangeError("The hello is missing")
    return Claim(
        _read_hello_fields(said),
        _hex(fields, "nonce", ID_LENGTH),
        _text(fields, "challenge", 256),
        _hex(fields, "proof", PROOF_LENGTH),
        # A later release may say more than this one knows: the proof covers all that was said.
        _signed(said),
    )


def session_body(session: str, proof: str) -> bytes:
    """The answer that grants a session."""
    return _json({"session": session, "proof": proof})


def read_session(body: bytes) -> tuple[str, str]:
    """Session id and HRAS's own proof; raises ExchangeError."""
    fields = _read(body)
    return _hex(fields, "session", ID_LENGTH), _hex(fields, "proof", PROOF_LENGTH)


def refusal_body(reason: str) -> bytes:
    """The body of every error answer of HRAS."""
    return _json({"refused": reason})


def read_refusal(body: bytes) -> str | None:
    """The reason of a refusal; None when it does not come from an HRAS."""
    try:
        return _text(_read(body), "refused", 200)
    except ExchangeError:
        return None


def lane_path(lane: LaneRequest) -> str:
    """The path of a request of a session."""
    return f"/tunnel/{lane.session}/{lane.purpose.value}/{lane.number}/{lane.part}/{lane.proof}"


def read_lane_path(path: str) -> LaneRequest | None:
    """The request of a session in a path; None when it is none."""
    parts = path.split("/")
    if len(parts) != 7 or parts[:2] != ["", "tunnel"]:
        return None
    session, word, number, part, proof = parts[2:]
    purpose = _PURPOSES.get(word)
    if purpose is None or not (_is_number(number) and _is_number(part)):
        return None
    if not (_is_hex(session, ID_LENGTH) and _is_hex(proof, PROOF_LENGTH)):
        return None
    return LaneRequest(session, purpose, int(number), int(part), proof)


def _read_hello_fields(fields: dict[str, Any]) -> Hello:
    first, last = _port(fields, "first_port"), _port(fields, "last_port")
    if first % 2 or last <= first:
        raise ExchangeError("first_port must be even and below last_port")
    capabilities = fields.get("capabilities", [])
    if not isinstance(capabilities, list) or len(capabilities) > _MAX_CAPABILITIES:
        raise ExchangeError("capabilities is not a short list")
    if not all(isinstance(each, str) and _is_plain(each, _MAX_CAPABILITY) for each in capabilities):
        raise ExchangeError("capabilities is not a list of words")
    return Hello(
        _site(fields),
        Address(_ip(fields, "host"), _port(fields, "port")),
        first,
        last,
        _ip(fields, "media_host"),
        tuple(capabilities),
    )


def _signed(said: dict[str, Any]) -> bytes:
    try:
        return _json(said)
    except RecursionError:
        raise ExchangeError("The hello is nested too deeply") from None


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _read(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY:
        raise ExchangeError("The body is too long", 413)
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise ExchangeError("The body is not JSON") from None
    if not isinstance(fields, dict):
        raise ExchangeError("The body is not a JSON object")
    return fields


def _site(fields: dict[str, Any]) -> str:
    return _text(fields, "site", _MAX_SITE)


def _text(fields: dict[str, Any], name: str, longest: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not _is_plain(value, longest):
        raise ExchangeError(f"{name} is not a plain text of 1 to {longest} characters")
    return value


def _is_plain(text: str, longest: int) -> bool:
    """Whether a text may stand in a log line as it is."""
    return 0 < len(text) <= longest and text.isascii() and text.isprintable()


def _hex(fields: dict[str, Any], name: str, length: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not _is_hex(value, length):
        raise ExchangeError(f"{name} is not {length} hexadecimal digits")
    return value


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and _HEX.issuperset(text)


def _ip(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not is_ip(value):
        raise ExchangeError(f"{name} is not an IP address")
    return value


def _port(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise ExchangeError(f"{name} is not a port")
    return value
