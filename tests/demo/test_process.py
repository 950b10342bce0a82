"""Tests for sofw.demo.process, with /bin/sh as the child."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sofw.demo.process import Process, run, until
from sofw.errors import LocalError


class RunTests(SynchronousTestCase):
    """A command that comes to its end."""

    def test_output(self) -> None:
        """What it prints is returned, what it reads is given."""
        self.assertEqual(run("cat", text="hello"), "hello")

    def test_failure(self) -> None:
        """A failure tells the command, its status and its complaint."""
        error = self.assertRaises(LocalError, run, "sh", "-c", "echo bad luck >&2; exit 3")
        self.assertIn("status 3: bad luck", str(error))

    def test_missing(self) -> None:
        """A program that is not installed is named."""
        error = self.assertRaises(LocalError, run, "no-such-program-of-ours")
        self.assertIn("no-such-program-of-ours", str(error))


class UntilTests(SynchronousTestCase):
    """Waiting."""

    def test_found(self) -> None:
        """The first thing found is returned."""
        answers = iter((None, "", "there"))
        self.assertEqual(until(lambda: next(answers), 5.0, "it"), "there")

    def test_in_vain(self) -> None:
        """What never comes is named."""
        error = self.assertRaises(LocalError, until, lambda: None, 0.0, "Godot")
        self.assertEqual(str(error), "waited 0 s for Godot, in vain")


class ProcessTests(SynchronousTestCase):
    """A program beside us."""

    def start(self, script: str) -> Process:
        """A shell that carries out a script; ended after the test."""
        process = Process("shell", ("sh", "-c", script), Path(self.mktemp()))
        self.addCleanup(process.kill)
        return process

    def test_talk(self) -> None:
        """It reads what is said and its answers are found in order, each once."""
        process = self.start('while read -r line; do echo "got $line"; done')
        process.say("one")
        process.say("two")
        self.assertEqual(process.expect(r"got (\w+)")[1], "one")
        place = process.read
        self.assertEqual(process.expect(r"got (\w+)")[1], "two")
        self.assertTrue(process.seen("two", place))
        self.assertFalse(process.seen("one", place))

    def test_ends_early(self) -> None:
        """One that ends instead of saying what is awaited is reported at once, with its last words."""
        process = self.start("echo sorry; exit 4")
        error = self.assertRaises(LocalError, process.expect, "welcome", 5.0)
        self.assertIn("shell ended with status 4", str(error))
        self.assertIn("sorry", str(error))
        self.assertEqual(process.wait(5.0), 4)

    def test_stop(self) -> None:
        """It is asked to end; one that does not listen is ended all the same."""
        for script in ("echo ready; exec sleep 30", "trap '' TERM; echo ready; while :; do sleep 0.01; done"):
            process = self.start(script)
            process.expect("ready")
            process.stop(0.1)
            self.assertFalse(process.running)
