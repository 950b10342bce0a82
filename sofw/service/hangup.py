"""SIGHUP, `systemctl reload`: certificates and file are read again, and the log says what they are worth.

Renewed certificates count at once; nothing is dropped. Without this the signal would end the program, and
every call with it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from sofw.errors import ConfigError, LocalError


def mind_hangup(
    reactor: Any,
    half: str,
    load: Callable[[], object],
    log: Logger = Logger("sofw"),  # noqa: B008
    renew: Callable[[], None] = lambda: None,
) -> None:
    """From now on let SIGHUP check the configuration of `half` with `load`, which raises ConfigError.

    When it is right, `renew` takes new certificates into use, or raises LocalError and keeps the old ones.
    """

    def check() -> None:
        try:
            load()
            renew()
        except ConfigError as error:
            log.warn("{half}.reload the file is wrong, nothing is changed: {error}", half=half, error=error)
        except LocalError as error:
            log.warn("{half}.reload nothing is changed: {error}", half=half, error=error)
        else:
            log.info("{half}.reload the file is correct; a restart makes changes count", half=half)

    # A signal comes at any moment, also in the middle of the reactor's own work.
    signal.signal(signal.SIGHUP, lambda _number, _frame: reactor.callFromThread(check))
