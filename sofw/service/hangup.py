"""SIGHUP, `systemctl reload`: the file is read again and the log says what it is worth; nothing is dropped.

Without this the signal would end the program, and every call with it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from sofw.errors import ConfigError


def mind_hangup(reactor: Any, half: str, load: Callable[[], object], log: Logger = Logger("sofw")) -> None:  # noqa: B008
    """From now on let SIGHUP check the configuration of `half` with `load`, which raises ConfigError."""

    def check() -> None:
        try:
            load()
        except ConfigError as error:
            log.warn("{half}.reload the file is wrong, nothing is changed: {error}", half=half, error=error)
        else:
            log.info("{half}.reload the file is correct; a restart makes changes count", half=half)

    # A signal comes at any moment, also in the middle of the reactor's own work.
    signal.signal(signal.SIGHUP, lambda _number, _frame: reactor.callFromThread(check))
