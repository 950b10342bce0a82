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

    def test_what_a_person_sees(self) -> None:
        """Of tunnels and streams the telling columns, long names cut short; JSON has everything."""
        tunnel = {"site": "tokyo", "state": "up", "since": 1.5, "rtt_ms": 0.4, "sure_acked": 7}
        self.answers = [{"half": "hras", "tunnels": [tunnel]}]
        shown = "half: hras\n\ntunnels:\nsite   state  rtt_ms\ntokyo  up        0.4\n"
        self.assertEqual(self.sofw("status"), Ended(0, shown, ""))
        row = {"To": "b" * 20, "IIP": "10.0.0.1", "made": 3.0, "caller": {"leg": "tokyo", "packets": 9}}
        self.answers = [[row], [row]]
        shown = "To            IIP       from caller\nbbbbbbbbbbbb  10.0.0.1            9\n"
        self.assertEqual(self.sofw("rat"), Ended(0, shown, ""))
        self.assertEqual(json.loads(self.sofw("rat", "--json").out), [row])
        self.answers = [[{"call_id": "c" * 30, "state": "up"}]]
        self.assertEqual(self.sofw("calls"), Ended(0, "call_id       state\ncccccccccccc  up\n", ""))

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
