"""`sofw user`."""

from __future__ import annotations

import getpass
import io
import json
import sys

from tests.cli.common import CliCase, Ended

ADDED = {"user": "alice@example.com"}
SOCKET = "/nonexistent/hras.sock"


class UserTests(CliCase):
    """Adding, changing, removing and listing."""

    def prompt(self, *replies: str) -> list[str]:
        """Answer the prompts for passwords with these; returns the list of what was asked."""
        asked: list[str] = []
        given = iter(replies)

        def getpass_(text: str) -> str:
            asked.append(text)
            try:
                return next(given)
            except StopIteration:
                raise EOFError from None

        self.patch(getpass, "getpass", getpass_)
        return asked

    def test_password_given(self) -> None:
        """--password goes to the half as it is."""
        self.answers = [ADDED]
        ended = self.sofw("user", "add", "alice", "--password", "correct horse")
        self.assertEqual(ended, Ended(0, "added alice@example.com\n", ""))
        wanted = (SOCKET, "user add", {"user": "alice", "password": "correct horse"})
        self.assertEqual(self.asked, [wanted])

    def test_password_prompted(self) -> None:
        """Without an option it is asked for, twice."""
        self.answers = [ADDED]
        asked = self.prompt("correct horse", "correct horse")
        ended = self.sofw("user", "passwd", "alice")
        self.assertEqual(ended, Ended(0, "changed alice@example.com\n", ""))
        self.assertEqual(asked, ["Password for alice: ", "Once more: "])
        wanted = (SOCKET, "user passwd", {"user": "alice", "password": "correct horse"})
        self.assertEqual(self.asked, [wanted])

    def test_prompt_fails(self) -> None:
        """Two different passwords, or none, end it before the half is asked."""
        self.prompt("one", "other")
        self.assertEqual(self.sofw("user", "add", "a"), Ended(1, "", "sofw: the two passwords differ\n"))
        self.prompt()
        sentence = "sofw: no password was given; see --password-stdin and --generate\n"
        self.assertEqual(self.sofw("user", "add", "a"), Ended(1, "", sentence))
        self.assertEqual(self.asked, [])

    def test_password_from_stdin(self) -> None:
        """--password-stdin takes the first line, without its end, with its spaces."""
        self.answers = [ADDED]
        self.patch(sys, "stdin", io.StringIO(" correct horse \r\nrest\n"))
        self.sofw("user", "add", "alice", "--password-stdin")
        self.assertEqual(self.asked[0][2]["password"], " correct horse ")

    def test_password_generated(self) -> None:
        """--generate prints what it made, for people and for programs."""
        self.answers = [ADDED, ADDED]
        ended = self.sofw("user", "add", "alice", "--generate")
        first = self.asked[0][2]["password"]
        self.assertEqual(ended, Ended(0, f"added alice@example.com\npassword: {first}\n", ""))
        ended = self.sofw("user", "passwd", "alice", "--generate", "--json")
        second = self.asked[1][2]["password"]
        self.assertEqual(json.loads(ended.out), {**ADDED, "password": second})
        self.assertEqual((len(first), first == second), (16, False))

    def test_one_way_only(self) -> None:
        """Two ways to give a password contradict each other."""
        self.assertEqual(self.sofw("user", "add", "a", "--generate", "--password", "x").status, 2)

    def test_password_is_not_told_again(self) -> None:
        """A password that was given is not printed."""
        self.answers = [ADDED]
        self.assertNotIn("correct", self.sofw("user", "add", "a", "--password", "correct", "--json").out)

    def test_removed(self) -> None:
        """`user del` names whom it removed."""
        self.answers = [ADDED]
        self.assertEqual(self.sofw("user", "del", "alice"), Ended(0, "removed alice@example.com\n", ""))
        self.assertEqual(self.asked, [(SOCKET, "user del", {"user": "alice"})])

    def test_list(self) -> None:
        """`user list` is a table, JSON, or a hint."""
        self.answers = [[ADDED], [ADDED], []]
        self.assertEqual(self.sofw("user", "list").out, "user\nalice@example.com\n")
        self.assertEqual(json.loads(self.sofw("user", "list", "--json").out), [ADDED])
        self.assertEqual(self.sofw("user", "list").out, "no users; add one with: sofw user add NAME\n")
