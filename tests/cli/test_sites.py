"""`sofw site`, and that what it prints is what hrac.toml wants."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sofw.service.config import load_hrac
from tests.cli.common import CliCase, Ended

SOCKET = "/nonexistent/hras.sock"
SECRET = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"
LINES = ['site = "head-office"', f'secret = "{SECRET}"', 'hras = "http://203.0.113.10"']
ADDED = {"site": "head-office", "secret": SECRET, "domains": ["example.com"], "lines": LINES}


class SiteTests(CliCase):
    """Adding, removing and listing."""

    def test_added(self) -> None:
        """`site add` prints the lines to paste; they are a configuration together with an address."""
        self.answers = [ADDED]
        ended = self.sofw("site", "add", "head-office", "--domain", "example.com", "--domain", "example.net")
        args = {"site": "head-office", "domains": ["example.com", "example.net"]}
        self.assertEqual(self.asked, [(SOCKET, "site add", args)])
        self.assertEqual((ended.status, ended.err), (0, ""))
        self.assertTrue(ended.out.startswith("added head-office. Put these lines at the top of"), ended.out)
        pasted = [line for line in ended.out.splitlines() if line.startswith("    ")]
        path = self.mktemp()
        Path(path).write_text("\n".join([*pasted, "[sip]", 'address = "192.168.1.10"']), encoding="utf-8")
        os.chmod(path, 0o600)
        config = load_hrac(path)
        self.assertEqual(
            (config.site, config.secret, config.hras),
            ("head-office", SECRET.encode(), "http://203.0.113.10"),
        )

    def test_added_for_programs(self) -> None:
        """--json gives everything the half said."""
        self.answers = [ADDED]
        self.assertEqual(json.loads(self.sofw("site", "add", "head-office", "--json").out), ADDED)
        self.assertEqual(self.asked[0][2]["domains"], [])

    def test_removed(self) -> None:
        """`site del` names what it removed."""
        self.answers = [{"site": "head-office"}]
        self.assertEqual(self.sofw("site", "del", "head-office"), Ended(0, "removed head-office\n", ""))
        self.assertEqual(self.asked, [(SOCKET, "site del", {"site": "head-office"})])

    def test_list(self) -> None:
        """`site list` is a table, or a hint."""
        self.answers = [[{"site": "head-office", "domains": [], "made": "2026-01-01T00:00:00Z"}], []]
        self.assertEqual(
            self.sofw("site", "list").out,
            "site         domains  made\nhead-office  -        2026-01-01T00:00:00Z\n",
        )
        self.assertEqual(self.sofw("site", "list").out, "no sites; add one with: sofw site add NAME\n")
