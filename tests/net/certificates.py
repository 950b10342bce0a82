"""Certificates for tests: an authority that lives as long as the test, and what it signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from sofw.net.tls import KeyPair

#: As the only name of a certificate: its names are of a kind that nobody reads (an X.400 address).
UNREADABLE = "3004a3020500"
_PEM = serialization.Encoding.PEM


def alternative(name: str) -> x509.GeneralName:
    """A name of a certificate: an address, a URI or a domain."""
    if name.startswith(("sip:", "sips:", "http:")):
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs certificates into a folder; `file` holds its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._signed(self._name, self._key.public_key(), (), True)
        self.file = str(folder / f"{name}.pem")
        Path(self.file).write_bytes(own.public_bytes(_PEM))

    def certificate(self, *names: str, common: str = "somebody") -> x509.Certificate:
        """A certificate for these names."""
        return self._certificate(ec.generate_private_key(ec.SECP256R1()), names, common)

    def pair(self, file: str, *names: str) -> KeyPair:
        """The files of a new certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        pair = KeyPair(str(self._folder / f"{file}.pem"), str(self._folder / f"{file}.key"))
        Path(pair.certificate).write_bytes(self._certificate(key, names, "somebody").public_bytes(_PEM))
        form = serialization.PrivateFormat.PKCS8
        Path(pair.key).touch(mode=0o600)
        Path(pair.key).write_bytes(key.private_bytes(_PEM, form, serialization.NoEncryption()))
        return pair

    def _certificate(
        self, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], common: str
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        return self._signed(subject, key.public_key(), names, False)

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, names: tuple[str, ...], is_ca: bool
    ) -> x509.Certificate:
        today = datetime.now(UTC).replace(tzinfo=None)
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(today - timedelta(days=1)).not_valid_after(
            today + timedelta(days=1)
        )
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), True)
        if names == (UNREADABLE,):
            odd = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex(UNREADABLE))
            builder = builder.add_extension(odd, False)
        elif names:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(alternative, names)), False)
        return builder.sign(self._key, hashes.SHA256())
