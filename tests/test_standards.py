"""The table of standards names code and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]
STATES = {"done", "in part", "not yet"}


def rows() -> list[list[str]]:
    """The cells of every row: RFC, state, what, code, test."""
    lines = (ROOT / "docs" / "standards.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0] != "RFC" and not row[0].startswith("---")]


class StandardsTests(SynchronousTestCase):
    """docs/standards.md against the tree."""

    def test_rows(self) -> None:
        """Each begins with its numbers and has a state; what is not done is said."""
        self.assertGreater(len(rows()), 25)
        for row in rows():
            with self.subTest(row[0]):
                self.assertEqual(len(row), 5)
                self.assertRegex(row[0], r"\A\d{4}(, \d{4})* [\w=]")
                self.assertIn(row[1], STATES)

    def test_code(self) -> None:
        """Each row names code, and the files are there."""
        for row in rows():
            paths = re.findall(r"`([^`]+)`", row[3])
            self.assertTrue(paths, row[0])
            self.assertEqual([path for path in paths if not (ROOT / path).is_file()], [], row[0])

    def test_tests(self) -> None:
        """Each row names tests: a file, and classes or functions in it."""
        for row in rows():
            groups = re.findall(r"`([^`]+)`((?: \w+)+)", row[4])
            self.assertTrue(groups, row[0])
            for path, names in groups:
                text = (ROOT / path).read_text(encoding="utf-8")
                for name in names.split():
                    self.assertRegex(text, rf"(?m)^ *(class|def) {name}\b", f"{row[0]}: {path}")
