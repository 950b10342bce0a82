"""Tests for the files that sofw.demo writes for others: configuration and accounts."""

from __future__ import annotations

import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sofw.demo.baresip import Account
from sofw.demo.halves import as_toml, hrac_settings, hras_settings
from sofw.service.config import load_hrac, load_hras


class ConfigurationTests(SynchronousTestCase):
    """What is written is what the halves read."""

    def test_toml(self) -> None:
        """Text, numbers, lists and tables come back as they were."""
        settings = {"text": 'a "b" \\ é', "number": 7, "list": ["x", "y"], "table": {"inner": 0.5}}
        self.assertEqual(tomllib.loads(as_toml(settings)), settings)

    def test_hras(self) -> None:
        """HRAS takes its settings; further tables are added to them."""
        folder = Path(self.mktemp()).absolute()
        more = {"media": {"silence": 5}, "registrar": {"md5_agents": ["SIPp"]}}
        config = load_hras(self.written(hras_settings("127.0.0.1", folder, http_port=8080, more=more)))
        self.assertEqual((config.http.port, config.sip.address), (8080, "127.0.0.1"))
        self.assertEqual((config.silence.silence, config.media.first_port), (5.0, 20000))
        self.assertEqual(config.registrar.md5_agents, ("SIPp",))
        self.assertEqual(config.state.directory, str(folder / "state"))

    def test_hrac(self) -> None:
        """HRAC takes its settings, with and without a proxy."""
        proxy = {"url": "http://127.0.0.3:3128", "user": "hrac", "password": "sesame"}
        given = ("office", "s" * 43, "http://127.0.0.1:8080", "127.0.0.2")
        config = load_hrac(self.written(hrac_settings(*given, proxy=proxy)))
        assert config.proxy is not None
        self.assertEqual((config.site, config.proxy.url, config.proxy.user), ("office", proxy["url"], "hrac"))
        self.assertIsNone(load_hrac(self.written(hrac_settings(*given))).proxy)

    def written(self, settings: object) -> str:
        """The path of a file with these settings, readable by its owner alone."""
        assert isinstance(settings, dict)
        path = Path(self.mktemp())
        path.touch(mode=0o600)
        path.write_text(as_toml(settings))
        return str(path)


class AccountTests(SynchronousTestCase):
    """A line of baresip's accounts."""

    def test_lines(self) -> None:
        """With a registrar the phone logs in there by the wanted transport, without one it stays alone."""
        cases = (
            (Account("a@b.c"), "<sip:a@b.c>;regint=0;answermode=auto;audio_codecs=PCMU\n"),
            (
                Account("a@b.c", "secret", "203.0.113.10", "manual", "tcp"),
                '<sip:a@b.c>;auth_pass=secret;outbound="sip:203.0.113.10;transport=tcp";regint=60'
                ";answermode=manual;audio_codecs=PCMU\n",
            ),
        )
        for account, line in cases:
            self.assertEqual(account.line(), line)
