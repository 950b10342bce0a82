"""The [tls] section: what it gives, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

from sofw.address import Transport
from sofw.net.tls import KeyPair, TlsFiles
from sofw.service.config import load_hrac, load_hras
from tests.net.certificates import Authority
from tests.service.test_config import HRAC_LEAST, HRAS_LEAST, ConfigCase


class CertificateTests(ConfigCase):
    """With certificates that exist."""

    def setUp(self) -> None:
        """Two pairs and an authority."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.authority = Authority(folder)
        self.first = self.authority.pair("first", "example.com")
        self.second = self.authority.pair("second", "example.net")

    def text(self, least: str = HRAS_LEAST, more: str = "", sip: str = "") -> str:
        """A file with TLS."""
        certificate = f'certificate = "{self.first.certificate}"\nkey = "{self.first.key}"\n'
        return f'{least}transports = ["udp", "tls"]\n{sip}\n[tls]\n{certificate}{more}\n'

    def test_least(self) -> None:
        """A certificate and its key, for either half; the port is the usual one."""
        for load, least in ((load_hras, HRAS_LEAST), (load_hrac, HRAC_LEAST)):
            config = load(self.write(self.text(least)))
            self.assertEqual(config.tls, TlsFiles((self.first,)))
            self.assertEqual(config.sip.transports, (Transport.UDP, Transport.TLS))
            self.assertEqual((config.sip.port, config.sip.secure_port), (5060, 5061))

    def test_everything(self) -> None:
        """More certificates, and whom to believe."""
        file = self.authority.file
        more = (
            f'ca_file = "{file}"\nclient_ca_file = "{file}"\nmore_certificates = [{self.entry(self.second)}]'
        )
        config = load_hras(self.write(self.text(more=more, sip="tls_port = 5443")))
        self.assertEqual(config.tls, TlsFiles((self.first, self.second), file, file))
        self.assertEqual(config.sip.secure_port, 5443)

    def entry(self, pair: KeyPair) -> str:
        """A pair as the file writes it."""
        return f'{{certificate = "{pair.certificate}", key = "{pair.key}"}}'

    def test_routes(self) -> None:
        """With TLS a domain's server may be reached by it."""
        routes = '[routes]\n"x.org" = "sips:y.org"\n"z.org" = "sip:y.org;transport=tls"'
        config = load_hras(self.write(self.text(more=routes)))
        self.assertEqual(
            [str(uri) for uri in config.routes.values()], ["sips:y.org", "sip:y.org;transport=tls"]
        )

    def test_refused(self) -> None:
        """Each names the option, the file and the reason."""
        wrong = KeyPair(self.first.certificate, self.second.key)
        absent = '"/nowhere/x.pem"'
        cases = [
            (self.text().replace("key =", "#"), "tls.key", "is missing"),
            (self.text().replace("certificate =", "#"), "tls.certificate", "is missing"),
            (self.text().replace(self.first.key, self.second.key), "tls.key", "key values mismatch"),
            (self.text().replace(self.first.certificate, self.first.key), "tls.certificate", self.first.key),
            (self.text(more=f"ca_file = {absent}"), "tls.ca_file", "No such file"),
            (self.text(more=f"client_ca_file = {absent}"), "tls.client_ca_file", "No such file"),
            (
                self.text(more=f"more_certificates = [{self.entry(wrong)}]"),
                "tls.more_certificates",
                "mismatch",
            ),
            (
                self.text(more="more_certificates = [{key = 1}]"),
                "tls.more_certificates",
                "entries of the form",
            ),
            (self.text(more="more_certificates = [1]"), "tls.more_certificates", "entries of the form"),
            (self.text(sip="port = 5061").replace('"udp"', '"tcp"'), "sip.tls_port", "the port for TCP"),
        ]
        for text, key, *words in cases:
            with self.subTest(text):
                self.refused(load_hras, text, key, *words)

    def test_key_open_to_everyone(self) -> None:
        """A private key that everyone may read is none."""
        os.chmod(self.first.key, 0o644)
        self.refused(load_hras, self.text(), "tls.key", "open to everyone", "chmod")
