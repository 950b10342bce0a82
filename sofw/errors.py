"""The errors of SoFW: one base, then who is at fault (us or the far side)."""

from __future__ import annotations


class SofwError(Exception):
    """Something SoFW can explain; the message is a sentence for the operator."""


class LocalError(SofwError):
    """The fault lies on this machine: configuration, a port in use, our own misuse."""


class RemoteError(SofwError):
    """The fault lies with what a peer sent.

    `status` is the SIP or HTTP status to answer with.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ConfigError(LocalError):
    """A setting is missing or not allowed; names file, key, value and what is allowed.

    `key` is empty when the file as a whole is at fault.
    """

    def __init__(self, file: str, key: str, problem: str) -> None:
        super().__init__(": ".join(part for part in (file, key, problem) if part))
        self.file = file
        self.key = key


class PortInUse(LocalError):
    """A port that is needed is taken by another program."""

    def __init__(self, transport: str, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {transport} {host}:{port}: {reason}")
        self.transport = transport
        self.host = host
        self.port = port
