"""The sofw command as a whole: help, usage, errors, sockets, and the demonstration."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

from sofw import __version__
from sofw.errors import LocalError
from tests.cli.common import CliCase, Ended

ROOT = Path(__file__).resolve().parents[2]


class MainTests(CliCase):
    """What holds for every command."""

    def test_version(self) -> None:
        """--version prints the version of the package."""
        self.assertEqual(self.sofw("--version"), Ended(0, f"sofw {__version__}\n", ""))

    def test_help_names_every_command(self) -> None:
        """--help lists the commands."""
        ended = self.sofw("--help")
        for name in ("check", "user", "site", "status", "calls", "registrations", "rat", "demo"):
            self.assertIn(f"\n    {name}", ended.out)

    def test_wrong_usage(self) -> None:
        """A wrong command line ends with 2 and says why, without asking anybody."""
        for words in ([], ["dance"], ["user"], ["user", "add"], ["rat", "--colour"], ["site", "del"]):
            ended = self.sofw(*words)
            self.assertEqual((ended.status, ended.out), (2, ""), words)
            self.assertIn("error:", ended.err)
        self.assertEqual(self.asked, [])

    def test_refusal(self) -> None:
        """What a half refuses is one line on stderr and status 1."""
        self.answers = [LocalError("there is no user bob@example.com")]
        refused = Ended(1, "", "sofw: there is no user bob@example.com\n")
        self.assertEqual(self.sofw("user", "del", "bob"), refused)

    def test_hostile_refusal(self) -> None:
        """An error cannot control the terminal it is shown on."""
        self.answers = [LocalError("\x1b[2J\nsofw: all is well")]
        self.assertEqual(self.sofw("status"), Ended(1, "", "sofw: \\x1b[2J\\nsofw: all is well\n"))

    def test_sockets(self) -> None:
        """--socket before or behind the command, then SOFW_SOCKET, then the half that runs here."""
        self.answers = [[], [], [], [], []]
        self.sofw("--socket", "/a", "calls")
        self.sofw("calls", "--socket", "/b")
        self.sofw("--socket", "/c", "user", "list")
        self.sofw("calls")
        running = self.mktemp()
        Path(running).touch()
        self.patch(sys.modules["sofw.cli.client"], "SOCKETS", ("/nonexistent/hras.sock", running))
        self.sofw("calls")
        sockets = [path for path, _, _ in self.asked]
        self.assertEqual(sockets, ["/a", "/b", "/c", "/nonexistent/hras.sock", running])

    def test_json_before_the_command(self) -> None:
        """--json may stand before the command too."""
        self.answers = [[], []]
        self.assertEqual(self.sofw("--json", "calls").out, "[]\n")
        self.assertEqual(self.sofw("calls", "--json").out, "[]\n")

    def test_demo(self) -> None:
        """The demonstration gets the rest of the line, and its status is ours."""
        demo = types.ModuleType("sofw.demo.run")
        seen: list[list[str]] = []
        demo.main = lambda words: seen.append(words) or 3  # type: ignore[attr-defined]
        self.patch(sys, "modules", {**sys.modules, "sofw.demo.run": demo})
        self.assertEqual(self.sofw("demo", "--help", "x").status, 3)
        self.assertEqual(seen, [["--help", "x"]])

    def test_interrupted(self) -> None:
        """Ctrl-C ends with the status the shell expects, without a traceback."""

        def interrupt(path: str, line: bytes) -> bytes:
            raise KeyboardInterrupt

        self.patch(sys.modules["sofw.cli.client"], "_exchange", interrupt)
        self.assertEqual(self.sofw("status"), Ended(130, "", ""))

    def test_modules(self) -> None:
        """`python3 -m sofw` and `python3 -m sofw.cli.main` are the command."""
        for module in ("sofw", "sofw.cli.main"):
            command = [sys.executable, "-m", module, "--version"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout, f"sofw {__version__}\n")
