"""The switch of a half, and the file that keeps it."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import LocalError
from sofw.service.switch import Switch

OFF = {"switch": "off", "off_since": "2026-01-01T00:00:00Z"}


class SwitchTests(SynchronousTestCase):
    """Off, on, and what survives."""

    def setUp(self) -> None:
        """A place for the file, whose folder does not exist yet."""
        self.path = os.path.join(os.path.abspath(self.mktemp()), "state", "hrac.off")
        self.changes: list[bool] = []

    def switch(self) -> Switch:
        """The switch of a program that has just been started."""
        return Switch(self.path, self.changes.append, lambda: 1767225600.0)

    def test_off_and_on(self) -> None:
        """Each change is told once, each position is shown, and saying it twice is no harm."""
        switch = self.switch()
        self.assertEqual(switch.status(), {"switch": "on"})
        self.assertEqual([switch.off(), switch.off()], [OFF, OFF])
        self.assertEqual([switch.on(), switch.on()], [{"switch": "on"}] * 2)
        self.assertEqual(self.changes, [True, False])

    def test_restart(self) -> None:
        """It stays off over a restart, without any change being told."""
        self.switch().off()
        switch = self.switch()
        self.assertEqual((switch.is_off, switch.status(), self.changes), (True, OFF, [True]))
        switch.on()
        self.assertFalse(self.switch().is_off)

    def test_nowhere_to_keep_it(self) -> None:
        """Where nothing can be written it is off all the same, and the operator hears of it."""
        os.makedirs(os.path.dirname(os.path.dirname(self.path)))
        with open(os.path.dirname(self.path), "w", encoding="utf-8"):
            switch = self.switch()
        error = self.assertRaises(LocalError, switch.off)
        self.assertIn("a restart would switch it on", str(error))
        self.assertEqual((switch.status(), self.changes), ({"switch": "off", "off_since": ""}, [True]))
        self.assertIn("it stays off", str(self.assertRaises(LocalError, switch.on)))
        self.assertEqual(self.changes, [True])
