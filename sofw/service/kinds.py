"""The kinds of values an option of hras.toml or hrac.toml may hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sofw.address import Transport, bracketed, is_ip
from sofw.admin.names import DOMAIN_NAME, SITE_NAME, is_domain_name, is_site_name
from sofw.net.tls import KeyPair
from sofw.service.settings import Kind
from sofw.sip.digest import ALGORITHMS
from sofw.sip.message import SipError
from sofw.sip.uri import Uri, parse_uri

#: A secret shorter than this could be guessed by trying; `sofw site add` makes 43 characters.
SECRET_LENGTH = 16
#: In place of the address of a web proxy: what the environment says.
ENVIRONMENT = "environment"


def _text(allowed: str, holds: Callable[[str], bool], secret: bool = False) -> Kind:
    """A kind of text; `holds` says whether a text is one."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        if not holds(value):
            raise ValueError
        return value

    return Kind(allowed, read, secret)


def _optional(kind: Kind) -> Kind:
    """The same kind, or an empty text for "not given"."""
    allowed = f'{kind.allowed}, or "" for none'
    return Kind(allowed, lambda value: value if value == "" else kind.read(value), kind.secret)


def integer(first: int, last: int, what: str = "a whole number") -> Kind:
    """A kind of whole number within two limits, both allowed."""

    def read(value: Any) -> int:
        if type(value) is not int:
            raise TypeError
        if not first <= value <= last:
            raise ValueError
        return value

    return Kind(f"{what} from {first} to {last}", read)


def seconds(first: float, last: float) -> Kind:
    """A kind of duration in seconds within two limits, both allowed; fractions are allowed."""

    def read(value: Any) -> float:
        if type(value) not in (int, float):
            raise TypeError
        if not first <= value <= last:
            raise ValueError
        return float(value)

    return Kind(f"a number of seconds from {first:g} to {last:g}", read)


def _read_switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _ceiling(kind: Kind, unit: str) -> Kind:
    """The same kind, or 0 for no ceiling."""
    return Kind(f"{kind.allowed}{unit}, or 0 for none", lambda value: kind.read(value) if value else 0, False)


def _read_rate(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError
    if not 0.2 <= value <= 10000:
        raise ValueError
    return float(value)


def _list(allowed: str, read_one: Callable[[Any], Any], least: int = 1) -> Kind:
    """A kind of list: at least so many, nothing twice."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise TypeError
        found = tuple(read_one(each) for each in value)
        if len(found) < least or len(set(found)) != len(found):
            raise ValueError
        return found

    return Kind(allowed, read)


def _read_transport(value: Any) -> Transport:
    if value not in ("udp", "tcp", "tls"):
        raise ValueError
    return Transport(value.upper())


def _read_url(value: Any) -> str:
    """A web address as `http://host[:port]`, without a slash at the end."""
    if not isinstance(value, str):
        raise TypeError
    if value.startswith("https:"):
        raise ValueError("an http:// address; https:// is not available in this version")
    url, port = _split_url(value)
    host = url.hostname or ""
    if url.scheme != "http" or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError
    if url.username is not None or not (is_ip(host) or is_domain_name(host)):
        raise ValueError
    return f"http://{bracketed(host)}" + (f":{port}" if port else "")


def _split_url(value: str) -> tuple[SplitResult, int | None]:
    """A URL and its port; a ValueError without urlsplit's own message for what is none."""
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise ValueError from None
    if port == 0:
        raise ValueError
    return url, port


def _read_proxy(value: Any) -> str:
    if value == ENVIRONMENT:
        return ENVIRONMENT
    url = _read_url(value)
    if urlsplit(url).port is None:
        raise ValueError
    return url


def _read_route(value: Any) -> Uri:
    """A SIP URI that says where, and nothing of whom or how to route on."""
    if not isinstance(value, str):
        raise TypeError
    try:
        uri = parse_uri(value)
    except SipError:
        raise ValueError from None
    plain = (uri.headers, uri.user, uri.without_param("transport").params) == ("", None, ())
    known = (
        uri.scheme in ("sip", "sips") and (uri.param("transport") or "udp").upper() in Transport.__members__
    )
    if not plain or not known or uri.port == 0:
        raise ValueError
    return uri


def _read_key_pair(value: Any) -> KeyPair:
    if not isinstance(value, dict):
        raise TypeError
    if set(value) != {"certificate", "key"}:
        raise ValueError
    return KeyPair(PATH.read(value["certificate"]), PATH.read(value["key"]))


def _is_reachable(text: str) -> bool:
    return is_ip(text) and not ip_address(text).is_unspecified and not ip_address(text).is_multicast


def _is_listenable(text: str) -> bool:
    return is_ip(text) and not ip_address(text).is_multicast


ADDRESS = _text("an IP address that others reach, such as 203.0.113.10", _is_reachable)
LISTEN = _text("an IP address of this machine, 0.0.0.0 or ::", _is_listenable)
SWITCH = Kind("true or false", _read_switch)
PORT = integer(1, 65535, "a port")
DOMAIN = _text(DOMAIN_NAME, is_domain_name)
DOMAINS = _list(
    f"a list of one or more different names, each {DOMAIN_NAME}",
    DOMAIN.read,
)
TRANSPORTS = _list('a list of one or more of "udp", "tcp" and "tls"', _read_transport)
ROUTE = Kind('the SIP URI of a server, such as "sip:198.51.100.7:5070;transport=tcp"', _read_route)
DIGESTS = _list(
    'a list of one or both of "SHA-256" and "MD5"',
    _text("", lambda text: text in ALGORITHMS).read,
)
AGENTS = _list("a list of beginnings of User-Agent headers", _text("", bool).read, least=0)
SITE = _text(SITE_NAME, is_site_name)
SECRET = _optional(
    _text(
        f"a text of {SECRET_LENGTH} characters or more",
        lambda text: len(text) >= SECRET_LENGTH,
        secret=True,
    )
)
PASSWORD = _optional(_text("a text", bool, secret=True))
NAME = _optional(_text("a text", bool))
PATH = _text("a path that begins with /", os.path.isabs)
OPTIONAL_PATH = _optional(PATH)
KEY_PAIRS = _list(
    'a list of entries of the form {certificate = "/path", key = "/path"}', _read_key_pair, least=0
)
#: A session takes some requests to begin with, and must be joined within seconds.
RATE = _ceiling(Kind("a number from 0.2 to 10000", _read_rate), "")
#: One call with G.711 takes 10 kB/s each way.
BANDWIDTH = _ceiling(integer(8000, 10**9), " (bytes)")
URL = Kind("an address of the form http://host or http://host:port", _read_url)
PROXY_URL = _optional(Kind('an address of the form http://host:port, "environment"', _read_proxy))
