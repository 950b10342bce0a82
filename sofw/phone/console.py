"""The phone at a terminal: commands are typed, events are printed, one a line.

    call URI | delayed URI | answer | reject [STATUS] | hang-up | hold | resume | update DIRECTION
    register [SECONDS] | say URI TEXT | record FILE | delays FILE | quit

Each event is its name and its detail. `record` writes what the latest call has heard so far as a WAV file,
`delays` when each packet was sent and heard, as JSON: phones on one machine share its clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.protocols.basic import LineOnlyReceiver

from sofw.errors import LocalError
from sofw.phone.audio import write_wav
from sofw.phone.call import Call
from sofw.phone.phone import Phone


class Console(LineOnlyReceiver):
    """Carries out what is typed; `over` fires at `quit` or the end of the input."""

    delimiter = b"\n"

    def __init__(self, phone: Phone) -> None:
        self.over: Deferred[None] = Deferred()
        self._phone = phone
        self._call: Call | None = None
        phone.on_call = self._came
        phone.on_event = self.print
        self._commands: dict[str, Callable[..., object]] = {
            "call": lambda uri: self._came(phone.call(uri)),
            "delayed": lambda uri: self._came(phone.call(uri, delayed_offer=True)),
            "answer": lambda: self._latest().answer(),
            "reject": lambda status="603": self._latest().reject(int(status)),
            "hang-up": lambda: self._latest().hang_up(),
            "hold": lambda: self._latest().hold(),
            "resume": lambda: self._latest().resume(),
            "update": lambda direction: self._latest().change("UPDATE", direction),
            "register": lambda seconds="300": phone.register(int(seconds)),
            "say": lambda uri, *words: phone.say(uri, " ".join(words)),
            "record": self._record,
            "delays": self._delays,
            "quit": self._quit,
        }

    def print(self, name: str, detail: str) -> None:
        """Print an event."""
        line = f"{name} {detail}".rstrip().encode("utf-8", "replace")
        self.sendLine(line)  # type: ignore[no-untyped-call]

    def lineReceived(self, line: bytes) -> None:
        """Twisted: a line was typed."""
        words = line.decode("utf-8", "replace").split()
        if not words:
            return
        try:
            self._commands[words[0]](*words[1:])
        except KeyError:
            self.print("error", f"there is no command {words[0]!r}")
        except (LocalError, TypeError, ValueError) as error:
            self.print("error", f"{words[0]}: {error}")

    def connectionLost(self, reason: object = None) -> None:
        """Twisted: the input has ended."""
        self._quit()

    def _came(self, call: Call) -> None:
        self._call = call

    def _latest(self) -> Call:
        if self._call is None:
            raise LocalError("there is no call")
        return self._call

    def _record(self, path: str) -> None:
        recording = self._latest().media.recording
        write_wav(Path(path), recording.samples())
        self.print("recorded", f"{recording.received} packets, {recording.lost} lost")

    def _delays(self, path: str) -> None:
        media = self._latest().media
        Path(path).write_text(json.dumps({"sent": media.sent, "heard": media.heard}))
        self.print("written", path)

    def _quit(self) -> None:
        if not self.over.called:
            self.over.callback(None)
