"""Asking a running half over its control socket."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from typing import Any

from sofw.errors import LocalError

#: Where a half listens when nothing else is said: the outside half first, as it knows more.
SOCKETS = ("/run/sofw/hras.sock", "/run/sofw/hrac.sock")

#: How long a half may take to answer, in seconds; it answers within milliseconds unless it hangs.
_PATIENCE = 10.0


def find_socket(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The socket to use: the one given, that of SOFW_SOCKET, else the first of SOCKETS that exists."""
    chosen = given or environment.get("SOFW_SOCKET")
    if chosen:
        return chosen
    return next((path for path in SOCKETS if os.path.exists(path)), SOCKETS[0])


def ask(path: str, command: str, args: Mapping[str, object]) -> Any:
    """What a half answers to a command.

    Raises LocalError with its complaint, or when nobody answers on the socket at `path`.
    """
    line = json.dumps({"command": command, "args": args}).encode() + b"\n"
    try:
        answer = json.loads(_exchange(path, line))
        done, outcome = answer["ok"], answer["result" if answer["ok"] else "error"]
    except OSError as error:
        reason = error.strerror or str(error)
        raise LocalError(f"cannot talk to SoFW on {path}: {reason}; is it running?") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError(f"what answers on {path} is not SoFW") from error
    if not done:
        raise LocalError(str(outcome))
    return outcome


def _exchange(path: str, line: bytes) -> bytes:
    """Send one line; returns the line that comes back."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(path)
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            return answers.readline()
