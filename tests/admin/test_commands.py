"""The commands of both halves, from the arguments to the store."""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sofw.admin.commands import Running, hrac_commands, hras_commands
from sofw.errors import LocalError
from sofw.sip.digest import ha1
from sofw.store.records import User
from sofw.store.sqlite import Store

URL = "http://203.0.113.10"
PASSWORD = "correct horse"


class CommandCase(SynchronousTestCase):
    """An HRAS's table over a fresh store; what the running half hears is recorded."""

    domains: tuple[str, ...] = ("example.com",)

    def setUp(self) -> None:
        self.store = Store(os.path.abspath(self.mktemp()))
        self.addCleanup(self.store.close)
        self.events: list[tuple[str, str]] = []
        running = Running(
            status=lambda: {"version": "1"},
            calls=lambda: [{"Call-ID": "a"}],
            registrations=lambda: [{"aor": "alice@example.com"}],
            rat=lambda: [{"IIP": "192.168.1.20"}],
            user_removed=lambda aor: self.events.append(("user removed", aor)),
            site_removed=lambda site: self.events.append(("site removed", site)),
        )
        self.commands = hras_commands(self.store, self.domains, URL, running, lambda: 1000.0, self)

    def off(self) -> dict[str, object]:
        """As the switch."""
        self.events.append(("switch", "off"))
        return {"switch": "off"}

    def on(self) -> dict[str, object]:
        """As the switch."""
        self.events.append(("switch", "on"))
        return {"switch": "on"}

    def run_command(self, command: str, **args: Any) -> Any:
        """The result of a command."""
        return self.commands[command](args)

    def refused(self, sentence: str, command: str, **args: Any) -> None:
        """The command is refused with this sentence, nobody hears of it and nothing is kept."""
        before = (self.store.users(), self.store.sites())
        error = self.assertRaises(LocalError, self.commands[command], args)
        self.assertEqual(str(error), sentence)
        self.assertEqual(self.events, [])
        self.assertEqual((self.store.users(), self.store.sites()), before)


def alice(password: str = PASSWORD, domain: str = "example.com") -> User:
    """Alice as the store keeps her."""
    md5, sha256 = (ha1("alice", domain, password, algorithm) for algorithm in ("MD5", "SHA-256"))
    return User("alice", domain, md5, sha256)


class UserTests(CommandCase):
    """`user …`."""

    def test_life(self) -> None:
        """A user is added, given another password, listed and removed; the running half hears of the end."""
        self.assertEqual(
            self.run_command("user add", user="alice", password=PASSWORD), {"user": "alice@example.com"}
        )
        self.assertEqual(self.store.users(), [alice()])
        self.run_command("user passwd", user="alice@EXAMPLE.com", password="another one")
        self.assertEqual(self.store.users(), [alice("another one")])
        self.assertEqual(self.run_command("user list"), [{"user": "alice@example.com"}])
        self.assertEqual(self.events, [])
        self.run_command("user del", user="alice@example.com")
        self.assertEqual((self.store.users(), self.events), ([], [("user removed", "alice@example.com")]))

    def test_refused(self) -> None:
        """Each wrong argument is one sentence."""
        self.run_command("user add", user="alice", password=PASSWORD)
        short = "a password has at least 8 characters, all of them printable"
        cases = [
            ("there is already a user alice@example.com", {"user": "alice", "password": PASSWORD}),
            (short, {"user": "bob", "password": "1234567"}),
            (short, {"user": "bob", "password": "12345678\n"}),
            (
                "'bob@example.net' is not a user here; the domains are example.com",
                {"user": "bob@example.net", "password": PASSWORD},
            ),
            (
                "'b b' is not a user name; allowed is letters, digits and -_.!~*'&=+$, at most 64",
                {"user": "b b", "password": PASSWORD},
            ),
            ("the argument 'user' must be a text", {"password": PASSWORD}),
            ("the argument 'password' must be a text", {"user": "bob", "password": 12345678}),
            (
                "there is no argument 'colour' to this command",
                {"user": "bob", "password": PASSWORD, "colour": "red"},
            ),
        ]
        for sentence, args in cases:
            self.refused(sentence, "user add", **args)
        self.refused("there is no user bob@example.com", "user passwd", user="bob", password=PASSWORD)
        self.refused("there is no user bob@example.com", "user del", user="bob")


