"""The control socket: how the `sofw` command talks to a running half.

One JSON object per line each way: `{"command": "user del", "args": {"user": "alice"}}` is answered by
`{"ok": true, "result": …}` or `{"ok": false, "error": "a sentence"}`.
"""

from __future__ import annotations

import grp
import json
import os
import socket
import stat
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime, IReactorUNIX
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin

from sofw.errors import LocalError, SofwError

#: A command gets its arguments and returns what JSON can hold, or raises SofwError.
Commands = dict[str, Callable[[dict[str, Any]], object]]

#: The owner and the group; nobody else.
_MODE = 0o660

#: The longest command carries a few names and a password.
_LINE_LIMIT = 16 * 1024

#: A client that says nothing for so long, in seconds, is gone or never meant to.
_IDLE = 60

log = Logger()


class ControlSocket(Service):
    """Listens at `path` while it runs; `group`, if not "", may use the socket besides the owner.

    Starting raises LocalError when another instance answers there, or when it cannot listen.
    """

    name = "control"

    def __init__(self, reactor: Any, path: str, group: str, commands: Commands) -> None:
        """`reactor` provides IReactorUNIX and IReactorTime."""
        self._unix: IReactorUNIX = reactor
        self._path = path
        self._group = group
        self._factory = _ControlFactory(reactor, commands)
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Take the place of a socket that a killed instance left behind, and listen."""
        group = _group_id(self._group)
        _make_room(self._path)
        try:
            self._port = self._unix.listenUNIX(self._path, self._factory, mode=_MODE)
            if group is not None:
                os.chown(self._path, -1, group)
        except CannotListenError as error:
            raise LocalError(f"{self._path}: cannot listen: {error.socketError}") from error
        except OSError as error:
            raise LocalError(f"{self._path}: cannot be given to {self._group}: {error.strerror}") from error
        super().startService()

    def stopService(self) -> Deferred[None] | None:
        """Stop listening; the socket is removed."""
        super().stopService()
        port, self._port = self._port, None
        return port.stopListening() if port else None


class _ControlFactory(Factory):
    """Hands the table of commands to each connection."""

    noisy = False

    def __init__(self, clock: IReactorTime, commands: Commands) -> None:
        self._clock = clock
        self._commands = commands

    def buildProtocol(self, addr: object) -> _ControlLines:
        return _ControlLines(self._clock, self._commands)


class _ControlLines(LineOnlyReceiver, TimeoutMixin):
    """A command per line in, an answer per line out."""

    delimiter = b"\n"
    MAX_LENGTH = _LINE_LIMIT

    def __init__(self, clock: IReactorTime, commands: Commands) -> None:
        self._clock = clock
        self._commands = commands

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        return self._clock.callLater(period, func)

    def connectionMade(self) -> None:
        self.setTimeout(_IDLE)

    def connectionLost(self, reason: object = None) -> None:
        self.setTimeout(None)

    def lineReceived(self, line: bytes) -> None:
        self.resetTimeout()
        self.sendLine(answer(self._commands, line))

    def lineLengthExceeded(self, line: bytes) -> None:
        self.sendLine(_refusal(f"a command has at most {_LINE_LIMIT} bytes"))
        super().lineLengthExceeded(line)


def answer(commands: Commands, line: bytes) -> bytes:
    """Carry out the command of one line; returns the line to answer with. Never raises."""
    try:
        command, args = _parse(line)
        if command not in commands:
            known = ", ".join(sorted(commands))
            raise LocalError(f"this half has no command {command!r}; it has {known}")
        result = json.dumps({"ok": True, "result": commands[command](args)})
    except SofwError as error:
        return _refusal(str(error))
    except Exception:
        log.failure("a control command failed")
        return _refusal("a fault within SoFW; its log tells more")
    return result.encode()


def _parse(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LocalError("a command is one JSON object on one line") from error
    if not isinstance(found, dict):
        raise LocalError("a command is one JSON object on one line")
    command, args = found.get("command"), found.get("args", {})
    if not isinstance(command, str) or not isinstance(args, dict):
        raise LocalError('a command has the form {"command": "…", "args": {…}}')
    return command, args


def _refusal(sentence: str) -> bytes:
    return json.dumps({"ok": False, "error": sentence}).encode()


def _group_id(group: str) -> int | None:
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LocalError(f"control.group: there is no group {group!r} on this machine") from None


def _make_room(path: str) -> None:
    """Remove a socket nobody listens on. Raises LocalError for a live one and for anything else."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise LocalError(f"{path}: is in the way of the control socket and is none itself")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError as error:
        raise LocalError(f"{path}: cannot be examined: {error.strerror or error}") from error
    else:
        raise LocalError(f"{path}: another instance is running; it answers on this control socket")
