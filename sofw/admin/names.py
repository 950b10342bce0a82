"""What an operator may call a site, a user or a domain; the same rules for files and commands."""

from __future__ import annotations

import re

from sofw.address import OUTSIDE, is_ip

#: A site's name stands in tokens, paths and log lines: letters, digits and hyphens, as one DNS label
#: (RFC 1123 §2.1, 63 characters at most).
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

#: The user part of an address of record, without what would need escaping in a SIP URI
#: (RFC 3261 §25.1, `unreserved` and the harmless part of `user-unreserved`).
_USER = re.compile(r"[A-Za-z0-9\-_.!~*'&=+$]{1,64}")

#: Names that mean something else where a site's name stands.
_RESERVED = frozenset({OUTSIDE, "tunnel"})

#: RFC 1035 §2.3.4.
_DOMAIN_LIMIT = 253

SITE_NAME = "lower-case letters, digits and hyphens, at most 63, and not 'outside' or 'tunnel'"
USER_NAME = "letters, digits and -_.!~*'&=+$, at most 64"
DOMAIN_NAME = "a domain name in lower case, such as example.com, or an IP address"


def is_site_name(text: str) -> bool:
    """Whether a site may be called so."""
    return _LABEL.fullmatch(text) is not None and text not in _RESERVED


def is_user_name(text: str) -> bool:
    """Whether a user may be called so."""
    return _USER.fullmatch(text) is not None


def is_domain_name(text: str) -> bool:
    """Whether the text is a domain SoFW can serve."""
    if is_ip(text):
        return True
    return len(text) <= _DOMAIN_LIMIT and all(_LABEL.fullmatch(label) for label in text.split("."))
