"""Running the sofw command inside a test."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from sofw.cli import client
from sofw.cli.main import main
from sofw.errors import LocalError


@frozen
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


class CliCase(SynchronousTestCase):
    """The command against a half with prepared `answers`; `asked` is what it was asked, on which socket."""

    def setUp(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[object] = []
        self.patch(client, "_exchange", self._exchange)
        self.patch(client, "SOCKETS", ("/nonexistent/hras.sock", "/nonexistent/hrac.sock"))

    def sofw(self, *words: str) -> Ended:
        """Carry out a command line."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                status = main(words)
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Ended(status, out.getvalue(), err.getvalue())

    def _exchange(self, path: str, line: bytes) -> bytes:
        question = json.loads(line)
        self.asked.append((path, question["command"], question["args"]))
        result = self.answers.pop(0)
        if isinstance(result, LocalError):
            return json.dumps({"ok": False, "error": str(result)}).encode() + b"\n"
        return json.dumps({"ok": True, "result": result}).encode() + b"\n"
