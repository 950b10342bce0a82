"""The [tls] section of both files: which certificates, whom we believe; and whether they can be used."""

from __future__ import annotations

from collections.abc import Iterator

from sofw.address import Transport
from sofw.errors import ConfigError
from sofw.net.tls import KeyPair, Tls, TlsError, TlsFiles
from sofw.service import kinds
from sofw.service.settings import Option, Values, refuse_world_readable, section

TLS_OPTIONS = (
    Option("tls.certificate", kinds.OPTIONAL_PATH, ""),
    Option("tls.key", kinds.OPTIONAL_PATH, ""),
    Option("tls.more_certificates", kinds.KEY_PAIRS, []),
    Option("tls.ca_file", kinds.OPTIONAL_PATH, ""),
    Option("tls.client_ca_file", kinds.OPTIONAL_PATH, ""),
)


def tls_files(path: str, values: Values) -> TlsFiles | None:
    """What [tls] names, tried; None when sip.transports has no "tls". Raises ConfigError."""
    given = section(values, "tls")
    if Transport.TLS not in values["sip.transports"]:
        for name, value in given.items():
            if value:
                raise ConfigError(path, f"tls.{name}", 'is of no use without "tls" in sip.transports')
        return None
    for name in ("certificate", "key"):
        if not given[name]:
            raise ConfigError(path, f"tls.{name}", 'is missing; "tls" in sip.transports needs it')
    first = KeyPair(given["certificate"], given["key"])
    files = TlsFiles((first, *given["more_certificates"]), given["ca_file"], given["client_ca_file"])
    _try(path, files)
    return files


def _try(path: str, files: TlsFiles) -> None:
    keys = dict(reversed(list(_keys(files))))
    try:
        Tls(files)
    except TlsError as error:
        raise ConfigError(path, keys[error.file], str(error)) from None
    for pair in files.certificates:
        refuse_world_readable(path, keys[pair.key], pair.key)


def _keys(files: TlsFiles) -> Iterator[tuple[str, str]]:
    """Each file and the option that names it."""
    for number, pair in enumerate(files.certificates):
        for name in ("certificate", "key"):
            yield getattr(pair, name), "tls.more_certificates" if number else f"tls.{name}"
    yield files.ca_file, "tls.ca_file"
    yield files.client_ca_file, "tls.client_ca_file"
