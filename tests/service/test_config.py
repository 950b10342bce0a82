"""The configuration files: samples against the tables, values, and what is refused."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Transport
from sofw.errors import ConfigError
from sofw.service.config import (
    HRAC_OPTIONS,
    HRAS_OPTIONS,
    ControlConfig,
    HttpConfig,
    MediaConfig,
    ProxyConfig,
    RegistrarConfig,
    SilenceConfig,
    SipConfig,
    StateConfig,
    load_hrac,
    load_hras,
)
from sofw.service.settings import Option
from sofw.sip.uri import parse_uri

SAMPLES = Path(__file__).resolve().parents[2] / "etc" / "sofw"

HRAS_LEAST = 'domains = ["example.com"]\n[sip]\naddress = "203.0.113.10"\n'
SECRET = "a-secret-that-is-long-enough"
HRAC_TOP = f'site = "head-office"\nhras = "http://203.0.113.10"\nsecret = "{SECRET}"\n'
HRAC_LEAST = HRAC_TOP + '[sip]\naddress = "192.168.1.10"\n'


def uncommented(text: str) -> str:
    """A sample with every option switched on: `#key` and `#[section]`, not `# words`."""
    return re.sub(r"(?m)^#(?=[a-z\[])", "", text)


def sample(name: str) -> str:
    """The text of a sample file as it is delivered."""
    return (SAMPLES / name).read_text(encoding="utf-8")


def flat(table: dict[str, Any], start: str = "") -> dict[str, Any]:
    """The leaves of a parsed file by dotted key."""
    leaves: dict[str, Any] = {}
    for name, value in table.items():
        leaves |= flat(value, f"{start}{name}.") if isinstance(value, dict) else {start + name: value}
    return leaves


def expected(options: Sequence[Option]) -> dict[str, Any]:
    """What a sample must hold: each option's default, as the file writes it."""
    values: dict[str, Any] = {}
    for option in options:
        if option.names is None:
            values[option.key] = values[option.like[-1]] if option.like else option.default
    return values


class ConfigCase(SynchronousTestCase):
    """Writes a file that only its owner may read."""

    def write(self, text: str, mode: int = 0o600) -> str:
        """The path of a new file with this text."""
        path = self.mktemp()
        Path(path).write_text(text, encoding="utf-8")
        os.chmod(path, mode)
        return os.path.abspath(path)

    def refused(self, load: Any, text: str, key: str, *words: str) -> None:
        """Loading the text fails, naming the file, the key and each of the words."""
        path = self.write(text)
        error = self.assertRaises(ConfigError, load, path)
        self.assertEqual((error.file, error.key), (path, key), str(error))
        for word in words:
            self.assertIn(word, str(error))


class SampleTests(ConfigCase):
    """The delivered files say what the code does."""

    def test_hras_sample_holds_every_default(self) -> None:
        """The uncommented hras.toml has exactly the options of the table, at their defaults."""
        found = flat(tomllib.loads(uncommented(sample("hras.toml"))))
        self.assertEqual(found, expected(HRAS_OPTIONS))

    def test_hrac_sample_holds_every_default(self) -> None:
        """The uncommented hrac.toml has exactly the options of the table, at their defaults."""
        found = flat(tomllib.loads(uncommented(sample("hrac.toml"))))
        self.assertEqual(found, expected(HRAC_OPTIONS))

    def test_hras_sample_gives_what_silence_gives(self) -> None:
        """Writing out every default changes nothing against giving only what is required."""
        whole = load_hras(self.write(uncommented(sample("hras.toml"))))
        self.assertEqual(whole, load_hras(self.write(HRAS_LEAST)))

    def test_hrac_sample_gives_what_silence_gives(self) -> None:
        """The same for the inside half, once the secret is filled in."""
        text = uncommented(sample("hrac.toml")).replace('secret = ""', f'secret = "{SECRET}"')
        self.assertEqual(load_hrac(self.write(text)), load_hrac(self.write(HRAC_LEAST)))

    def test_untouched_samples_name_what_is_missing(self) -> None:
        """A sample nobody edited is refused by naming the first required option."""
        self.refused(load_hras, sample("hras.toml"), "domains", "is missing", "example.com")
        self.refused(load_hrac, sample("hrac.toml"), "site", "is missing", "letters")

    def test_every_option_is_explained(self) -> None:
        """Words stand above each option, or above the group of at most three that it belongs to."""
        for name in ("hras.toml", "hrac.toml"):
            groups = re.findall(r"(?m)^(.*)\n((?:#[a-z].*\n)+)", sample(name))
            self.assertGreater(len(groups), 10)
            for above, options in groups:
                self.assertTrue(above.startswith("# "), options)
                self.assertLessEqual(options.count("\n"), 3, options)


