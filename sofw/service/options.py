"""The command lines of `twistd sofw-hras` and `twistd sofw-hrac`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.python import usage

from sofw.errors import LocalError
from sofw.service.config import HRAC_FILE, HRAS_FILE, HracConfig, HrasConfig, load_hrac, load_hras


@contextmanager
def one_line_errors(command: str) -> Iterator[None]:
    """End the program with one line on stderr and status 1 when the fault lies on this machine.

    twistd prints its whole help (and ends with 0) for a UsageError, and a traceback for everything else.
    """
    try:
        yield
    except LocalError as error:
        raise SystemExit(f"{command}: {error}") from None


class HrasOptions(usage.Options):
    """The options of the outside half; `config` is read before anything is started."""

    config: HrasConfig
    optParameters = [["config", "c", HRAS_FILE, "The configuration file."]]  # noqa: RUF012

    def postOptions(self) -> None:
        """Read the configuration; a mistake in it ends the program."""
        with one_line_errors("sofw-hras"):
            self.config = load_hras(self["config"])


class HracOptions(usage.Options):
    """The options of the inside half; `config` is read before anything is started."""

    config: HracConfig
    optParameters = [["config", "c", HRAC_FILE, "The configuration file."]]  # noqa: RUF012

    def postOptions(self) -> None:
        """Read the configuration; a mistake in it ends the program."""
        with one_line_errors("sofw-hrac"):
            self.config = load_hrac(self["config"])
