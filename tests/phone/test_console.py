"""The phone at a terminal does what is typed and prints what happens."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.testing import StringTransport

from sofw.errors import LocalError
from sofw.phone.__main__ import options, phone_of
from sofw.phone.audio import read_wav
from sofw.phone.console import Console
from tests.phone.test_phone import HOST, PhoneCase, seconds, uri


class ConsoleTests(PhoneCase):
    """Console."""

    def console(self, *arguments: str) -> Console:
        """A phone made from a command line, with a terminal."""
        self.own = phone_of(reactor, options().parse_args(["--host", HOST, "--port", "0", *arguments]))
        self.addCleanup(self.own.stop)
        console = Console(self.own)
        self.terminal = StringTransport()
        console.makeConnection(self.terminal)
        return console

    def printed(self) -> list[str]:
        """The lines printed since the last look."""
        lines = self.terminal.value().decode().splitlines()
        self.terminal.clear()
        return lines

    @inlineCallbacks
    def test_call(self):
        """A call typed in is made, recorded and hung up."""
        console = self.console("--user", "alice")
        bob = self.phone("bob")
        console.dataReceived(f"call {uri(bob)}\n".encode())
        yield bob.expect("up")
        yield seconds(0.1)
        wav, log = self.mktemp(), self.mktemp()
        console.dataReceived(f"record {wav}\ndelays {log}\nhang-up\n".encode())
        yield bob.expect("over")
        lines = self.printed()
        self.assertEqual([line.split()[0] for line in lines], ["up", "recorded", "written", "over"])
        self.assertGreater(len(read_wav(Path(wav))), 0)
        self.assertEqual(set(json.loads(Path(log).read_text())), {"sent", "heard"})

    @inlineCallbacks
    def test_incoming(self):
        """An incoming call is announced and answered, held and refused on command."""
        console = self.console("--answering", "ring")
        bob = self.phone("bob")
        call = bob.call(uri(self.own))
        yield bob.expect("progress")
        console.dataReceived(b"answer\n")
        yield bob.expect("up")
        yield self.own.expect("up")
        console.dataReceived(b"update sendonly\n")
        yield bob.expect("held")
        call.hang_up()
        yield self.own.expect("over")
        second = bob.call(uri(self.own))
        yield bob.expect("progress")
        console.dataReceived(b"reject 480\n")
        self.assertEqual((yield second.over), "480 Temporarily Unavailable")

    def test_mistakes(self) -> None:
        """What cannot be done is said, and nothing else happens."""
        console = self.console()
        console.dataReceived(b"\nfly\nanswer\ncall\nregister soon\n")
        lines = self.printed()
        self.assertEqual(len(lines), 4)
        self.assertTrue(all(line.startswith("error ") for line in lines))

    def test_quit(self) -> None:
        """`quit` ends it, and so does the end of the input, once."""
        console = self.console()
        console.dataReceived(b"quit\n")
        console.connectionLost()
        self.successResultOf(console.over)

    def test_bad_options(self) -> None:
        """A recording that is not there is told by name."""
        self.assertIn(
            "nowhere.wav", str(self.assertRaises(LocalError, self.console, "--speech", "nowhere.wav"))
        )
