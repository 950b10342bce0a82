"""Digest authentication as SIP and HTTP have it in common (RFC 7616, RFC 8760), and the text it stands in.

Algorithms: SHA-256 and MD5. qop: "auth", "auth-int", or none at all (RFC 2069). Text is `str`, decoded as
UTF-8 with surrogateescape, so that any byte survives the way through.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from secrets import token_hex

from sofw.errors import LocalError

#: By preference: who is asked takes the first it knows (RFC 8760 §2.4).
ALGORITHMS = {"SHA-256": "sha256", "MD5": "md5"}
#: These stand without quotes (RFC 7616 §3.3, §3.4); qop does in credentials only.
_UNQUOTED = frozenset({"algorithm", "stale", "nc", "userhash", "charset"})

_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_PAIR = re.compile(r'(["\\\x00-\x08\x0a-\x1f\x7f])')


def quote(text: str) -> str:
    """The text as a quoted-string."""
    return '"' + _NEEDS_PAIR.sub(r"\\\1", text) + '"'


def unquote(text: str) -> str:
    """The text of a quoted-string; any other text is returned as it is."""
    if len(text) < 2 or text[0] != '"':
        return text
    inner = text[1:-1]
    return _PAIR.sub(r"\1", inner) if "\\" in inner else inner


def format_auth(scheme: str, pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """The text of a challenge, or of credentials when there is a `response`; quotes where they belong."""
    values = dict(pairs)
    bare = _UNQUOTED | {"qop"} if "response" in values else _UNQUOTED
    written = (f"{name}={value if name.lower() in bare else quote(value)}" for name, value in values.items())
    return f"{scheme} {', '.join(written)}"


def ha1(user: str, realm: str, password: str, algorithm: str) -> str:
    """What is stored in place of a password (RFC 7616 §3.4.2), in hex; holds for this realm only."""
    return _hash(algorithm, user, realm, password)


def response(algorithm: str, secret: str, given: Mapping[str, str], method: str, body: bytes) -> str:
    """What proves the password, for the values `given` in the credentials; `secret` is the HA1.

    RFC 7616 §3.4.1, and without qop §3.4.1 of RFC 2617, which is that of RFC 2069.
    """
    nonce, qop = given.get("nonce", ""), given.get("qop")
    parts = [method, given.get("uri", "")]
    if (qop or "").lower() == "auth-int":
        parts.append(_hash_bytes(algorithm, body))
    request = _hash(algorithm, *parts)
    if qop is None:
        return _hash(algorithm, secret, nonce, request)
    return _hash(algorithm, secret, nonce, given.get("nc", ""), given.get("cnonce", ""), qop, request)


def respond(
    asked: Mapping[str, str],
    user: str,
    password: str,
    method: str,
    uri: str,
    body: bytes = b"",
    count: int = 1,
    cnonce: str | None = None,
) -> str:
    """The credentials that answer the values of a challenge, with the best qop offered or none.

    `count` rises by one each time the same nonce is used. Raises LocalError for an algorithm that is not
    known here.
    """
    algorithm = asked.get("algorithm", "MD5")
    if algorithm.upper() not in ALGORITHMS:
        raise LocalError(f"the digest algorithm {algorithm} is not supported")
    given = {"username": user, "realm": asked.get("realm", ""), "nonce": asked.get("nonce", ""), "uri": uri}
    offered = [name.strip().lower() for name in asked.get("qop", "").split(",")]
    for qop in ("auth", "auth-int"):
        if qop in offered:
            given |= {"qop": qop, "nc": f"{count:08x}", "cnonce": cnonce or token_hex(8)}
            break
    secret = ha1(user, given["realm"], password, algorithm.upper())
    given["response"] = response(algorithm.upper(), secret, given, method, body)
    given |= {name: asked[name] for name in ("algorithm", "opaque") if name in asked}
    return format_auth("Digest", given)


def octets(text: str) -> bytes:
    """The bytes that a text was decoded from."""
    return text.encode("utf-8", "surrogateescape")


def _hash(algorithm: str, *parts: str) -> str:
    return _hash_bytes(algorithm, octets(":".join(parts)))


def _hash_bytes(algorithm: str, data: bytes) -> str:
    return hashlib.new(ALGORITHMS[algorithm], data).hexdigest()
