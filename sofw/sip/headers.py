"""The header fields of a message, in order, as an immutable value (RFC 3261 §7.3)."""

from __future__ import annotations

from attrs import frozen

from sofw.sip.fields import (
    CSeq,
    NameAddr,
    Via,
    format_name_addr,
    format_via,
    parse_auth,
    parse_cseq,
    parse_name_addr,
    parse_via,
)
from sofw.sip.grammar import SipError, is_token, split_list

__all__ = [
    "CSeq",
    "Headers",
    "NameAddr",
    "Via",
    "canonical",
    "format_name_addr",
    "format_via",
    "parse_auth",
    "parse_cseq",
    "parse_field",
    "parse_name_addr",
    "parse_via",
]

Field = tuple[str, str]

#: Compact forms (RFC 3261 §7.3.3 and the IANA registry of header fields).
_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

_OTHERS = """
    Accept Accept-Encoding Accept-Language Alert-Info Allow Authentication-Info Authorization Call-Info
    Content-Disposition Content-Language CSeq Date Error-Info Expires Flow-Timer In-Reply-To Join Max-Breadth
    Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info P-Asserted-Identity
    P-Associated-URI P-Called-Party-ID P-Preferred-Identity Path Priority Privacy Proxy-Authenticate
    Proxy-Authorization Proxy-Require RAck Reason Record-Route Replaces Reply-To Require Resource-Priority
    Retry-After Route RSeq Server Service-Route SIP-ETag SIP-If-Match Subscription-State Timestamp Unsupported
    User-Agent Warning WWW-Authenticate
"""
_KNOWN = frozenset(_COMPACT.values()) | frozenset(_OTHERS.split())
_CANONICAL = {name: name for name in _KNOWN} | {name.lower(): name for name in _KNOWN} | _COMPACT

#: A proxy takes these apart value by value, so each value is a field of its own (§7.3.1 allows it).
_LISTS = frozenset({"Via", "Route", "Record-Route", "Path", "Service-Route", "Contact"})


def canonical(name: str) -> str:
    """The RFC's spelling of a header name, compact forms expanded; an unknown name as it is."""
    return _CANONICAL.get(name) or _CANONICAL.get(name.lower(), name)


def parse_field(line: str) -> list[Field]:
    """Read one unfolded header line into one field, or one per value; raises SipError."""
    name, colon, value = line.partition(":")
    if not colon:
        raise SipError("Header line without a colon")
    name = name.rstrip(" \t")
    value = value.strip(" \t")
    known = canonical(name)
    if known not in _KNOWN and not is_token(name):
        raise SipError("Malformed header name")
    if known not in _LISTS:
        return [(known, value)]
    return [(known, piece) for piece in split_list(value)] if "," in value or not value else [(known, value)]


@frozen
class Headers:
    """Header fields in their order, names in canonical spelling; every change returns a new value.

    Names are looked up without regard to case.
    """

    fields: tuple[Field, ...] = ()

    def get(self, name: str) -> str | None:
        """The first value of that name, None when there is none."""
        wanted = canonical(name)
        if wanted not in _KNOWN:
            return next(iter(self.all(name)), None)
        for found, value in self.fields:
            if found == wanted:
                return value
        return None

    def all(self, name: str) -> tuple[str, ...]:
        """All values of that name in their order."""
        wanted = canonical(name)
        if wanted in _KNOWN:
            return tuple([value for found, value in self.fields if found == wanted])
        lower = wanted.lower()
        return tuple([value for found, value in self.fields if found.lower() == lower])

    def prepend(self, name: str, *values: str) -> Headers:
        """With values before the first of that name, or at the top."""
        places = self._places(name)
        return self._insert(places[0] if places else 0, name, values)

    def append(self, name: str, *values: str) -> Headers:
        """With values after the last of that name, or at the end."""
        places = self._places(name)
        return self._insert(places[-1] + 1 if places else len(self.fields), name, values)

    def replace(self, name: str, *values: str) -> Headers:
        """With these values in place of all of that name, at the place of the first, or at the end."""
        places = self._places(name)
        return self._without(places)._insert(places[0] if places else len(self.fields), name, values)

    def remove(self, name: str) -> Headers:
        """Without any field of that name."""
        return self._without(self._places(name))

    def remove_first(self, name: str, count: int = 1) -> Headers:
        """Without the first `count` fields of that name."""
        return self._without(self._places(name)[:count])

    def _places(self, name: str) -> list[int]:
        wanted = canonical(name)
        if wanted in _KNOWN:
            return [place for place, (found, _) in enumerate(self.fields) if found == wanted]
        lower = wanted.lower()
        return [place for place, (found, _) in enumerate(self.fields) if found.lower() == lower]

    def _insert(self, place: int, name: str, values: tuple[str, ...]) -> Headers:
        if not values:
            return self
        known = canonical(name)
        fresh = tuple([(known, value) for value in values])
        return Headers(self.fields[:place] + fresh + self.fields[place:])

    def _without(self, places: list[int]) -> Headers:
        if not places:
            return self
        gone = set(places)
        return Headers(tuple([field for place, field in enumerate(self.fields) if place not in gone]))
