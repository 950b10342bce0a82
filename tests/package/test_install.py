"""The ways to install SoFW by hand: twistd finds both halves, and a mistake is told in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TREE = Path(__file__).resolve().parents[2]
LEAVE_OUT = (".git", ".work", "__pycache__", "build", "dropin.cache", "*.egg-info", "_trial_temp*")
#: Installing from PyPI may take a while on a slow line.
PATIENCE = 600


def run(*command: str, cwd: Path, path: str = "") -> tuple[int, str, str]:
    """Status, stdout and stderr of a command that sees no Python but its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**kept, **({"PYTHONPATH": path} if path else {})}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stdout, done.stderr


class WaysTests(SynchronousTestCase):
    """One test per way."""

    timeout = 3 * PATIENCE

    def setUp(self) -> None:
        """A copy of the tree, as a checkout would give it, and a place to work in."""
        self.place = Path(tempfile.mkdtemp(prefix="sofw-install-"))
        self.addCleanup(shutil.rmtree, self.place)
        self.tree = self.place / "sofw"
        shutil.copytree(TREE, self.tree, ignore=shutil.ignore_patterns(*LEAVE_OUT))
        self.wrong = self.place / "wrong.toml"
        self.wrong.write_text('domains = ["example.com"]\nhras = 1\n', encoding="utf-8")

    def check(self, *twistd: str, path: str = "") -> None:
        """Both halves are there, explain themselves, and refuse a bad file with one line and status 1."""
        elsewhere = self.place / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        for half in ("sofw-hras", "sofw-hrac"):
            status, out, err = run(*twistd, half, "--help", cwd=elsewhere, path=path)
            self.assertEqual((status, "--config=" in out), (0, True), out + err)
            arguments = ("--nodaemon", "--pidfile=", half, f"--config={self.wrong}")
            status, out, err = run(*twistd, *arguments, cwd=elsewhere, path=path)
            self.assertEqual((status, out, err.count("\n")), (1, "", 1), out + err)
            self.assertTrue(err.startswith(f"{half}: {self.wrong}: "), err)

    def pip(self, venv: Path, *arguments: str) -> None:
        """Install into a virtual environment."""
        python = str(venv / "bin" / "python")
        status, out, err = run(python, "-m", "pip", "install", "-q", *arguments, cwd=self.tree)
        self.assertEqual(status, 0, out + err)

    def test_checkout(self) -> None:
        """Straight from a checkout, with Debian's own packages."""
        self.check("/usr/bin/twistd3", path=str(self.tree))

    def test_pip(self) -> None:
        """`pip install .`, and `pip install -e .` over it, in a virtual environment."""
        venv = self.place / "venv"
        self.assertEqual(run(sys.executable, "-m", "venv", str(venv), cwd=self.place)[0], 0)
        twistd = str(venv / "bin" / "twistd")
        self.pip(venv, ".")
        self.check(twistd)
        self.assertIn("sofw 0.", run(str(venv / "bin" / "sofw"), "--version", cwd=self.place)[1])
        self.pip(venv, "-e", ".")
        self.check(twistd)
