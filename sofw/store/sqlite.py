"""What survives a restart: users, sites, bindings and keys, in one SQLite file.

Calls are synchronous: each is one short transaction on a local file that nobody else writes, well under a
millisecond. With WAL and synchronous=NORMAL a power cut may lose the last moments but never the file.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from twisted.logger import Logger

from sofw.errors import LocalError
from sofw.sip.registrar import Binding
from sofw.store.records import SiteRecord, User, format_binding, parse_binding

#: Kept in the file as user_version; a file of a later release is refused.
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE users (user TEXT, domain TEXT, ha1_md5 TEXT, ha1_sha256 TEXT, PRIMARY KEY (user, domain));
CREATE TABLE sites (site TEXT PRIMARY KEY, secret BLOB, domains TEXT, made REAL);
CREATE TABLE bindings (aor TEXT, place INTEGER, expires REAL, fields TEXT, PRIMARY KEY (aor, place));
CREATE TABLE keys (name TEXT PRIMARY KEY, value BLOB);
"""

#: 256 bits, the longest key of the ciphers and MACs that use it.
_KEY_LENGTH = 32

#: How long to wait for another process (a backup, say) that holds the file, in seconds; everything stands
#: still meanwhile.
_BUSY = 1.0

#: How many users are kept in memory, those who asked last; names nobody has may be as long as a line of SIP.
_USERS_KNOWN = 1024


class Store:
    """The database of HRAS at `path` (absolute), made when it is not there, readable by its owner alone.

    Every method raises LocalError, naming the file, when the database is corrupt or cannot be written.
    """

    log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path
        # Each request of a phone asks for its user.
        self._known_user = lru_cache(_USERS_KNOWN)(self._read_user)
        with self._explained():
            self._open()

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._db.close()

    def users(self) -> list[User]:
        """Every user, by domain and name."""
        return [User(*row) for row in self._read("SELECT * FROM users ORDER BY domain, user")]

    def user(self, user: str, domain: str) -> User | None:
        """One user, or None."""
        return self._known_user(user, domain)

    def add_user(self, user: User) -> None:
        """Keep a new user. Raises LocalError when there is one of that name."""
        row = (user.user, user.domain, user.ha1_md5, user.ha1_sha256)
        if not self._write("INSERT OR IGNORE INTO users VALUES (?, ?, ?, ?)", *row):
            raise LocalError(f"there is already a user {user.aor}")

    def set_password(self, user: User) -> None:
        """Replace the hashes of a user. Raises LocalError when there is none of that name."""
        change = "UPDATE users SET ha1_md5 = ?, ha1_sha256 = ? WHERE user = ? AND domain = ?"
        if not self._write(change, user.ha1_md5, user.ha1_sha256, user.user, user.domain):
            raise LocalError(f"there is no user {user.aor}")

    def remove_user(self, user: str, domain: str) -> None:
        """Forget a user and the bindings of its phones. Raises LocalError when there is none of that name."""
        if not self._write("DELETE FROM users WHERE user = ? AND domain = ?", user, domain):
            raise LocalError(f"there is no user {user}@{domain}")
        self.save_bindings(f"{user}@{domain}", ())

    def sites(self) -> list[SiteRecord]:
        """Every site, by name."""
        return [_site(*row) for row in self._read("SELECT * FROM sites ORDER BY site")]

    def site(self, site: str) -> SiteRecord | None:
        """One site, or None."""
        rows = self._read("SELECT * FROM sites WHERE site = ?", site)
        return _site(*rows[0]) if rows else None

    def add_site(self, site: SiteRecord) -> None:
        """Keep a new site. Raises LocalError when there is one of that name."""
        row = (site.site, site.secret, json.dumps(site.domains), site.made)
        if not self._write("INSERT OR IGNORE INTO sites VALUES (?, ?, ?, ?)", *row):
            raise LocalError(f"there is already a site {site.site}")

    def remove_site(self, site: str) -> None:
        """Forget a site. Raises LocalError when there is none of that name."""
        if not self._write("DELETE FROM sites WHERE site = ?", site):
            raise LocalError(f"there is no site {site}")

    def bindings(self) -> dict[str, list[Binding]]:
        """The bindings of every address of record, in the order in which they were saved.

        One that cannot be understood is left out and logged: its phone registers again.
        """
        found: dict[str, list[Binding]] = {}
        for aor, text in self._read("SELECT aor, fields FROM bindings ORDER BY aor, place"):
            try:
                found.setdefault(aor, []).append(parse_binding(text))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self.log.warn("lost a binding of {aor}: {error}", aor=aor, error=error)
        return {aor: bindings for aor, bindings in found.items() if bindings}

    def save_bindings(self, aor: str, bindings: Iterable[Binding]) -> None:
        """Replace the bindings of one address of record; none to forget it."""
        rows = [
            (aor, place, binding.expires, format_binding(binding)) for place, binding in enumerate(bindings)
        ]
        with self._explained(), self._transaction():
            self._db.execute("DELETE FROM bindings WHERE aor = ?", (aor,))
            self._db.executemany("INSERT INTO bindings VALUES (?, ?, ?, ?)", rows)

    def key(self, name: str) -> bytes:
        """The 32 random bytes of that name, made when first asked for."""
        self._write("INSERT OR IGNORE INTO keys VALUES (?, ?)", name, secrets.token_bytes(_KEY_LENGTH))
        return bytes(self._read("SELECT value FROM keys WHERE name = ?", name)[0][0])

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of the database itself.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(self._path, 0o600)
        self._db = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise LocalError(f"{self._path}: was written by a later release of SoFW")
        if version < SCHEMA_VERSION:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _read_user(self, user: str, domain: str) -> User | None:
        rows = self._read("SELECT * FROM users WHERE user = ? AND domain = ?", user, domain)
        return User(*rows[0]) if rows else None

    def _read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._db.execute(query, values).fetchall()

    def _write(self, change: str, *values: object) -> int:
        """Make one change; returns the number of rows that changed."""
        self._known_user.cache_clear()
        with self._explained():
            return self._db.execute(change, values).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LocalError(f"{self._path}: the database cannot be used: {error}") from error
        except OSError as error:
            raise LocalError(f"{self._path}: the database cannot be opened: {error.strerror}") from error


def _site(site: str, secret: bytes, domains: str, made: float) -> SiteRecord:
    return SiteRecord(site, secret, tuple(json.loads(domains)), made)
