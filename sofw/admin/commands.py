"""The commands each half understands on its control socket, as tables."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from attrs import frozen

from sofw.admin.control import Commands
from sofw.admin.names import DOMAIN_NAME, SITE_NAME, USER_NAME, is_domain_name, is_site_name, is_user_name
from sofw.errors import LocalError
from sofw.sip.digest import ha1
from sofw.store.records import SiteRecord, User

#: Shorter passwords are found by trying, and a found one makes calls at the owner's cost.
PASSWORD_LENGTH = 8

#: Bytes of randomness in the secret of a site; 256 bits, as the HMAC that proves it.
_SECRET_BYTES = 32

Args = Mapping[str, Any]


class Records(Protocol):
    """What the commands need of the store."""

    def users(self) -> list[User]:
        """Every user."""

    def add_user(self, user: User) -> None:
        """Keep a new user, or raise LocalError."""

    def set_password(self, user: User) -> None:
        """Replace the hashes of a user, or raise LocalError."""

    def remove_user(self, user: str, domain: str) -> None:
        """Forget a user, or raise LocalError."""

    def sites(self) -> list[SiteRecord]:
        """Every site."""

    def add_site(self, site: SiteRecord) -> None:
        """Keep a new site, or raise LocalError."""

    def remove_site(self, site: str) -> None:
        """Forget a site, or raise LocalError."""


@frozen
class Running:
    """What a running HRAS shows, as JSON can hold it, and what it must hear at once."""

    status: Callable[[], Mapping[str, object]]
    calls: Callable[[], Sequence[Mapping[str, object]]]
    registrations: Callable[[], Sequence[Mapping[str, object]]]
    rat: Callable[[], Sequence[Mapping[str, object]]]
    user_removed: Callable[[str], None]
    site_removed: Callable[[str], None]


class Switch(Protocol):
    """Turns a half off and on; each tells the position, or raises LocalError."""

    def off(self) -> Mapping[str, object]:
        """Close all tunnels, and keep them closed."""

    def on(self) -> Mapping[str, object]:
        """Let tunnels come up again."""


def hras_commands(
    records: Records,
    domains: Sequence[str],
    url: str,
    running: Running,
    now: Callable[[], float],
    switch: Switch,
) -> Commands:
    """The commands of the outside half.

    `url` is its web address as sites reach it, `now` gives Unix time.
    """
    users = _Users(records, domains, running.user_removed)
    sites = _Sites(records, domains, url, running.site_removed, now)
    return {
        "user add": users.add,
        "user passwd": users.set_password,
        "user del": users.remove,
        "user list": users.list,
        "site add": sites.add,
        "site del": sites.remove,
        "site list": sites.list,
        "status": _view(running.status),
        "calls": _view(running.calls),
        "registrations": _view(running.registrations),
        "rat": _view(running.rat),
        **_switch_commands(switch),
    }


def hrac_commands(status: Callable[[], Mapping[str, object]], switch: Switch) -> Commands:
    """The commands of the inside half: it knows its tunnel and its ports, and no users or calls."""
    return {"status": _view(status), **_switch_commands(switch)}


def _switch_commands(switch: Switch) -> Commands:
    return {"off": _view(switch.off), "on": _view(switch.on)}


@frozen
class _Users:
    records: Records
    domains: Sequence[str]
    removed: Callable[[str], None]

    def add(self, args: Args) -> object:
        """A new user with a password."""
        user = self._with_password(args)
        self.records.add_user(user)
        return {"user": user.aor}

    def set_password(self, args: Args) -> object:
        """Another password for a user."""
        user = self._with_password(args)
        self.records.set_password(user)
        return {"user": user.aor}

    def remove(self, args: Args) -> object:
        """Forget a user, and tell the running half."""
        user, domain = self._name(_only(args, "user")["user"])
        self.records.remove_user(user, domain)
        self.removed(f"{user}@{domain}")
        return {"user": f"{user}@{domain}"}

    def list(self, args: Args) -> object:
        """All users."""
        _only(args)
        return [{"user": user.aor} for user in self.records.users()]

    def _with_password(self, args: Args) -> User:
        found = _only(args, "user", "password")
        user, domain = self._name(found["user"])
        password = found["password"]
        if len(password) < PASSWORD_LENGTH or not password.isprintable():
            raise LocalError(f"a password has at least {PASSWORD_LENGTH} characters, all of them printable")
        # The realm of a challenge is the domain, so the hashes hold for that domain alone (RFC 3261 §22.1).
        hashes = (ha1(user, domain, password, algorithm) for algorithm in ("MD5", "SHA-256"))
        return User(user, domain, *hashes)

    def _name(self, text: str) -> tuple[str, str]:
        """The user and the domain of `user@domain`, or of `user` where there is but one domain."""
        user, at, domain = text.partition("@")
        if not is_user_name(user):
            raise LocalError(f"{user!r} is not a user name; allowed is {USER_NAME}")
        if not at and len(self.domains) == 1:
            return user, self.domains[0]
        if domain.lower() not in self.domains:
            served = ", ".join(self.domains)
            raise LocalError(f"{text!r} is not a user here; the domains are {served}")
        return user, domain.lower()


@frozen
class _Sites:
    records: Records
    domains: Sequence[str]
    url: str
    removed: Callable[[str], None]
    now: Callable[[], float]

    def add(self, args: Args) -> object:
        """A new site with a fresh secret, which is told this once, and the lines for its hrac.toml."""
        found = _only(args, "site", domains=[])
        site, domains = _site_name(found["site"]), self._domains(found["domains"])
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        self.records.add_site(SiteRecord(site, secret.encode(), domains, self.now()))
        lines = [f'site = "{site}"', f'secret = "{secret}"', f'hras = "{self.url}"']
        return {"site": site, "secret": secret, "domains": list(domains), "lines": lines}

    def remove(self, args: Args) -> object:
        """Forget a site, and tell the running half."""
        site = _only(args, "site")["site"]
        self.records.remove_site(site)
        self.removed(site)
        return {"site": site}

    def list(self, args: Args) -> object:
        """All sites, without their secrets."""
        _only(args)
        return [
            {"site": site.site, "domains": list(site.domains), "made": _iso(site.made)}
            for site in self.records.sites()
        ]

    def _domains(self, given: Sequence[str]) -> tuple[str, ...]:
        for domain in given:
            if not is_domain_name(domain):
                raise LocalError(f"{domain!r} is not a domain; allowed is {DOMAIN_NAME}")
            if domain not in self.domains:
                served = ", ".join(self.domains)
                raise LocalError(f"{domain!r} is not served here; the domains are {served}")
        return tuple(dict.fromkeys(given))


def _view(show: Callable[[], object]) -> Callable[[Args], object]:
    """A command without arguments that shows something."""

    def command(args: Args) -> object:
        _only(args)
        return show()

    return command


def _only(args: Args, *texts: str, **lists: list[str]) -> dict[str, Any]:
    """The arguments: the named texts, all needed, and lists of texts with their defaults; no others."""
    for name in args:
        if name not in texts and name not in lists:
            raise LocalError(f"there is no argument {name!r} to this command")
    found: dict[str, Any] = {}
    for name in texts:
        found[name] = args.get(name)
        if not isinstance(found[name], str):
            raise LocalError(f"the argument {name!r} must be a text")
    for name, default in lists.items():
        found[name] = args.get(name, default)
        if not isinstance(found[name], list) or not all(isinstance(each, str) for each in found[name]):
            raise LocalError(f"the argument {name!r} must be a list of texts")
    return found


def _site_name(text: str) -> str:
    if not is_site_name(text):
        raise LocalError(f"{text!r} is not a name for a site; allowed is {SITE_NAME}")
    return text


def _iso(seconds: float) -> str:
    """Unix time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