class SeveralDomainsTests(CommandCase):
    """Where an HRAS serves more than one domain."""

    domains = ("example.com", "example.net")

    def test_domain_is_needed(self) -> None:
        """A name alone is ambiguous; with its domain it is hashed for that domain."""
        sentence = "'alice' is not a user here; the domains are example.com, example.net"
        self.refused(sentence, "user add", user="alice", password=PASSWORD)
        self.run_command("user add", user="alice@example.net", password=PASSWORD)
        self.assertEqual(self.store.users(), [alice(domain="example.net")])


class SiteTests(CommandCase):
    """`site …`."""

    def test_life(self) -> None:
        """A site gets a secret that is told once, is listed without it, and removed."""
        result = self.run_command("site add", site="head-office", domains=["example.com", "example.com"])
        (kept,) = self.store.sites()
        secret = kept.secret.decode()
        self.assertEqual((kept.site, kept.domains, kept.made), ("head-office", ("example.com",), 1000.0))
        self.assertEqual(len(secret), 43)
        lines = ['site = "head-office"', f'secret = "{secret}"', 'hras = "http://203.0.113.10"']
        self.assertEqual(
            result,
            {"site": "head-office", "secret": secret, "domains": ["example.com"], "lines": lines},
        )
        row = {"site": "head-office", "domains": ["example.com"], "made": "1970-01-01T00:16:40Z"}
        self.assertEqual(self.run_command("site list"), [row])
        self.run_command("site del", site="head-office")
        self.assertEqual((self.store.sites(), self.events), ([], [("site removed", "head-office")]))

    def test_secrets_differ(self) -> None:
        """No two sites get the same secret."""
        first, second = (self.run_command("site add", site=name)["secret"] for name in ("a", "b"))
        self.assertNotEqual(first, second)

    def test_refused(self) -> None:
        """Each wrong argument is one sentence."""
        self.run_command("site add", site="head-office")
        allowed = "lower-case letters, digits and hyphens, at most 63, and not 'outside' or 'tunnel'"
        cases: list[tuple[str, dict[str, Any]]] = [
            ("there is already a site head-office", {"site": "head-office"}),
            (f"'outside' is not a name for a site; allowed is {allowed}", {"site": "outside"}),
            (
                "'example.net' is not served here; the domains are example.com",
                {"site": "branch", "domains": ["example.net"]},
            ),
            (
                "'a b' is not a domain; allowed is a domain name in lower case, such as example.com,"
                " or an IP address",
                {"site": "branch", "domains": ["a b"]},
            ),
            ("the argument 'domains' must be a list of texts", {"site": "branch", "domains": "example.com"}),
            ("the argument 'domains' must be a list of texts", {"site": "branch", "domains": [1]}),
        ]
        for sentence, args in cases:
            self.refused(sentence, "site add", **args)
        self.refused("there is no site branch", "site del", site="branch")


class ViewTests(CommandCase):
    """The commands that only show."""

    def test_views(self) -> None:
        """Each shows what the running half gives, and takes no arguments."""
        wanted = {
            "status": {"version": "1"},
            "calls": [{"Call-ID": "a"}],
            "registrations": [{"aor": "alice@example.com"}],
            "rat": [{"IIP": "192.168.1.20"}],
        }
        self.assertEqual({name: self.run_command(name) for name in wanted}, wanted)
        for name in (*wanted, "user list", "site list"):
            self.refused("there is no argument 'x' to this command", name, x="1")

    def test_switch(self) -> None:
        """Both halves are switched off and on."""
        inside = hrac_commands(lambda: {}, self)
        for commands in (self.commands, inside):
            self.assertEqual(
                [commands[name]({}) for name in ("off", "on")], [{"switch": "off"}, {"switch": "on"}]
            )
        self.assertEqual(self.events, [("switch", "off"), ("switch", "on")] * 2)

    def test_inside_half(self) -> None:
        """HRAC has its status and its switch, and nothing else."""
        commands = hrac_commands(lambda: {"tunnel": "up"}, self)
        self.assertEqual(list(commands), ["status", "off", "on"])
        self.assertEqual(commands["status"]({}), {"tunnel": "up"})
