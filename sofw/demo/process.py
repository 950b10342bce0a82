"""A child process: started in a network namespace or not, its output in a file, ended by its pid."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sofw.errors import LocalError

Found = TypeVar("Found")

#: How often a file or a condition is looked at again while waiting (seconds).
POLL = 0.005


def run(*command: str, text: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end; its standard output. Raises LocalError with what it complained about."""
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, env=environment, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalError(f"cannot run {command[0]}: {error}") from None
    if done.returncode:
        complaint = (done.stderr or done.stdout).strip()
        raise LocalError(f"{' '.join(command)} ended with status {done.returncode}: {complaint}")
    return done.stdout


def until(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """Look again and again until something is found; LocalError naming `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise LocalError(f"waited {seconds:g} s for {what}, in vain")
        time.sleep(POLL)


class Process:
    """A program that runs beside us, with a log of all it prints.

    `expect` reads the log as a person would: each call goes on where the last match ended, at `read`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        namespace: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.read = 0
        inside = ("ip", "netns", "exec", namespace) if namespace else ()
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [*inside, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                # A Ctrl-C is for us: we end the children ourselves, in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id (`ip netns exec` becomes the program itself)."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.poll() is None

    def text(self) -> str:
        """All it has printed so far."""
        return self.log.read_bytes().decode("utf-8", "replace")

    def say(self, line: str) -> None:
        """Type a line into its standard input."""
        assert self._child.stdin is not None
        self._child.stdin.write(line.encode() + b"\n")
        self._child.stdin.flush()

    def expect(self, pattern: str, seconds: float = 10.0) -> re.Match[str]:
        """Wait for the next place in the log that fits; LocalError with its end when none comes."""
        try:
            match = until(lambda: self._next(pattern), seconds, f"{pattern!r} from {self.name}")
        except LocalError as error:
            raise LocalError(f"{error}; {self.log} ends with:\n{self.tail()}") from None
        self.read = match.end()
        return match

    def seen(self, pattern: str, since: int) -> bool:
        """Whether the pattern has appeared behind this place of the log; reads nothing off."""
        return re.compile(pattern).search(self.text(), since) is not None

    def tail(self, lines: int = 12) -> str:
        """The last lines of the log."""
        return "\n".join(self.text().splitlines()[-lines:])

    def wait(self, seconds: float) -> int:
        """Wait for its end; its exit status. LocalError when it goes on."""
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LocalError(f"{self.name} still runs after {seconds:g} s:\n{self.tail()}") from None

    def stop(self, seconds: float = 5.0) -> None:
        """End it by SIGTERM, and by SIGKILL when it does not obey in time; returns when it is gone."""
        if self.running:
            self._child.terminate()
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close_input()

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL); returns when it is gone."""
        if self.running:
            self._child.kill()
        self._child.wait()
        self._close_input()

    def _next(self, pattern: str) -> re.Match[str] | None:
        if match := re.compile(pattern).search(self.text(), self.read):
            return match
        if not self.running:
            raise LocalError(f"{self.name} ended with status {self._child.returncode}")
        return None

    def _close_input(self) -> None:
        assert self._child.stdin is not None
        with suppress(OSError):
            self._child.stdin.close()
