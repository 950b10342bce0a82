"""The store: every face of it, across a restart, and what a broken file says."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from pathlib import Path

from attrs import asdict, evolve
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address, Flow, Transport
from sofw.errors import LocalError
from sofw.sip.registrar import Binding
from sofw.store.records import SiteRecord, User, format_binding, parse_binding
from sofw.store.sqlite import SCHEMA_VERSION, Store

ALICE = User("alice", "example.com", "aa" * 16, "bb" * 32)
BOB = User("bob", "example.com", "cc" * 16, "dd" * 32)
HEAD_OFFICE = SiteRecord("head-office", b"\x00secret\xff", ("example.com", "example.net"), 1000.5)

DESK = Binding(
    contact="sip:alice@192.168.1.20:5060;transport=tcp",
    expires=2000.25,
    call_id="a84b4c76e66710@192.168.1.20",
    cseq=7,
    q=0.5,
    flow=Flow("head-office", Transport.TCP, Address("192.168.1.20", 40123), 5060),
    path=("<sip:edge.example.com;lr>",),
    instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>",
    reg_id=1,
    user_agent="phone \udcff",
)
MOBILE = evolve(DESK, contact="sip:alice@[2001:db8::2]", path=(), flow=evolve(DESK.flow, leg="outside"))


class StoreCase(SynchronousTestCase):
    """A store on a fresh file."""

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.store = Store(self.path)
        self.addCleanup(self.store.close)

    def restart(self) -> Store:
        """The same file, opened anew."""
        self.store.close()
        self.store = Store(self.path)
        self.addCleanup(self.store.close)
        return self.store


class UserTests(StoreCase):
    """Users."""

    def test_kept(self) -> None:
        """Users come back after a restart, sorted, and singly."""
        self.store.add_user(BOB)
        self.store.add_user(ALICE)
        store = self.restart()
        self.assertEqual(store.users(), [ALICE, BOB])
        self.assertEqual(store.user("bob", "example.com"), BOB)
        self.assertIsNone(store.user("bob", "example.net"))

    def test_added_once(self) -> None:
        """A second user of the same name is refused and changes nothing."""
        self.store.add_user(ALICE)
        error = self.assertRaises(LocalError, self.store.add_user, evolve(ALICE, ha1_md5="0"))
        self.assertEqual(str(error), "there is already a user alice@example.com")
        self.assertEqual(self.store.users(), [ALICE])

    def test_password(self) -> None:
        """New hashes replace the old ones of that user only."""
        self.store.add_user(ALICE)
        self.store.add_user(BOB)
        changed = evolve(ALICE, ha1_md5="1", ha1_sha256="2")
        self.store.set_password(changed)
        self.assertEqual(self.store.users(), [changed, BOB])

    def test_removed(self) -> None:
        """A removed user takes its bindings along."""
        self.store.add_user(ALICE)
        self.store.save_bindings(ALICE.aor, [DESK])
        self.store.remove_user("alice", "example.com")
        self.assertEqual((self.store.users(), self.store.bindings()), ([], {}))

    def test_looked_up_before(self) -> None:
        """A change is seen at once by those who asked before it."""
        changed = evolve(ALICE, ha1_md5="ee" * 16)
        changes = (
            (lambda: self.store.add_user(ALICE), ALICE),
            (lambda: self.store.set_password(changed), changed),
            (lambda: self.store.remove_user("alice", "example.com"), None),
        )
        self.assertIsNone(self.store.user("alice", "example.com"))
        for change, expected in changes:
            change()
            self.assertEqual(self.store.user("alice", "example.com"), expected)

    def test_absent(self) -> None:
        """What is not there can be neither changed nor removed."""
        for act in (
            lambda: self.store.set_password(ALICE),
            lambda: self.store.remove_user("alice", "example.com"),
        ):
            error = self.assertRaises(LocalError, act)
            self.assertEqual(str(error), "there is no user alice@example.com")

    def test_hashes_are_not_shown(self) -> None:
        """Neither a user's hashes nor a site's secret stand in a repr."""
        self.assertEqual(repr(ALICE), "User(user='alice', domain='example.com')")
        self.assertNotIn("secret=", repr(HEAD_OFFICE))


class SiteTests(StoreCase):
    """Sites."""

    def test_kept(self) -> None:
        """A site comes back after a restart, its secret byte for byte."""
        self.store.add_site(HEAD_OFFICE)
        store = self.restart()
        self.assertEqual(store.sites(), [HEAD_OFFICE])
        self.assertEqual(store.site("head-office"), HEAD_OFFICE)
        self.assertIsNone(store.site("branch"))

    def test_once_and_removed(self) -> None:
        """Names are unique; a removed site is gone."""
        self.store.add_site(HEAD_OFFICE)
        error = self.assertRaises(LocalError, self.store.add_site, HEAD_OFFICE)
        self.assertEqual(str(error), "there is already a site head-office")
        self.store.remove_site("head-office")
        self.assertEqual(self.store.sites(), [])
        error = self.assertRaises(LocalError, self.store.remove_site, "head-office")
        self.assertEqual(str(error), "there is no site head-office")


class BindingTests(StoreCase):
    """Bindings."""

    def test_kept(self) -> None:
        """Every field of a binding comes back after a restart, and the order with it."""
        self.store.save_bindings("alice@example.com", (MOBILE, DESK))
        self.store.save_bindings("bob@example.com", (DESK,))
        wanted = {"alice@example.com": [MOBILE, DESK], "bob@example.com": [DESK]}
        self.assertEqual(self.restart().bindings(), wanted)

    def test_replaced(self) -> None:
        """Saving replaces what stood there; saving none forgets the address of record."""
        self.store.save_bindings("alice@example.com", (MOBILE, DESK))
        self.store.save_bindings("alice@example.com", (DESK,))
        self.assertEqual(self.store.bindings(), {"alice@example.com": [DESK]})
        self.store.save_bindings("alice@example.com", ())
        self.assertEqual(self.store.bindings(), {})

    def test_failed_save_changes_nothing(self) -> None:
        """When a save breaks half way the old bindings stand."""
        self.store.save_bindings("alice@example.com", (DESK,))
        refusal = "CREATE TRIGGER full BEFORE INSERT ON bindings BEGIN SELECT RAISE(FAIL, 'full'); END"
        self.store._db.execute(refusal)
        self.assertRaises(LocalError, self.store.save_bindings, "alice@example.com", (MOBILE,))
        self.assertEqual(self.restart().bindings(), {"alice@example.com": [DESK]})

    def test_other_releases(self) -> None:
        """Fields of a later release are dropped; those an earlier one lacked get their defaults."""
        found = json.loads(format_binding(DESK))
        later = json.dumps(found | {"push": "token"})
        self.assertEqual(parse_binding(later), DESK)
        for name in ("path", "instance", "reg_id", "user_agent"):
            del found[name]
        plain = evolve(DESK, path=(), instance="", reg_id=0, user_agent="")
        self.assertEqual(parse_binding(json.dumps(found)), plain)

    def test_no_binding(self) -> None:
        """A row that is no binding is left out and logged; the others stand."""
        self.store.save_bindings("alice@example.com", (DESK,))
        broken = ["", "[]", "{}", '{"flow": 1}', json.dumps({"flow": asdict(DESK)["flow"]}, default=str)]
        for place, text in enumerate(broken, 1):
            row = ("alice@example.com", place, 0.0, text)
            self.store._db.execute("INSERT INTO bindings VALUES (?, ?, ?, ?)", row)
        self.store._db.execute("INSERT INTO bindings VALUES ('bob@example.com', 0, 0.0, 'x')")
        self.assertEqual(self.store.bindings(), {"alice@example.com": [DESK]})


class KeyTests(StoreCase):
    """Keys."""

    def test_made_once(self) -> None:
        """A key has 32 bytes, is the same after a restart, and differs from every other."""
        token, nonce = self.store.key("token"), self.store.key("nonce")
        self.assertEqual((len(token), len(nonce), token == nonce), (32, 32, False))
        self.assertEqual(self.restart().key("token"), token)


class FileTests(SynchronousTestCase):
    """The file itself."""

    def test_mode(self) -> None:
        """The database and the files beside it are for the owner alone, also when they were not."""
        path = os.path.abspath(self.mktemp())
        Path(path).touch(mode=0o644)
        store = Store(path)
        self.addCleanup(store.close)
        store.add_user(ALICE)
        for name in (path, f"{path}-wal", f"{path}-shm"):
            self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), 0o600, name)

    def test_directory(self) -> None:
        """A directory that is missing is made, for the owner alone."""
        directory = os.path.abspath(self.mktemp())
        Store(os.path.join(directory, "hras.db")).close()
        self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700)

    def test_version(self) -> None:
        """A file of a later release is refused, not damaged."""
        path = os.path.abspath(self.mktemp())
        Store(path).close()
        with sqlite3.connect(path) as db:
            self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (SCHEMA_VERSION,))
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        db.close()
        error = self.assertRaises(LocalError, Store, path)
        self.assertEqual(str(error), f"{path}: was written by a later release of SoFW")

    def test_corrupt(self) -> None:
        """A file that is no database is one sentence that names it."""
        path = os.path.abspath(self.mktemp())
        Path(path).write_bytes(b"no database at all " * 100)
        error = self.assertRaises(LocalError, Store, path)
        self.assertEqual(str(error), f"{path}: the database cannot be used: file is not a database")

    def test_unopenable(self) -> None:
        """A path that cannot be opened is one sentence that names it."""
        path = os.path.abspath(self.mktemp())
        os.mkdir(path)
        error = self.assertRaises(LocalError, Store, path)
        self.assertEqual(str(error), f"{path}: the database cannot be opened: Is a directory")

    def test_held_by_another(self) -> None:
        """A file that another process holds is told as such, at a write."""
        path = os.path.abspath(self.mktemp())
        store = Store(path)
        self.addCleanup(store.close)
        store._db.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        error = self.assertRaises(LocalError, store.save_bindings, "alice@example.com", (DESK,))
        self.assertEqual(str(error), f"{path}: the database cannot be used: database is locked")