class HrasTests(ConfigCase):
    """hras.toml as values."""

    def test_least(self) -> None:
        """Only the required options: everything else has its documented value."""
        config = load_hras(self.write(HRAS_LEAST))
        self.assertEqual(config.domains, ("example.com",))
        self.assertEqual(
            config.sip,
            SipConfig("203.0.113.10", "203.0.113.10", 5060, (Transport.UDP, Transport.TCP), 5061),
        )
        self.assertEqual((config.sip.secure_port, config.tls), (None, None))
        self.assertEqual(config.http, HttpConfig("203.0.113.10", 80, 4000, 500))
        self.assertEqual(config.media, MediaConfig("203.0.113.10", "203.0.113.10", 20000, 29999, 0.002))
        self.assertEqual(config.silence, SilenceConfig(60, 600))
        digests = (("SHA-256", "MD5"), ("baresip v0.", "baresip v1."))
        expected = RegistrarConfig(60, 7200, 3600, 10, *digests)
        self.assertEqual(config.registrar, expected)
        self.assertEqual(config.state, StateConfig("/var/lib/sofw"))
        self.assertEqual(config.state.database, "/var/lib/sofw/hras.db")
        self.assertEqual(config.control, ControlConfig("/run/sofw/hras.sock", ""))

    def test_listen_behind_nat(self) -> None:
        """sip.listen carries over to HTTP and media, while peers are still told the public address."""
        config = load_hras(self.write(HRAS_LEAST + 'listen = "10.0.0.4"\n'))
        self.assertEqual((config.sip.address, config.sip.listen), ("203.0.113.10", "10.0.0.4"))
        self.assertEqual(config.http.address, "10.0.0.4")
        self.assertEqual((config.media.address, config.media.listen), ("203.0.113.10", "10.0.0.4"))

    def test_second_media_address(self) -> None:
        """An own media address is listened on, rather than that of SIP."""
        config = load_hras(self.write(HRAS_LEAST + '[media]\naddress = "203.0.113.11"\n'))
        self.assertEqual((config.media.address, config.media.listen), ("203.0.113.11", "203.0.113.11"))

    def test_ipv6(self) -> None:
        """IPv6 literals stand without brackets."""
        config = load_hras(self.write('domains = ["example.com"]\n[sip]\naddress = "2001:db8::1"\n'))
        self.assertEqual(config.media.listen, "2001:db8::1")

    def test_routes(self) -> None:
        """Each domain with its server; the sample's line is one, quotes around the domain or not."""
        (line,) = re.findall(r'(?m)^#("partner.*)$', sample("hras.toml"))
        uri = parse_uri("sip:198.51.100.7:5070;transport=tcp")
        for text in (line, line.replace('"partner.example"', "partner.example")):
            config = load_hras(self.write(HRAS_LEAST + f'[routes]\n{text}\nbranch-2.net = "sip:pbx.lan"\n'))
            self.assertEqual(
                config.routes, {"partner.example": uri, "branch-2.net": parse_uri("sip:pbx.lan")}
            )
        self.assertEqual(load_hras(self.write(HRAS_LEAST)).routes, {})

    def test_follow_redirects(self) -> None:
        """Off unless it is switched on, by true alone."""
        self.assertFalse(load_hras(self.write(HRAS_LEAST)).call.follow_redirects)
        self.assertTrue(load_hras(self.write(HRAS_LEAST + "follow_redirects = true\n")).call.follow_redirects)
        for text in ("1", '"true"', "[]"):
            given = HRAS_LEAST + f"follow_redirects = {text}\n"
            self.refused(load_hras, given, "sip.follow_redirects", "true or false")

    def test_session(self) -> None:
        """Half an hour, and not below what RFC 4028 allows; the one asked for is not below the least."""
        call = load_hras(self.write(HRAS_LEAST)).call
        self.assertEqual((call.session_expires, call.min_session_expires), (1800, 90))
        for given, key in (
            ("session_expires = 89", "sip.session_expires"),
            ("min_session_expires = 60", "sip.min_session_expires"),
            ("session_expires = 600\nmin_session_expires = 601", "sip.session_expires"),
        ):
            self.refused(load_hras, HRAS_LEAST + given + "\n", key)

    def test_refused_routes(self) -> None:
        """A route names its domain, what it holds, and what is allowed."""
        shown = 'such as "sip:198.51.100.7:5070;transport=tcp"'
        cases = [
            ('"x.org" = "198.51.100.7"', "routes.x.org", "'198.51.100.7' is not allowed", shown),
            ('"x.org" = 5060', "routes.x.org", "5060 is not allowed", shown),
            ('"x.org" = ["sip:y.org"]', "routes.x.org", shown),
            ('"x.org" = ""', "routes.x.org", shown),
            ('"x.org" = "sip:joe@y.org"', "routes.x.org", shown),
            ('"x.org" = "sip:y.org:0"', "routes.x.org", shown),
            ('"x.org" = "sip:y.org:99999"', "routes.x.org", shown),
            ('"x.org" = "sip:y.org;lr"', "routes.x.org", shown),
            ('"x.org" = "sip:y.org?a=b"', "routes.x.org", shown),
            ('"x.org" = "sip:y.org;transport=sctp"', "routes.x.org", shown),
            ('"x.org" = "tel:+1"', "routes.x.org", shown),
            ('"x.org" = "sips:y.org"', "routes.x.org", "sip.transports has no tls"),
            ('"x.org" = "sip:y.org;transport=tls"', "routes.x.org", "sip.transports has no tls"),
            ('"X.org" = "sip:y.org"', "routes.X.org", "'X.org' is not allowed", "lower case"),
            ('"*" = "sip:y.org"', "routes.*", "'*' is not allowed"),
            ('"example.com" = "sip:y.org"', "routes.example.com", "one of our own domains"),
        ]
        for text, key, *words in cases:
            with self.subTest(text):
                self.refused(load_hras, f"{HRAS_LEAST}[routes]\n{text}\n", key, *words)
        only_udp = HRAS_LEAST + 'transports = ["udp"]\n[routes]\n"x.org" = "sip:y.org;transport=TCP"\n'
        self.refused(load_hras, only_udp, "routes.x.org", "sip.transports has no tcp")
        self.refused(
            load_hras, 'routes = "sip:y.org"\n' + HRAS_LEAST, "routes", "is a section; write [routes]"
        )

    def test_tick_zero(self) -> None:
        """No gathering at all is allowed."""
        self.assertEqual(load_hras(self.write(HRAS_LEAST + "[media]\ntick = 0\n")).media.tick, 0.0)

    def test_smallest_range(self) -> None:
        """One pair of ports is enough."""
        config = load_hras(self.write(HRAS_LEAST + "[media]\nfirst_port = 30000\nlast_port = 30001\n"))
        self.assertEqual((config.media.first_port, config.media.last_port), (30000, 30001))

    def test_refused(self) -> None:
        """Each wrong setting names its key, its value and what is allowed."""
        cases = [
            ("", "domains", "is missing"),
            ('domains = ["example.com"]', "sip.address", "is missing", "203.0.113.10"),
            (HRAS_LEAST.replace('["example.com"]', "[]"), "domains", "[] is not allowed", "one or more"),
            (HRAS_LEAST.replace('["example.com"]', '"example.com"'), "domains", "list"),
            (HRAS_LEAST.replace('["example.com"]', '["Example.com"]'), "domains", "lower case"),
            (HRAS_LEAST.replace('["example.com"]', '["a.b", "a.b"]'), "domains", "different"),
            (HRAS_LEAST.replace("203.0.113.10", "0.0.0.0"), "sip.address", "'0.0.0.0' is not allowed"),
            (HRAS_LEAST.replace("203.0.113.10", "sip.example.com"), "sip.address", "IP address"),
            (HRAS_LEAST + "port = 70000", "sip.port", "70000 is not allowed", "from 1 to 65535"),
            (HRAS_LEAST + "port = true", "sip.port", "True is not allowed"),
            (HRAS_LEAST + 'port = "5060"', "sip.port", "'5060' is not allowed"),
            (HRAS_LEAST + 'transports = ["tls"]', "tls.certificate", "is missing"),
            (HRAS_LEAST + 'transports = ["sctp"]', "sip.transports", '"udp", "tcp" and "tls"'),
            (HRAS_LEAST + "transports = []", "sip.transports", "one or more"),
            (HRAS_LEAST + '[tls]\nkey = "/key"', "tls.key", "of no use"),
            (HRAS_LEAST + "[media]\ntick = 0.021", "media.tick", "0.021", "from 0 to 0.02"),
            (HRAS_LEAST + "[media]\ntick = -1", "media.tick", "from 0 to 0.02"),
            (HRAS_LEAST + "[media]\ntick = nan", "media.tick", "nan is not allowed"),
            (HRAS_LEAST + "[media]\nfirst_port = 20001", "media.first_port", "20001", "even"),
            (HRAS_LEAST + "[media]\nlast_port = 20000", "media.last_port", "20000", "above first_port"),
            (HRAS_LEAST + "port = 20004", "sip.port", "within the media ports"),
            (HRAS_LEAST + "[registrar]\nmin_expires = 3601", "registrar.default_expires", "3601"),
            (HRAS_LEAST + "[registrar]\nmax_expires = 3599", "registrar.default_expires", "3599"),
            (HRAS_LEAST + '[registrar]\ndigests = ["SHA-512"]', "registrar.digests", '"SHA-256" and "MD5"'),
            (HRAS_LEAST + '[state]\ndirectory = "var"', "state.directory", "begins with /"),
        ]
        for text, key, *words in cases:
            self.refused(load_hras, text, key, *words)

    def test_unknown_keys(self) -> None:
        """What the table does not know is refused, with a hint where one is near."""
        cases = [
            (HRAS_LEAST + "prot = 5060", "sip.prot", "did you mean sip.port?"),
            (HRAS_LEAST + "[meida]\ntick = 0", "meida.tick", "did you mean media.tick?"),
            (HRAS_LEAST + "[sip.tls]\nport = 5061", "sip.tls.port", "is not an option"),
            (HRAS_LEAST + '[tls]\ncertificat = "/x"', "tls.certificat", "did you mean tls.certificate?"),
            (HRAS_LEAST + "[zzzzzzzz]", "zzzzzzzz", "is not an option"),
            (HRAS_LEAST + "[route]\na = 1", "route.a", "is not an option"),
            ("max_contacts = 5\n" + HRAS_LEAST, "max_contacts", "did you mean registrar.max_contacts?"),
            ('domains = ["a.b"]\nsip = 5060', "sip", "is a section; write [sip]"),
        ]
        for text, key, *words in cases:
            self.refused(load_hras, text, key, *words)

    def test_empty_section(self) -> None:
        """A section whose options are all commented out is as good as none."""
        config = load_hras(self.write(HRAS_LEAST + "[media]\n[http]\n[routes]\n"))
        self.assertEqual(config, load_hras(self.write(HRAS_LEAST)))

    def test_unreadable(self) -> None:
        """A file that is absent, no TOML or no text is one sentence that names it."""
        absent = os.path.abspath(self.mktemp())
        error = self.assertRaises(ConfigError, load_hras, absent)
        self.assertEqual(str(error), f"{absent}: cannot be read: No such file or directory")
        self.refused(load_hras, "domains = [", "", "is not valid TOML")
        path = self.write("")
        Path(path).write_bytes(b'domains = "\xff"')
        self.assertIn("is not valid TOML", str(self.assertRaises(ConfigError, load_hras, path)))


