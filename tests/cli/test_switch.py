"""`sofw off` and `sofw on`."""

from __future__ import annotations

import json

from tests.cli.common import CliCase

SOCKET = "/nonexistent/hras.sock"


class SwitchTests(CliCase):
    """What is asked of the half, and what is said of it."""

    def test_switch(self) -> None:
        """Each is asked under its own name and says in a line what holds now, or as JSON."""
        for name in ("off", "on"):
            self.answers = [{"switch": name}] * 2
            ended = self.sofw(name)
            self.assertEqual((ended.status, ended.out.partition(":")[0], ended.err), (0, name, ""))
            self.assertEqual(json.loads(self.sofw(name, "--json").out), {"switch": name})
        self.assertEqual(self.asked, [(SOCKET, name, {}) for name in ("off", "off", "on", "on")])
