"""HRAS and HRAC as in life: started by twistd from a configuration file, asked by the `sofw` command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sofw
from sofw.cli.client import ask
from sofw.demo.process import Process, run, until
from sofw.errors import LocalError

#: Where the package lies, for a checkout that is not installed.
_HOME = str(Path(sofw.__file__).parent.parent)
_TWISTD = "from twisted.scripts.twistd import run; run()"

Settings = Mapping[str, Any]


class Half:
    """One of the two halves (`kind` is "hras" or "hrac"), in a folder of its own."""

    def __init__(self, kind: str, folder: Path, namespace: str | None, settings: Settings) -> None:
        self.kind = kind
        self.folder = folder
        self.socket = folder / "control.sock"
        self._namespace = namespace
        self._file = folder / f"{kind}.toml"
        folder.mkdir(parents=True)
        # It holds a secret: only its owner may read it, or the half refuses to start.
        self._file.touch(mode=0o600)
        state = {"state": {"directory": str(folder / "state")}}
        self._file.write_text(as_toml({**state, **settings, "control": {"socket": str(self.socket)}}))
        self.process = self._launch()

    def start(self) -> None:
        """Start it again after `stop` or `kill`; returns when it answers."""
        self.process = self._launch()

    def stop(self) -> None:
        """End it in order."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    def ask(self, command: str, **args: object) -> Any:
        """What the half answers to a command of the `sofw` command. Raises LocalError with its complaint."""
        return ask(str(self.socket), command, args)

    def show(self, *words: str) -> str:
        """What `sofw WORDS` prints."""
        command = (sys.executable, "-m", "sofw.cli.main", "--socket", str(self.socket), *words)
        return run(*command, environment=environment())

    def _launch(self) -> Process:
        self.socket.unlink(missing_ok=True)
        command = (sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=")
        process = Process(
            self.kind,
            (*command, f"sofw-{self.kind}", "--config", str(self._file)),
            self.folder / "log",
            self._namespace,
            environment(),
        )
        until(lambda: self._answers(process), 15.0, f"{self.kind} to open its control socket")
        return process

    def _answers(self, process: Process) -> bool:
        if not process.running:
            raise LocalError(f"{self.kind} ended at once:\n{process.tail()}")
        with suppress(LocalError):
            return bool(self.ask("status"))
        return False


def hras_settings(
    address: str, folder: Path, *, http_port: int = 80, more: Settings | None = None
) -> Settings:
    """The configuration of an HRAS that is the registrar of example.com; `more` are further tables."""
    settings: dict[str, Any] = {
        "domains": ["example.com"],
        "sip": {"address": address},
        "http": {"address": address, "port": http_port},
        "media": {"address": address, "first_port": 20000, "last_port": 29999},
        "state": {"directory": str(folder / "state")},
    }
    for name, table in (more or {}).items():
        settings[name] = {**settings.get(name, {}), **table}
    return settings


def hrac_settings(
    site: str, secret: str, hras: str, address: str, *, proxy: Settings | None = None
) -> Settings:
    """The configuration of a site's HRAC; `hras` is the URL it joins, `proxy` its web proxy and login."""
    settings: dict[str, Any] = {
        "site": site,
        "secret": secret,
        "hras": hras,
        "sip": {"address": address},
        "media": {"address": address, "first_port": 30000, "last_port": 39999},
    }
    return {**settings, "proxy": proxy} if proxy else settings


def as_toml(settings: Settings) -> str:
    """Write text, numbers, lists and one level of tables (JSON's text and numbers are TOML's too)."""
    tables = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    top = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if key not in tables]
    below = [f"\n[{name}]\n{as_toml(table)}" for name, table in tables.items()]
    return "\n".join(top + below) + "\n"


def environment() -> dict[str, str]:
    """Our environment, so that the program finds this SoFW and no other."""
    return {**os.environ, "PYTHONPATH": _HOME}
