"""Asking over a socket: what goes wrong there."""

from __future__ import annotations

import os
import socket
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from sofw.cli.client import SOCKETS, ask, find_socket
from sofw.errors import LocalError


class FindTests(SynchronousTestCase):
    """Which socket is asked."""

    def test_order(self) -> None:
        """The one given, else that of the environment; an empty one counts as none."""
        self.assertEqual(find_socket("/a", {"SOFW_SOCKET": "/b"}), "/a")
        self.assertEqual(find_socket(None, {"SOFW_SOCKET": "/b"}), "/b")
        self.assertIn(find_socket(None, {"SOFW_SOCKET": ""}), SOCKETS)


class AskTests(SynchronousTestCase):
    """What a strange or absent half is."""

    def setUp(self) -> None:
        # AF_UNIX paths have at most 107 bytes, so not the long one of mktemp().
        self.path = f"ask-{os.getpid()}-{id(self)}.sock"

    def answered(self, answer: bytes) -> LocalError:
        """The complaint when a server gives this answer and closes."""
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(self.path)
            self.addCleanup(os.unlink, self.path)
            server.listen(1)
            thread = Thread(target=self._serve, args=(server, answer))
            thread.start()
            try:
                return self.assertRaises(LocalError, ask, self.path, "status", {})
            finally:
                thread.join(5)

    def _serve(self, server: socket.socket, answer: bytes) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)

    def test_nobody(self) -> None:
        """Without a socket the sentence names it and asks whether SoFW runs."""
        error = self.assertRaises(LocalError, ask, "/nonexistent/x.sock", "status", {})
        sentence = "cannot talk to SoFW on /nonexistent/x.sock: No such file or directory; is it running?"
        self.assertEqual(str(error), sentence)

    def test_something_else(self) -> None:
        """What answers with anything but an answer of ours is told as such."""
        self.assertEqual(str(self.answered(b"hello\n")), f"what answers on {self.path} is not SoFW")

    def test_closed(self) -> None:
        """A half that closes without an answer is no half."""
        self.assertEqual(str(self.answered(b"")), f"what answers on {self.path} is not SoFW")

    def test_other_json(self) -> None:
        """JSON of another form is no answer either."""
        self.assertEqual(str(self.answered(b'["ok"]\n')), f"what answers on {self.path} is not SoFW")

    def test_no_result(self) -> None:
        """An answer that lacks its result is no answer."""
        self.assertEqual(str(self.answered(b'{"ok": true}\n')), f"what answers on {self.path} is not SoFW")
