"""`sofw check`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.cli.common import CliCase, Ended
from tests.service.test_config import HRAC_LEAST, HRAS_LEAST


class CheckTests(CliCase):
    """Files by name, by content, and those that are there."""

    def file(self, name: str, text: str) -> str:
        """The path of a file of this name that only its owner may read."""
        folder = Path(self.mktemp())
        folder.mkdir()
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_right(self) -> None:
        """Right files, told by their names or by what they hold."""
        files = [
            self.file("hras.toml", HRAS_LEAST),
            self.file("hrac.toml", HRAC_LEAST),
            self.file("outside.toml", HRAS_LEAST),
            self.file("inside.toml", HRAC_LEAST),
        ]
        told = "".join(f"{path}: correct\n" for path in files)
        self.assertEqual(self.sofw("check", *files), Ended(0, told, ""))

    def test_wrong(self) -> None:
        """A wrong file is one line on stderr; the others are still checked."""
        wrong, right = self.file("hras.toml", "domains = 1"), self.file("hrac.toml", HRAC_LEAST)
        ended = self.sofw("check", wrong, right)
        self.assertEqual((ended.status, ended.out), (1, f"{right}: correct\n"))
        self.assertTrue(ended.err.startswith(f"sofw: {wrong}: domains: 1 is not allowed"), ended.err)
        self.assertEqual(ended.err.count("\n"), 1)

    def test_unreadable(self) -> None:
        """A file that is absent or no TOML is wrong too, whatever its name."""
        for path, problem in [
            ("/nonexistent/x.toml", "cannot be read"),
            (self.file("x.toml", "="), "is not valid TOML"),
        ]:
            ended = self.sofw("check", path)
            self.assertEqual((ended.status, ended.out), (1, ""))
            self.assertIn(f"{path}: {problem}", ended.err)

    def test_json(self) -> None:
        """--json gives one row per file, and the same status."""
        wrong, right = self.file("hras.toml", "x = 1"), self.file("hrac.toml", HRAC_LEAST)
        ended = self.sofw("check", wrong, right, "--json")
        sentence = f"{wrong}: x: is not an option"
        rows = [{"file": wrong, "error": sentence}, {"file": right, "error": ""}]
        self.assertEqual((ended.status, json.loads(ended.out), ended.err), (1, rows, ""))

    def test_default_files(self) -> None:
        """Without a name, those that exist; none at all is an error."""
        check = sys.modules["sofw.cli.check"]
        right = self.file("hrac.toml", HRAC_LEAST)
        self.patch(check, "HRAS_FILE", "/nonexistent/hras.toml")
        self.patch(check, "HRAC_FILE", right)
        self.assertEqual(self.sofw("check"), Ended(0, f"{right}: correct\n", ""))
        self.patch(check, "HRAC_FILE", "/nonexistent/hrac.toml")
        ended = self.sofw("check")
        self.assertEqual((ended.status, ended.out), (1, ""))
        self.assertIn("neither /nonexistent/hras.toml nor /nonexistent/hrac.toml", ended.err)
