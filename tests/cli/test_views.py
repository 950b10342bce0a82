"""`sofw status`, `calls`, `registrations` and `rat`."""

from __future__ import annotations

import json

from tests.cli.common import CliCase, Ended

SOCKET = "/nonexistent/hras.sock"


class ViewTests(CliCase):
    """What is shown."""

    def test_status(self) -> None:
        """Facts, one per line, or JSON."""
        status = {"half": "HRAS", "calls": 0}
        self.answers = [status, status]
        self.assertEqual(self.sofw("status"), Ended(0, "half:  HRAS\ncalls: 0\n", ""))
        self.assertEqual(json.loads(self.sofw("status", "--json").out), status)
        self.assertEqual(self.asked, [(SOCKET, "status", {})] * 2)

    def test_lists(self) -> None:
        """Each list is a table, JSON, or a sentence when it is empty."""
        for name, nothing in [
            ("calls", "no calls"),
            ("registrations", "no phone is registered"),
            ("rat", "no media is relayed"),
        ]:
            rows = [{"To": "bob", "IIP": "192.168.1.20", "IPort": 4000}]
            self.asked.clear()
            self.answers = [rows, rows, [], []]
            table = "To   IIP           IPort\nbob  192.168.1.20   4000\n"
            self.assertEqual(self.sofw(name), Ended(0, table, ""))
            self.assertEqual(json.loads(self.sofw(name, "--json").out), rows)
            self.assertEqual(self.sofw(name), Ended(0, f"{nothing}\n", ""))
            self.assertEqual(self.sofw(name, "--json"), Ended(0, "[]\n", ""))
            self.assertEqual(self.asked, [(SOCKET, name, {})] * 4)
