"""The switch of a half: `sofw off` closes its tunnels until `sofw on`, over restarts too."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

from twisted.logger import Logger

from sofw.errors import LocalError


class Switch:
    """Off while the file at `path` is there, which says since when.

    `changed(off)` is called for each change. `now` gives Unix time.
    """

    log = Logger("sofw")

    def __init__(self, path: str, changed: Callable[[bool], None], now: Callable[[], float]) -> None:
        self.is_off = os.path.exists(path)
        self._path = path
        self._changed = changed
        self._now = now

    def off(self) -> dict[str, object]:
        """Switch off. Raises LocalError when that cannot be kept; it is off all the same."""
        self._turn(True)
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(self._path, "w", encoding="utf-8") as file:
                file.write(datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ\n"))
        except OSError as error:
            problem = f"it is off, but a restart would switch it on: {self._path}: {error.strerror}"
            raise LocalError(problem) from error
        return self.status()

    def on(self) -> dict[str, object]:
        """Switch on. Raises LocalError, and leaves it off, when the file cannot be removed."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise LocalError(f"it stays off: {self._path}: {error.strerror}") from error
        self._turn(False)
        return self.status()

    def status(self) -> dict[str, object]:
        """Its position, and since when it is off."""
        return {
            "switch": "off" if self.is_off else "on",
            **({"off_since": self._since()} if self.is_off else {}),
        }

    def _since(self) -> str:
        try:
            with open(self._path, encoding="utf-8") as file:
                return file.readline(100).strip()
        except (OSError, ValueError):
            return ""

    def _turn(self, off: bool) -> None:
        if off != self.is_off:
            self.is_off = off
            self.log.warn("switch.turned position={position}", position="off" if off else "on")
            self._changed(off)
