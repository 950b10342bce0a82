"""Logging in at a web proxy: by Digest (RFC 7616), or by Basic (RFC 7617) when that is all it offers.

Nothing is said before the proxy asks. A password that was refused is not said again, since proxies lock
accounts: the login then counts as refused until it is told to forget that.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable

from sofw.credentials import ALGORITHMS, respond, unquote

#: Challenges that are looked at; a proxy offers a handful at the most.
_MOST_CHALLENGES = 16
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~\-]++"
#: challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ] (RFC 9110 §11.3); a list of them stands in one
#: field, so a scheme is told from a parameter by the "=" that it has not.
_SCHEME = re.compile(
    rf"[ \t,]*+({_TOKEN})(?:[ \t]++|(?=,)|\Z)(?![ \t]*+=)(?:[A-Za-z0-9\-._~+/]++=*+[ \t]*+(?=,|\Z))?"
)
_PARAM = re.compile(rf'[ \t,]*+({_TOKEN})[ \t]*+=[ \t]*+("(?:[^"\\]|\\.)*+"|{_TOKEN})', re.DOTALL)

Credentials = tuple[str, str]
Challenge = tuple[str, dict[str, str]]


class Login:
    """One login, shared by all connections through a proxy.

    `read` gives user and password, anew each time the proxy asks: the file may have changed. `refused` is
    the reason why it is of no use to go on, "" while there is none.
    """

    def __init__(self, read: Callable[[], Credentials]) -> None:
        self.refused = ""
        self._read = read
        self._known = read()
        self._challenge: Challenge | None = None
        self._count = 0

    @property
    def kind(self) -> str:
        """How the proxy wants it: "Digest", "Basic", or "" while it has not asked."""
        return "" if self._challenge is None else self._challenge[0].capitalize()

    def header(self, method: str, uri: str) -> str | None:
        """The value of Proxy-Authorization for this request; None while the proxy has not asked."""
        if self._challenge is None or self.refused:
            return None
        scheme, asked = self._challenge
        user, password = self._known
        if scheme == "basic":
            return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
        self._count += 1
        return respond(asked, user, password, method, uri, count=self._count)

    def challenged(self, values: Iterable[str], said: str | None) -> bool:
        """The proxy answered 407 with these Proxy-Authenticate values; whether to ask again.

        `said` is the header value the request had.
        """
        if self.refused:
            return False
        before, self._known = self._known, self._read()
        best = _best(parse_challenges(values))
        if not self._known[0]:
            self.refused = "The web proxy wants a login, and none is configured (407)"
        elif best is None:
            self.refused = "The web proxy wants a login of a kind that is not known here (407)"
        elif said is not None and self._known == before and not _is_stale(best, said):
            self.refused = f"The web proxy refuses the login of {self._known[0]} (407)"
        else:
            self._take(best)
        return not self.refused

    def next_nonce(self, info: str) -> None:
        """The value of Proxy-Authentication-Info: it may name the nonce to go on with (RFC 7616 §3.5)."""
        fields = {found[1].lower(): unquote(found[2]) for found in _PARAM.finditer(info)}
        if self._challenge is not None and fields.get("nextnonce"):
            scheme, asked = self._challenge
            self._take((scheme, {**asked, "nonce": fields["nextnonce"]}))

    def is_changed(self) -> bool:
        """Whether there are other credentials now than those that were refused."""
        return bool(self.refused) and self._read() != self._known

    def forget(self) -> None:
        """Begin anew, as if the proxy had never asked."""
        self.refused = ""
        self._challenge = None

    def _take(self, challenge: Challenge) -> None:
        if self._challenge is None or challenge[1].get("nonce") != self._challenge[1].get("nonce"):
            self._count = 0
        self._challenge = challenge


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges in Proxy-Authenticate fields: schemes and parameter names in lower case.

    What cannot be read ends a field; nothing is raised.
    """
    found: list[Challenge] = []
    for value in values:
        position = 0
        while len(found) < _MOST_CHALLENGES and (scheme := _SCHEME.match(value, position)):
            position = scheme.end()
            pairs: dict[str, str] = {}
            while pair := _PARAM.match(value, position):
                pairs.setdefault(pair[1].lower(), unquote(pair[2]))
                position = pair.end()
            found.append((scheme[1].lower(), pairs))
    return found


def _best(challenges: list[Challenge]) -> Challenge | None:
    """Digest before Basic, which shows the password to everyone on the way; the best algorithm first."""
    digests = {
        asked.get("algorithm", "MD5").upper(): (scheme, asked)
        for scheme, asked in reversed(challenges)
        if scheme == "digest" and asked.get("nonce")
    }
    ranked = [digests[name] for name in ALGORITHMS if name in digests]
    ranked += [challenge for challenge in challenges if challenge[0] == "basic"]
    return ranked[0] if ranked else None


def _is_stale(challenge: Challenge, said: str) -> bool:
    """Whether only the nonce was at fault (RFC 7616 §3.3), or the proxy wants another kind of login now."""
    scheme, asked = challenge
    return asked.get("stale", "").lower() == "true" or not said.lower().startswith(scheme)
