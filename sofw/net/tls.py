"""TLS for SIP (RFC 3261 §26.3.1): our certificates, and for which domains others' are (RFC 5922)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import frozen
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLContextFactory
from zope.interface import implementer

from sofw.address import is_ip
from sofw.errors import LocalError

#: RFC 9325 §4.1 and §4.2: forward secrecy always; CBC last, for phones of the time before AEAD.
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL"
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_RENEGOTIATION
#: Clients that show a certificate may resume a session only where this is set.
_SESSIONS_OF = b"sofw"
_BEGIN = b"-----BEGIN CERTIFICATE-----"


class TlsError(LocalError):
    """A certificate, a key or a list of authorities that cannot be used; `file` is at fault."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file} cannot be used: {problem}")
        self.file = file


@frozen
class KeyPair:
    """The files of a certificate, with those that vouch for it below it, and of its private key (PEM)."""

    certificate: str
    key: str


@frozen
class TlsFiles:
    """What a half needs for TLS.

    The first of the `certificates` is shown when a client names no domain, or one we have none for; without
    any, nobody can connect. `ca_file` says whom we believe, "" those this system believes; `client_ca_file`
    who must vouch for the ones that connect, "" nobody.
    """

    certificates: tuple[KeyPair, ...] = ()
    ca_file: str = ""
    client_ca_file: str = ""


@implementer(IOpenSSLContextFactory)
class Tls:
    """The certificates of a half, as connections in and out need them; `load` takes renewed ones into use."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises TlsError."""
        self._files = files
        self.load()

    def load(self) -> None:
        """Read all files; connections from now on use them. Raises TlsError and leaves the old ones."""
        files = self._files
        named = [(_server(pair, files.client_ca_file), _names(pair)) for pair in files.certificates]
        caller = _caller(files)
        by_name = {name: context for context, names in reversed(named) for name in names}
        for context, _names_of_it in named[:1]:
            context.set_tlsext_servername_callback(_chooser(by_name))
        self._first = named[0][0] if named else None
        self._caller = caller

    def getContext(self) -> SSL.Context:
        """Twisted: for the next one that connects."""
        assert self._first is not None
        return self._first

    def calling(self, domain: str) -> Caller:
        """For connections to a server of this domain or address; `speaks_for` must check the name."""
        return Caller(self._caller, domain)


@implementer(IOpenSSLClientConnectionCreator)
class Caller:
    """Opens connections to the servers of a domain, whose certificate must come from one we believe."""

    def __init__(self, context: SSL.Context, domain: str) -> None:
        self._context = context
        self._domain = domain

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """Twisted: the connection for this protocol; it says whom it wants (RFC 5922 §7.8)."""
        connection = SSL.Connection(self._context, None)
        if not is_ip(self._domain):
            with suppress(UnicodeError):  # what can be no host name is asked for by nobody
                connection.set_tlsext_host_name(self._domain.encode("idna"))
        return connection


def speaks_for(certificate: x509.Certificate, domain: str) -> bool:
    """Whether the holder of a certificate may act for a SIP domain, or an IP address (RFC 5922 §7.2).

    Names are compared whole: there are no wildcards in SIP.
    """
    return domain.lower().rstrip(".") in identities(certificate)


def identities(certificate: x509.Certificate) -> tuple[str, ...]:
    """The domains and addresses a certificate is for, in lower case (RFC 5922 §7.1)."""
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(each.value).lower() for each in common)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()  # what cannot be read is for nobody
    names: Any = extension.value
    domains = [*names.get_values_for_type(x509.DNSName)]
    domains += [_domain_in(uri) for uri in names.get_values_for_type(x509.UniformResourceIdentifier)]
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return tuple(name.lower() for name in (*domains, *addresses) if name)


def _domain_in(uri: str) -> str:
    """The domain in a URI like sip:example.com; "" for a user's, which is no server's name."""
    scheme, _colon, rest = uri.partition(":")
    domain = rest.partition(";")[0]
    return domain if scheme.lower() == "sip" and "@" not in domain and ":" not in domain else ""


def explained(error: BaseException) -> str:
    """What OpenSSL complains about, in its own words but without its places."""
    entries = error.args[0] if isinstance(error, SSL.Error) and error.args else ()
    reasons = [str(each[-1]) for each in entries if each] if isinstance(entries, Sequence) else []
    return ", ".join(filter(None, reasons)) or str(error) or type(error).__name__


def _context() -> SSL.Context:
    """What holds for both directions (RFC 9325 §3.1.1, §3.4)."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    context.set_cipher_list(CIPHERS)
    context.set_session_id(_SESSIONS_OF)
    # Without one OpenSSL would ask the terminal for the password of a locked key.
    context.set_passwd_cb(lambda *_: b"")
    return context


def _server(pair: KeyPair, client_ca_file: str) -> SSL.Context:
    context = _context()
    _show(context, pair)
    if client_ca_file:
        _believe(context, client_ca_file)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _as_openssl_says)
    return context


def _caller(files: TlsFiles) -> SSL.Context:
    context = _context()
    for pair in files.certificates[:1]:  # to servers that want to know who calls
        _show(context, pair)
    if files.ca_file:
        _believe(context, files.ca_file)
    else:
        context.set_default_verify_paths()
    context.set_verify(SSL.VERIFY_PEER, _as_openssl_says)
    return context


def _as_openssl_says(_connection: object, _certificate: object, _error: int, _depth: int, good: int) -> bool:
    return bool(good)


def _show(context: SSL.Context, pair: KeyPair) -> None:
    for use, file in (
        (context.use_certificate_chain_file, pair.certificate),
        (context.use_privatekey_file, pair.key),
    ):
        _read(file)
        try:
            use(file)
        except SSL.Error as error:
            raise TlsError(file, explained(error)) from None


def _believe(context: SSL.Context, file: str) -> None:
    _read(file)
    try:
        context.load_verify_locations(file)
    except SSL.Error as error:
        raise TlsError(file, explained(error)) from None


def _names(pair: KeyPair) -> tuple[str, ...]:
    """The domains of the certificate itself, which is the first in its file."""
    data = _read(pair.certificate)
    try:
        return identities(x509.load_pem_x509_certificate(data[data.find(_BEGIN) :]))
    except ValueError as error:
        raise TlsError(pair.certificate, str(error)) from None


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as source:
            return source.read()
    except OSError as error:
        raise TlsError(file, error.strerror or str(error)) from None


def _chooser(by_name: Mapping[str, SSL.Context]) -> Any:
    """Shows the certificate of the domain a client asks for (RFC 6066 §3); a web certificate's `*` counts."""

    def choose(connection: SSL.Connection) -> None:
        name = (connection.get_servername() or b"").decode("ascii", "replace").lower()
        context = by_name.get(name) or by_name.get(f"*.{name.partition('.')[2]}")
        if context is not None:
            connection.set_context(context)

    return choose
