"""TLS: whom a certificate is for, and real handshakes in memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

from attrs import evolve
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLContextFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sofw.net.tls import KeyPair, Tls, TlsError, TlsFiles, explained, identities, speaks_for
from tests.net.certificates import UNREADABLE, Authority


class Case(SynchronousTestCase):
    """An authority, and an HRAS for example.com and example.net."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.authority = Authority(self.folder)
        first = self.authority.pair("first", "example.com", "sip:sip.example.com", "203.0.113.10")
        second = self.authority.pair("second", "example.net", "*.example.net")
        self.files = TlsFiles((first, second), self.authority.file)


def shake(client: SSL.Connection, server: SSL.Connection) -> None:
    """Both sides' handshake, in memory; raises SSL.Error when either refuses."""
    client.set_connect_state()
    server.set_accept_state()
    for _round in range(4):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(1 << 16))


def connected(caller: Tls, called: Tls, domain: str) -> SSL.Connection:
    """The caller's side of a connection; raises SSL.Error."""
    client = caller.calling(domain).clientConnectionForTLS(None)
    shake(client, SSL.Connection(called.getContext(), None))
    return client


def names_shown(client: SSL.Connection) -> tuple[str, ...]:
    """Whom the certificate that the server showed is for."""
    certificate = client.get_peer_certificate()
    assert certificate is not None
    return identities(certificate.to_cryptography())


class Identities(Case):
    """RFC 5922 §7.1 and §7.2."""

    def test_names(self) -> None:
        """Domains, sip URIs of a domain and addresses; the common name only when there is nothing else."""
        cases = [
            (("Example.com",), ("example.com",)),
            (("sip:example.com", "a.example.com"), ("a.example.com", "example.com")),
            (("sip:example.com;transport=tls",), ("example.com",)),
            (("sip:alice@example.com", "sips:b.example.com", "http://c.example.com"), ()),
            (("sip:example.com:5061",), ()),
            (("203.0.113.10", "2001:db8::1"), ("203.0.113.10", "2001:db8::1")),
            ((), ("old.example.com",)),
            ((UNREADABLE,), ()),
        ]
        for names, expected in cases:
            with self.subTest(names):
                certificate = self.authority.certificate(*names, common="Old.example.com")
                self.assertEqual(identities(certificate), expected)

    def test_speaks_for(self) -> None:
        """The whole name, in any case; a wildcard is no name of a SIP domain."""
        certificate = self.authority.certificate("example.com", "*.example.com", "203.0.113.10")
        cases = [
            ("example.com", True),
            ("EXAMPLE.com", True),
            ("example.com.", True),
            ("203.0.113.10", True),
            ("sip.example.com", False),
            ("example.org", False),
            ("", False),
        ]
        for domain, expected in cases:
            with self.subTest(domain):
                self.assertEqual(speaks_for(certificate, domain), expected)


class Handshakes(Case):
    """Who gets through, and which certificate is shown."""

    def setUp(self) -> None:
        super().setUp()
        self.called = Tls(self.files)
        self.caller = Tls(TlsFiles(ca_file=self.authority.file))

    def test_faces(self) -> None:
        """What Twisted wants."""
        verifyObject(IOpenSSLContextFactory, self.called)
        verifyObject(IOpenSSLClientConnectionCreator, self.caller.calling("example.com"))

    def test_believed(self) -> None:
        """The authority is known: TLS 1.3, and no less than 1.2 with forward secrecy."""
        client = connected(self.caller, self.called, "example.com")
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.3")
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        client = SSL.Connection(context, None)
        shake(client, SSL.Connection(self.called.getContext(), None))
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.2")
        self.assertIn("ECDHE", client.get_cipher_name() or "")

    def test_not_believed(self) -> None:
        """Another authority, or those of this system: the caller ends it."""
        other = Authority(self.folder, "other")
        for files in (TlsFiles(ca_file=other.file), TlsFiles()):
            error = self.assertRaises(SSL.Error, connected, Tls(files), self.called, "example.com")
            self.assertIn("certificate verify failed", explained(error))

    def test_old_versions(self) -> None:
        """TLS 1.1 is refused (RFC 9325 §3.1.1)."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_1_VERSION)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        server = SSL.Connection(self.called.getContext(), None)
        error = self.assertRaises(SSL.Error, shake, SSL.Connection(context, None), server)
        self.assertRegex(explained(error), "unsupported protocol|protocol version|no protocols")

    def test_chosen_by_name(self) -> None:
        """The certificate of the domain asked for, else the first one (RFC 6066 §3)."""
        first = ("example.com", "sip.example.com", "203.0.113.10")
        second = ("example.net", "*.example.net")
        cases = [
            ("example.com", first),
            ("Example.NET", second),
            ("sip.example.net", second),
            ("a.sip.example.net", first),
            ("elsewhere.org", first),
            ("203.0.113.10", first),
            ("x" * 64 + ".org", first),
        ]
        for domain, expected in cases:
            with self.subTest(domain):
                self.assertEqual(names_shown(connected(self.caller, self.called, domain)), expected)

    def test_client_certificates(self) -> None:
        """With `client_ca_file` who shows no certificate of these authorities gets in nowhere."""
        strict = Tls(evolve(self.files, client_ca_file=self.authority.file))
        mine = TlsFiles((self.authority.pair("mine", "partner.org"),), self.authority.file)
        connected(Tls(mine), strict, "example.com")
        self.assertRaises(SSL.Error, connected, self.caller, strict, "example.com")
        foreign = evolve(mine, certificates=(Authority(self.folder, "other").pair("x", "partner.org"),))
        self.assertRaises(SSL.Error, connected, Tls(foreign), strict, "example.com")


class Renewal(Case):
    """`load` while connections come and go."""

    def setUp(self) -> None:
        super().setUp()
        self.called = Tls(self.files)
        self.caller = Tls(TlsFiles(ca_file=self.authority.file))

    def test_renewed(self) -> None:
        """What connects from now on sees the new certificate."""
        self.authority.pair("first", "example.com", "renewed.example.com")
        self.assertIn("sip.example.com", names_shown(connected(self.caller, self.called, "example.com")))
        self.called.load()
        self.assertIn("renewed.example.com", names_shown(connected(self.caller, self.called, "example.com")))

    def test_useless_files(self) -> None:
        """The error names file and reason, and all goes on as before."""
        cases = [
            ("first.pem", b"", "."),
            ("first.pem", b"no certificate", "no start line|Unable to load|no pem"),
            ("first.key", b"no key", "no start line|unsupported|DECODER"),
            ("second.key", (self.folder / "first.key").read_bytes(), "key values mismatch"),
            ("authority.pem", b"", "."),
            ("second.pem", None, "No such file"),
        ]
        for name, content, reason in cases:
            with self.subTest(name=name, content=content):
                path = self.folder / name
                right = path.read_bytes()
                path.unlink() if content is None else path.write_bytes(content)
                error = self.assertRaises(TlsError, self.called.load)
                path.write_bytes(right)
                self.assertEqual(error.file, str(path))
                self.assertRegex(str(error), f"^{path} cannot be used: .*({reason})")
                connected(self.caller, self.called, "example.net")

    def test_locked_key(self) -> None:
        """A key that wants a password is refused; nobody is asked for one."""
        locked = self.folder / "locked.key"
        key = ec.generate_private_key(ec.SECP256R1())
        locked.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"password"),
            )
        )
        pair = KeyPair(self.files.certificates[0].certificate, str(locked))
        self.assertEqual(self.assertRaises(TlsError, Tls, TlsFiles((pair,))).file, str(locked))
