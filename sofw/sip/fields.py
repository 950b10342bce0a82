"""The header values a proxy looks into, each with its parse and format pair (RFC 3261 §20)."""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import frozen

from sofw.address import bracketed
from sofw.credentials import quote, unquote
from sofw.sip.grammar import (
    HOST,
    MEMORY,
    QUOTED,
    TOKEN_CHARS,
    Params,
    SipError,
    find_param,
    format_params,
    parse_number,
    parse_params,
)
from sofw.sip.uri import Uri, format_uri, parse_uri

#: name-addr = [ display-name ] LAQUOT addr-spec RAQUOT
#: display-name = *(token LWS) / quoted-string
#: An unquoted name may hold more than tokens (UTF-8, brackets), but nothing that has a meaning here.
_NAME_ADDR = re.compile(rf'({QUOTED}|[^"<>,;:\\]*+)[ \t]*+<([^<>]*+)>', re.DOTALL)
_PLAIN_NAME = re.compile(rf"{TOKEN_CHARS}++(?: {TOKEN_CHARS}++)*+")

#: via-parm = sent-protocol LWS sent-by *( SEMI via-params ), white space allowed around "/" and ":"
_VIA = re.compile(
    rf"SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+({TOKEN_CHARS}++)[ \t]++({HOST})(?:[ \t]*+:[ \t]*+([0-9]++))?",
    re.IGNORECASE,
)

#: credentials = auth-scheme LWS auth-param *(COMMA auth-param)
_AUTH_SCHEME = re.compile(rf"({TOKEN_CHARS}++)(?:[ \t]++|\Z)")

#: auth-param = auth-param-name EQUAL ( token / quoted-string ); unquoted values may hold more (base64).
_AUTH_PARAM = re.compile(
    rf"[ \t]*+({TOKEN_CHARS}++)[ \t]*+=[ \t]*+({QUOTED}|[^\s\",]*+)[ \t]*+(?:,|\Z)", re.DOTALL
)

#: CSeq = 1*DIGIT LWS Method
_CSEQ = re.compile(rf"([0-9]++)[ \t]++({TOKEN_CHARS}++)")

#: RFC 3261 §20.16: a CSeq number fits 32 bits.
_HIGHEST_CSEQ = 2**32 - 1


@frozen
class NameAddr:
    """The value of From, To, Contact, Route, …: a URI, perhaps a name, and header parameters."""

    display: str
    uri: Uri
    params: Params = ()

    def __str__(self) -> str:
        return format_name_addr(self)

    def param(self, name: str) -> str | None:
        """The value of a header parameter without quotes, "" for a flag, None when absent."""
        return find_param(self.params, name)

    @property
    def tag(self) -> str | None:
        """The tag of a From or To, None when there is none."""
        return find_param(self.params, "tag")


@frozen
class Via:
    """One Via: how and from where a message was sent (RFC 3261 §20.42); transport in upper case."""

    transport: str
    host: str
    port: int | None
    params: Params = ()

    def __str__(self) -> str:
        return format_via(self)

    def param(self, name: str) -> str | None:
        """The value of a parameter without quotes, "" for a flag, None when absent."""
        return find_param(self.params, name)

    @property
    def branch(self) -> str | None:
        """The transaction identifier (§8.1.1.7)."""
        return find_param(self.params, "branch")

    @property
    def received(self) -> str | None:
        """The source address the next hop saw (§18.2.1), without brackets."""
        found = find_param(self.params, "received")
        return found.strip("[]") if found else None

    @property
    def rport(self) -> str | None:
        """The source port (RFC 3581 §3): None absent, "" asked for, else what the next hop saw."""
        return find_param(self.params, "rport")


@frozen
class CSeq:
    """A sequence number and the method it counts (RFC 3261 §20.16)."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@lru_cache(MEMORY)
def parse_name_addr(text: str) -> NameAddr:
    """Read a name-addr or addr-spec with parameters; raises SipError when it is malformed.

    Without angle brackets, parameters belong to the header, not to the URI (RFC 3261 §20).
    """
    text = text.strip(" \t")
    found = _NAME_ADDR.match(text)
    if found:
        display = unquote(found[1].rstrip(" \t"))
        return NameAddr(display, parse_uri(found[2]), parse_params(text[found.end() :], "address"))
    address, semicolon, params = text.partition(";")
    if "<" in address or '"' in address:
        raise SipError("Display name must be quoted and closed")
    if "?" in address or "," in address:
        raise SipError("URI must be in angle brackets")
    return NameAddr("", parse_uri(address.rstrip(" \t")), parse_params(semicolon + params, "address"))


def format_name_addr(value: NameAddr) -> str:
    """The text of a name-addr, always with angle brackets; the reverse of parse_name_addr."""
    display = value.display
    if display:
        display = f"{display if _PLAIN_NAME.fullmatch(display) else quote(display)} "
    return f"{display}<{format_uri(value.uri)}>{format_params(value.params)}"


@lru_cache(MEMORY)
def parse_via(text: str) -> Via:
    """Read one Via value; raises SipError when it is malformed."""
    text = text.strip(" \t")
    found = _VIA.match(text)
    if not found:
        raise SipError("Malformed Via")
    transport, host, port = found.groups()
    number = None if port is None else parse_number(port, 65535, "Via port")
    return Via(transport.upper(), host.strip("[]"), number, parse_params(text[found.end() :], "Via"))


def format_via(via: Via) -> str:
    """The text of a Via; the reverse of parse_via."""
    port = "" if via.port is None else f":{via.port}"
    return f"SIP/2.0/{via.transport} {bracketed(via.host)}{port}{format_params(via.params)}"


@lru_cache(MEMORY)
def parse_cseq(text: str) -> CSeq:
    """Read a CSeq; raises SipError when it is malformed or does not fit 32 bits."""
    found = _CSEQ.fullmatch(text.strip(" \t"))
    if not found:
        raise SipError("Malformed CSeq")
    return CSeq(parse_number(found[1], _HIGHEST_CSEQ, "CSeq number"), found[2])


def parse_auth(text: str) -> tuple[str, dict[str, str]]:
    """Read a challenge or credentials: the scheme, then values without quotes by lower-case name.

    Raises SipError when it is malformed or a name stands twice (RFC 7616 §3.4).
    """
    text = text.strip(" \t")
    scheme = _AUTH_SCHEME.match(text)
    if not scheme:
        raise SipError("Malformed authentication scheme")
    pairs: dict[str, str] = {}
    position = scheme.end()
    while found := _AUTH_PARAM.match(text, position):
        name = found[1].lower()
        if name in pairs:
            raise SipError("Authentication parameter stands twice")
        pairs[name] = unquote(found[2])
        position = found.end()
    if position != len(text):
        raise SipError("Malformed authentication parameter")
    return scheme[1], pairs
