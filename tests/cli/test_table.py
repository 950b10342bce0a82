"""Tables for people."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.cli.table import format_facts, format_table, printable


class TableTests(SynchronousTestCase):
    """Columns, facts and what strangers wrote."""

    def test_table(self) -> None:
        """Texts stand left, numbers right; a key that a row lacks is a dash; nothing trails."""
        rows = [
            {"user": "alice", "calls": 2, "agent": "phone"},
            {"user": "bob@example.com", "calls": 10, "held": True},
        ]
        self.assertEqual(
            format_table(rows),
            "user             calls  agent  held\n"
            "alice                2  phone  -\n"
            "bob@example.com     10  -      yes",
        )

    def test_cells(self) -> None:
        """How each kind of value is shown."""
        cases = [
            (None, "-"),
            ("", "-"),
            ([], "-"),
            ({}, "-"),
            (0, "0"),
            (False, "no"),
            (0.5, "0.5"),
            (12.0, "12"),
            (0.00049, "0"),
            (["udp", "tcp"], "udp, tcp"),
            ({"lost": 1, "late": 0}, "lost 1, late 0"),
        ]
        for value, text in cases:
            self.assertEqual(format_table([{"x": value}]).splitlines()[1].strip(), text, repr(value))

    def test_facts(self) -> None:
        """Facts are aligned; lists of rows follow as tables."""
        sites = [{"site": "a", "up": True}]
        facts = {"half": "HRAS", "sites": sites, "calls": 3, "domains": ["a.b"], "none": []}
        self.assertEqual(
            format_facts(facts),
            "half:    HRAS\ncalls:   3\ndomains: a.b\nnone:    -\n\nsites:\nsite  up\na     yes",
        )
        self.assertEqual(format_facts({}), "")

    def test_printable(self) -> None:
        """Controls, line ends and bytes that are no text are escaped; letters of any script are not."""
        cases = [
            ("Müller 電話", "Müller 電話"),
            ("\x1b[31m", "\\x1b[31m"),
            ("a\r\nb", "a\\r\\nb"),
            ("\udcff", "\\udcff"),
            ("\u202egnp", "\\u202egnp"),
        ]
        for text, shown in cases:
            self.assertEqual(printable(text), shown)

    def test_hostile_cells(self) -> None:
        """What a stranger wrote into a header cannot reach the terminal, as name or as value."""
        table = format_table([{"a\x1b": "b\x1b", "c": ["\x1b"], "d": {"\x1b": "\x1b"}}])
        self.assertNotIn("\x1b", table + format_facts({"a\x1b": "\x1b"}))
