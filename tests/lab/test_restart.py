"""HRAS dies as by a power cut and is started again."""

from __future__ import annotations

from sofw.demo.process import until
from sofw.demo.stage import OUTSIDE, Stage
from tests.lab.case import SENTENCE, LabCase


class Restart(LabCase):
    """One site through its proxy."""

    @classmethod
    def lay(cls, stage: Stage) -> None:
        stage.open_hras()
        stage.open_site("tokyo")
        stage.open_hrac("tokyo")

    def test_registrations_survive(self) -> None:
        """After kill -9 the phones need not register again: the next call finds both of them."""
        alice, olga = self.stage.phone("alice", "tokyo"), self.stage.phone("olga", OUTSIDE)
        before = self._bindings()
        self.stage.hras.kill()
        self.stage.hras.start()
        self.assertEqual(self._bindings(), before)
        until(lambda: self.stage.tunnel_up("tokyo"), 15.0, "the tunnel to come back")
        for caller, callee in ((olga, alice), (alice, olga)):
            self.talk(caller, callee, SENTENCE)
            self.hang_up(caller, callee)
            self.assert_heard(alice, OUTSIDE)
            self.assert_heard(olga, "tokyo")
        self.assert_idle()

    def _bindings(self) -> list[tuple[str, str, str]]:
        registrations = self.stage.hras.ask("registrations")
        return sorted((found["aor"], found["leg"], found["contact"]) for found in registrations)
