"""Who may do what: digest authentication, and never an open relay.

A request is for a local user, or from an authenticated local user, or answered 403. Requests within a
dialog that carry one of our Record-Route tokens were admitted when the dialog began.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import evolve, frozen

from sofw.sip.digest import Challenger, Outcome
from sofw.sip.headers import parse_auth
from sofw.sip.message import Request, SipError
from sofw.sip.proxy import Interface, Refusal
from sofw.sip.uri import Uri

#: user, domain, algorithm → HA1, or None for a user or algorithm that is not there.
Lookup = Callable[[str, str, str], str | None]


@frozen
class Domains:
    """The domains we are responsible for; our own address stands for the first of them."""

    names: tuple[str, ...]

    def of(self, uri: Uri, interface: Interface) -> str | None:
        """The domain of ours the URI is in, or None."""
        host = uri.host.lower()
        if host in self.names:
            return host
        return self.names[0] if host == interface.host.lower() else None


class Admission:
    """Checks credentials; the nonces are keyed and need no memory of those asked."""

    def __init__(self, domains: Domains, lookup: Lookup, challenger: Challenger) -> None:
        self.domains = domains
        self._lookup = lookup
        self._challenger = challenger

    def registrant(self, request: Request, interface: Interface, now: float) -> str:
        """The address-of-record a REGISTER may change (RFC 3261 §10.3 steps 3-5).

        Raises Refusal 401 to ask for credentials, 400 for what is no SIP URI, 403 for another user's record,
        404 for a foreign domain.
        """
        uri = request.to.uri
        if uri.scheme not in ("sip", "sips"):
            raise SipError("An address-of-record must be a SIP URI", 400)  # §10.3 step 5
        domain = self.domains.of(uri, interface)
        if domain is None:
            raise SipError(f"This server does not serve the domain {uri.host}", 404)
        user = self._authenticated(request, domain, 401, now)
        aor = f"{user}@{domain}"
        if evolve(uri, host=domain).aor() != aor:
            raise SipError("Not your address-of-record", 403)
        return aor

    def sender(self, request: Request, interface: Interface, now: float) -> str | None:
        """The authenticated local user a request comes from; None when From is of a foreign domain.

        Raises Refusal 407 to ask for credentials, SipError 403 when they are somebody else's.
        """
        uri = request.from_.uri
        domain = self.domains.of(uri, interface)
        if domain is None:
            return None
        user = self._authenticated(request, domain, 407, now)
        aor = f"{user}@{domain}"
        if evolve(uri, host=domain).aor() != aor:
            raise SipError("From is not the authenticated user", 403)
        return aor

    def known(self, user: str, domain: str) -> bool:
        """Whether there is such a user."""
        return (
            self._lookup(user, domain, "MD5") is not None or self._lookup(user, domain, "SHA-256") is not None
        )

    def _authenticated(self, request: Request, realm: str, status: int, now: float) -> str:
        """The user whose credentials the request carries (RFC 3261 §22)."""
        name = "Authorization" if status == 401 else "Proxy-Authorization"
        stale = False
        for credentials in request.headers.all(name):
            verdict = self._challenger.check(
                credentials, request.method, request.body, self._lookup, now, realm
            )
            if verdict.outcome is Outcome.OK:
                return verdict.user
            stale = stale or verdict.outcome is Outcome.STALE
        answer = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        agent = request.headers.get("User-Agent") or ""
        values = self._challenger.challenge(realm, now, stale, agent)
        sentence = "Unauthorized" if status == 401 else "Proxy Authentication Required"
        raise Refusal(status, sentence, tuple((answer, value) for value in values))


def without_credentials(request: Request, realms: Collection[str]) -> Request:
    """Our own proxy credentials do not travel on (RFC 3261 §22.3)."""
    kept = [value for value in request.headers.all("Proxy-Authorization") if not _for_realm(value, realms)]
    return evolve(request, headers=request.headers.replace("Proxy-Authorization", *kept))


def _for_realm(value: str, realms: Collection[str]) -> bool:
    try:
        return parse_auth(value)[1].get("realm") in realms
    except SipError:  # another scheme's, so none that we asked for
        return False
