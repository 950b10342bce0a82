"""The control socket: its lines, and the socket itself."""

from __future__ import annotations

import grp
import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sofw.admin.control import ControlSocket, _ControlFactory, answer
from sofw.cli.client import ask
from sofw.errors import LocalError


def echo(args: dict[str, Any]) -> object:
    """Give the arguments back."""
    return args


def refuse(args: dict[str, Any]) -> object:
    """Refuse, as a command does that cannot be carried out."""
    raise LocalError("there is no user alice")


def break_down(args: dict[str, Any]) -> object:
    """Fail as only a fault of ours does."""
    raise KeyError("x")


COMMANDS = {"echo": echo, "refuse": refuse, "break": break_down}


class AnswerTests(SynchronousTestCase):
    """What one line is answered."""

    def test_answers(self) -> None:
        """A result, the complaint of a command, and a sentence for every malformed line."""
        one_object = {"ok": False, "error": "a command is one JSON object on one line"}
        form = {"ok": False, "error": 'a command has the form {"command": "…", "args": {…}}'}
        unknown = {"ok": False, "error": "this half has no command 'dance'; it has break, echo, refuse"}
        cases = [
            (b'{"command": "echo", "args": {"a": [1]}}', {"ok": True, "result": {"a": [1]}}),
            (b'{"command": "echo"}\r', {"ok": True, "result": {}}),
            (b'{"command": "refuse", "args": {}}', {"ok": False, "error": "there is no user alice"}),
            (b'{"command": "dance"}', unknown),
            (b"", one_object),
            (b"[]", one_object),
            (b"\xff", one_object),
            (b"[" * 16000, one_object),
            (b"{}", form),
            (b'{"command": 1}', form),
            (b'{"command": "echo", "args": []}', form),
        ]
        for line, wanted in cases:
            self.assertEqual(json.loads(answer(COMMANDS, line)), wanted, line[:50])

    def test_fault_of_ours(self) -> None:
        """An unexpected error is answered without details, and logged with its traceback."""
        refusal = {"ok": False, "error": "a fault within SoFW; its log tells more"}
        self.assertEqual(json.loads(answer(COMMANDS, b'{"command": "break"}')), refusal)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_one_line(self) -> None:
        """An answer never holds a line feed, whatever the result holds."""
        line = answer({"show": lambda args: "a\nb\udcff"}, b'{"command": "show"}')
        self.assertNotIn(b"\n", line)
        self.assertEqual(json.loads(line)["result"], "a\nb\udcff")


class LineTests(SynchronousTestCase):
    """The lines of one connection."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.lines = _ControlFactory(self.clock, COMMANDS).buildProtocol(None)
        self.lines.makeConnection(self.transport)

    def test_several(self) -> None:
        """Lines are answered in order, however they are cut."""
        for byte in b'{"command": "echo", "args": {"n": 1}}\n{"command": "refuse"}\n{':
            self.lines.dataReceived(bytes([byte]))
        answers = [json.loads(line) for line in self.transport.value().splitlines()]
        self.assertEqual(
            answers,
            [{"ok": True, "result": {"n": 1}}, {"ok": False, "error": "there is no user alice"}],
        )
        self.assertFalse(self.transport.disconnecting)

    def test_too_long(self) -> None:
        """A line without end is refused and the connection closed."""
        self.lines.dataReceived(b"x" * 16385)
        refusal = {"ok": False, "error": "a command has at most 16384 bytes"}
        self.assertEqual(json.loads(self.transport.value()), refusal)
        self.assertTrue(self.transport.disconnecting)

    def test_idle(self) -> None:
        """A connection that says nothing for a minute is closed; each line starts the minute anew."""
        self.clock.advance(59)
        self.lines.dataReceived(b"{}\n")
        self.clock.advance(59)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_lost(self) -> None:
        """A closed connection leaves no timer behind."""
        self.lines.connectionLost(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SocketTests(TestCase):
    """The socket in the file system."""

    def setUp(self) -> None:
        # AF_UNIX paths have at most 107 bytes, so not the long one of mktemp().
        self.path = f"control-{os.getpid()}-{id(self)}.sock"

    def tearDown(self) -> None:
        if os.path.lexists(self.path):
            os.unlink(self.path)

    def control(self, group: str = "") -> ControlSocket:
        """A socket that is stopped at the end of the test."""
        control = ControlSocket(reactor, self.path, group, COMMANDS)
        self.addCleanup(lambda: control.stopService() if control.running else None)
        return control

    def leave_stale_socket(self) -> None:
        """What a killed instance leaves behind."""
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(self.path)

    @inlineCallbacks
    def test_asked(self) -> Any:
        """The client's question is answered; afterwards the socket is gone."""
        control = self.control()
        control.startService()
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o660)
        result = yield deferToThread(ask, self.path, "echo", {"user": "alice"})
        self.assertEqual(result, {"user": "alice"})
        refused: Deferred[Any] = deferToThread(ask, self.path, "refuse", {})
        error = yield self.assertFailure(refused, LocalError)
        self.assertEqual(str(error), "there is no user alice")
        yield control.stopService()
        self.assertFalse(os.path.lexists(self.path))

    def test_group(self) -> None:
        """The socket is given to the group."""
        own = grp.getgrgid(os.getgid()).gr_name
        self.control(own).startService()
        self.assertEqual(os.stat(self.path).st_gid, os.getgid())

    def test_no_such_group(self) -> None:
        """An unknown group is named, before anything is opened."""
        error = self.assertRaises(LocalError, self.control("no-such-group").startService)
        self.assertEqual(str(error), "control.group: there is no group 'no-such-group' on this machine")
        self.assertFalse(os.path.lexists(self.path))

    @inlineCallbacks
    def test_stale(self) -> Any:
        """A socket nobody listens on is replaced."""
        self.leave_stale_socket()
        self.control().startService()
        result = yield deferToThread(ask, self.path, "echo", {})
        self.assertEqual(result, {})

    @inlineCallbacks
    def test_live(self) -> Any:
        """The socket of another instance is left alone."""
        self.control().startService()
        error = self.assertRaises(LocalError, self.control().startService)
        self.assertIn("another instance is running", str(error))
        result = yield deferToThread(ask, self.path, "echo", {})
        self.assertEqual(result, {})

    def test_something_else(self) -> None:
        """A file in its place is not removed."""
        Path(self.path).write_text("precious", encoding="utf-8")
        error = self.assertRaises(LocalError, self.control().startService)
        self.assertEqual(str(error), f"{self.path}: is in the way of the control socket and is none itself")
        self.assertEqual(Path(self.path).read_text(encoding="utf-8"), "precious")

    def test_no_directory(self) -> None:
        """A directory that is missing is one sentence."""
        control = ControlSocket(reactor, "no-such-directory/x.sock", "", COMMANDS)
        error = self.assertRaises(LocalError, control.startService)
        self.assertIn("no-such-directory/x.sock: cannot listen", str(error))
        self.assertIsNone(control.stopService())