class HracTests(ConfigCase):
    """hrac.toml as values."""

    def test_least(self) -> None:
        """Only the required options: straight to HRAS."""
        config = load_hrac(self.write(HRAC_LEAST))
        self.assertEqual((config.site, config.secret), ("head-office", SECRET.encode()))
        self.assertEqual((config.hras, config.proxy), ("http://203.0.113.10", None))
        self.assertEqual(config.sip.address, "192.168.1.10")
        self.assertEqual(config.media, MediaConfig("192.168.1.10", "192.168.1.10", 20000, 29999, 0.002))
        self.assertEqual(config.control, ControlConfig("/run/sofw/hrac.sock", ""))

    def test_web_addresses(self) -> None:
        """The address of HRAS is kept without a slash at its end, with its port."""
        for given, kept in [
            ("http://sofw.example.com/", "http://sofw.example.com"),
            ("http://sofw.example.com:8080", "http://sofw.example.com:8080"),
            ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080"),
        ]:
            text = HRAC_LEAST.replace("http://203.0.113.10", given)
            self.assertEqual(load_hrac(self.write(text)).hras, kept)

    def test_proxy(self) -> None:
        """A proxy with a login, its password in the file or beside it."""
        login = HRAC_LEAST + '[proxy]\nurl = "http://proxy:3128"\nuser = "sofw"\n'
        held = self.write("pass word\nrest\n")
        wanted = ProxyConfig("http://proxy:3128", "sofw", "pass word")
        self.assertEqual(load_hrac(self.write(login + 'password = "pass word"\n')).proxy, wanted)
        wanted = ProxyConfig("http://proxy:3128", "sofw", "pass word", held)
        self.assertEqual(load_hrac(self.write(login + f'password_file = "{held}"\n')).proxy, wanted)

    def test_proxy_of_the_environment(self) -> None:
        """The usual variables name the proxy and its login; the file's login goes before theirs."""
        plain, mine = '[proxy]\nurl = "environment"\n', 'user = "me"\npassword = "mine"\n'
        cases = [
            ({}, plain, None),
            ({"http_proxy": "http://p:3128/"}, plain, ProxyConfig("http://p:3128", "", "")),
            ({"HTTP_PROXY": "p"}, plain, ProxyConfig("http://p:80", "", "")),
            ({"http_proxy": "http://u%40x:a%3Ab@p:1"}, plain, ProxyConfig("http://p:1", "u@x", "a:b")),
            ({"http_proxy": "http://u:p@p:1"}, plain + mine, ProxyConfig("http://p:1", "me", "mine")),
            ({"http_proxy": "http://p:1", "no_proxy": "x,203.0.113.10"}, plain, None),
            ({"http_proxy": "http://[2001:db8::1]:1"}, plain, ProxyConfig("http://[2001:db8::1]:1", "", "")),
            ({"http_proxy": "http://p:1"}, "", None),
            ({"https_proxy": "http://p:1"}, plain, None),
        ]
        for variables, text, wanted in cases:
            self.patch(os, "environ", variables)
            self.assertEqual(load_hrac(self.write(HRAC_LEAST + text)).proxy, wanted, variables)
        for bad in ("socks5://p:1", "http://", "http://p:99999", "http://p:x"):
            self.patch(os, "environ", {"http_proxy": bad})
            self.refused(load_hrac, HRAC_LEAST + plain, "proxy.url", "http_proxy")

    def test_secret_file(self) -> None:
        """The secret may stand in the first line of a file of its own."""
        held = self.write(f"{SECRET}\n")
        text = HRAC_LEAST.replace(f'secret = "{SECRET}"', f'secret_file = "{held}"')
        path = self.write(text, mode=0o644)
        self.assertEqual(load_hrac(path).secret, SECRET.encode())

    def test_refused(self) -> None:
        """Each wrong setting names its key and what is allowed."""
        cases = [
            (HRAC_LEAST.replace("head-office", "outside"), "site", "'outside' is not allowed"),
            (HRAC_LEAST.replace("head-office", "Head Office"), "site", "lower-case"),
            (HRAC_LEAST.replace("http:", "https:"), "hras", "https:// is not available in this version"),
            (HRAC_LEAST.replace("http:", "ftp:"), "hras", "http://host"),
            (HRAC_LEAST.replace('"http:', '"http://me@h:'), "hras", "http://host"),
            (HRAC_LEAST.replace("203.0.113.10", "203.0.113.10/tunnel"), "hras", "http://host"),
            (HRAC_LEAST.replace("203.0.113.10", "203.0.113.10:99999"), "hras", "http://host:port"),
            (HRAC_LEAST.replace("203.0.113.10", "[::1"), "hras", "http://host:port"),
            (HRAC_LEAST.replace("secret = ", "#"), "secret", "give either secret or secret_file"),
            ('secret_file = "/x"\n' + HRAC_LEAST, "secret", "give either secret or secret_file"),
            (HRAC_LEAST + '[proxy]\nurl = "http://proxy"', "proxy.url", "http://host:port"),
            (HRAC_LEAST + '[proxy]\nuser = "sofw"', "proxy.user", "without proxy.url"),
            (HRAC_LEAST + '[proxy]\nurl = "http://p:1"\npassword = "x"', "proxy.password", "proxy.user"),
            (HRAC_LEAST + '[proxy]\nurl = "http://p:1"\nuser = "a:b"', "proxy.user", "colon"),
            (HRAC_LEAST + "[media]\nsilence = 60", "media.silence", "is not an option"),
        ]
        for text, key, *words in cases:
            self.refused(load_hrac, text, key, *words)

    def test_both_passwords(self) -> None:
        """A password in two places is ambiguous."""
        proxy = '[proxy]\nurl = "http://p:1"\nuser = "u"\npassword = "x"\npassword_file = "/x"'
        self.refused(load_hrac, HRAC_LEAST + proxy, "proxy.password", "not both")

    def test_secrets_are_never_shown(self) -> None:
        """Neither an error nor the repr of a configuration lets a secret out."""
        error = self.assertRaises(ConfigError, load_hrac, self.write(HRAC_LEAST.replace(SECRET, "short-one")))
        self.assertNotIn("short-one", str(error))
        self.assertIn("16 characters or more", str(error))
        login = '[proxy]\nurl = "http://proxy:3128"\nuser = "sofw"\npassword = "hidden"\n'
        shown = repr(load_hrac(self.write(HRAC_LEAST + login)))
        self.assertNotIn(SECRET, shown)
        self.assertNotIn("hidden", shown)

    def test_open_to_everyone(self) -> None:
        """A secret in a file that everyone may read is refused, wherever it stands."""
        path = self.write(HRAC_LEAST, mode=0o644)
        error = self.assertRaises(ConfigError, load_hrac, path)
        self.assertEqual((error.key, "chmod o=" in str(error)), ("secret", True))
        held = self.write(SECRET, mode=0o604)
        text = HRAC_LEAST.replace(f'secret = "{SECRET}"', f'secret_file = "{held}"')
        self.refused(load_hrac, text, "secret_file", held, "open to everyone")

    def test_bad_secret_files(self) -> None:
        """A secret file that is absent, empty or too short is told as such."""
        cases = [
            ("/nonexistent/secret", "No such file"),
            (self.write("\n"), "is empty"),
            (self.write("short"), "fewer"),
        ]
        for held, word in cases:
            text = HRAC_LEAST.replace(f'secret = "{SECRET}"', f'secret_file = "{held}"')
            self.refused(load_hrac, text, "secret_file", word)
