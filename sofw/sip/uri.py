"""SIP, SIPS and other URIs (RFC 3261 §19.1, RFC 3966)."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from attrs import evolve, frozen

from sofw.address import bracketed
from sofw.sip.grammar import HOST, MEMORY, Params, SipError, format_params

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+")
_OPAQUE = re.compile(r'[^\x00-\x20\x7f<>"]++')

#: SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ]
#: userinfo = ( user / telephone-subscriber ) [ ":" password ] "@"
#: Users may hold what the grammar would have escaped ("#31#", UTF-8), except where a URI could then
#: be read in two ways.
_SIP_URI = re.compile(
    r'(?:(?P<user>[^@:\x00-\x20\x7f<>"]++)(?::(?P<password>[^@\x00-\x20\x7f<>"]*+))?@)?'
    rf"(?P<host>{HOST})(?::(?P<port>[0-9]{{1,5}}+))?"
    r'(?P<params>(?:;[^;?@=\x00-\x20\x7f<>"]++(?:=[^;?@\x00-\x20\x7f<>"]*+)?)*+)'
    r'(?:\?(?P<headers>[^@\x00-\x20\x7f<>"]*+))?'
)

_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-_.!~*'()]")
_VISUAL_SEPARATORS = str.maketrans("", "", "-.()")

#: Parameters that must stand in both URIs or in none (RFC 3261 §19.1.4; transport by its examples).
_DECISIVE = ("user", "ttl", "method", "maddr", "transport")


@frozen
class Uri:
    """A URI, its parts as received: escapes are kept, only the scheme is made lower-case.

    An IPv6 host stands without brackets. For schemes other than sip and sips the rest of the URI
    stands in `user` and `host` is empty.
    """

    scheme: str
    user: str | None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = ()
    headers: str = ""

    def __str__(self) -> str:
        return format_uri(self)

    def param(self, name: str) -> str | None:
        """The value of a parameter as received, "" for a flag, None when absent."""
        lower = name.lower()
        for found, value in self.params:
            if _plain(found).lower() == lower:
                return value or ""
        return None

    def has_param(self, name: str) -> bool:
        """Whether the parameter stands there, with or without a value."""
        return self.param(name) is not None

    def with_param(self, name: str, value: str | None) -> Uri:
        """A copy with the parameter set, at the end; value None makes a flag."""
        return evolve(self, params=(*self.without_param(name).params, (name, value)))

    def without_param(self, *names: str) -> Uri:
        """A copy without these parameters."""
        lower = {name.lower() for name in names}
        kept = tuple(param for param in self.params if _plain(param[0]).lower() not in lower)
        return evolve(self, params=kept)

    def aor(self) -> str:
        """The address-of-record as a key: "user@host", unescaped user, lower-case host (§10.3 step 5).

        A tel URI gives its number without visual separators (RFC 3966 §5.1.1), other URIs their text.
        """
        if self.scheme == "tel":
            return (self.user or "").partition(";")[0].translate(_VISUAL_SEPARATORS)
        if not self.host:
            return format_uri(self)
        host = bracketed(self.host.lower())
        return f"{unescape(self.user)}@{host}" if self.user else host


@lru_cache(MEMORY)
def parse_uri(text: str) -> Uri:
    """Read a URI; raises SipError when it is malformed."""
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise SipError("URI has no scheme")
    scheme = scheme.lower()
    if scheme in ("sip", "sips"):
        return _parse_sip(scheme, rest)
    if not _OPAQUE.fullmatch(rest):
        raise SipError("Malformed URI")
    return Uri(scheme, rest)


def format_uri(uri: Uri) -> str:
    """The text of a URI; the reverse of parse_uri."""
    if not uri.host:
        return f"{uri.scheme}:{uri.user}"
    user = "" if uri.user is None else uri.user
    password = "" if uri.password is None else f":{uri.password}"
    at = "" if uri.user is None else "@"
    port = "" if uri.port is None else f":{uri.port}"
    headers = f"?{uri.headers}" if uri.headers else ""
    return f"{uri.scheme}:{user}{password}{at}{bracketed(uri.host)}{port}{format_params(uri.params)}{headers}"


def unescape(text: str) -> str:
    """The text with its %-escapes replaced; what is no valid escape stays."""
    if "%" not in text:
        return text
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def same_uri(a: Uri, b: Uri) -> bool:
    """Whether two URIs are equivalent (RFC 3261 §19.1.4)."""
    if a.scheme != b.scheme:
        return False
    if not a.host or not b.host:
        return a.aor() == b.aor()
    return (
        (_plain(a.user), _plain(a.password)) == (_plain(b.user), _plain(b.password))
        and (a.host.lower(), a.port) == (b.host.lower(), b.port)
        and _same_params(a, b)
        and _header_set(a) == _header_set(b)
    )


def _parse_sip(scheme: str, rest: str) -> Uri:
    found = _SIP_URI.fullmatch(rest)
    if not found:
        raise SipError("Malformed SIP URI")
    user, password, host, port, params, headers = found.groups()
    number = int(port) if port else None
    if number is not None and number > 65535:
        raise SipError("URI port is greater than 65535")
    return Uri(scheme, user, password, host.strip("[]"), number, _split_params(params), headers or "")


def _split_params(text: str) -> Params:
    if not text:
        return ()
    pieces = (piece.partition("=") for piece in text[1:].split(";"))
    return tuple((name, value if equals else None) for name, equals, value in pieces)


def _same_params(a: Uri, b: Uri) -> bool:
    first, second = _param_map(a), _param_map(b)
    decisive = any((name in first) != (name in second) for name in _DECISIVE)
    return not decisive and all(first[name] == second[name] for name in first.keys() & second.keys())


def _param_map(uri: Uri) -> dict[str, str]:
    return {_plain(name).lower(): _plain(value).lower() for name, value in uri.params}


def _header_set(uri: Uri) -> set[tuple[str, str]]:
    pieces = (piece.partition("=") for piece in uri.headers.split("&") if piece)
    return {(_plain(name).lower(), _plain(value)) for name, _, value in pieces}


def _plain(text: str | None) -> str:
    """The text for comparing: an escape of an unreserved character equals the character itself."""
    if text is None:
        return ""
    return _ESCAPE.sub(_plain_escape, text) if "%" in text else text


def _plain_escape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _UNRESERVED.match(character) else found[0].upper()
