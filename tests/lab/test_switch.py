"""`sofw off`, on either half, during a call."""

from __future__ import annotations

import time
from typing import ClassVar

from sofw.demo.baresip import Phone
from sofw.demo.halves import Half
from sofw.demo.process import until
from sofw.demo.stage import OUTSIDE, Stage
from tests.lab.case import LabCase

#: Seconds within which nothing is left of tunnel and calls.
_AT_ONCE = 1.0
#: Longer than an HRAC waits between two attempts after it has lost its tunnel.
_A_WHILE = 3.0


class Switched(LabCase):
    """One site through its proxy, and a call for each test."""

    alice: ClassVar[Phone]
    olga: ClassVar[Phone]

    @classmethod
    def lay(cls, stage: Stage) -> None:
        stage.open_hras()
        stage.open_site("tokyo")
        stage.open_hrac("tokyo")
        cls.alice, cls.olga = stage.phone("alice", "tokyo"), stage.phone("olga", OUTSIDE)

    def test_inside(self) -> None:
        """HRAC: the outside half forgets tunnel and calls at once; off it stays until it is switched on."""
        hrac = self.stage.sites["tokyo"].hrac
        assert hrac is not None
        self.switch_off(hrac)

    def test_outside(self) -> None:
        """HRAS: the same, and HRAC is let in only when HRAS is switched on."""
        self.switch_off(self.stage.hras)

    def switch_off(self, half: Half) -> None:
        """Switch a half off during a call, restart it, and switch it on: calls are possible again."""
        self.talk(self.alice, self.olga, 1.0)
        self.assertIn("sofw on", half.show("off"))
        until(lambda: not self.stage.hras.ask("status")["tunnels"], _AT_ONCE, "the tunnel to go")
        until(lambda: not self.stage.hras.ask("calls"), _AT_ONCE, "the calls to end")
        self.assert_idle()
        self.hang_up_phones()
        half.stop()
        half.start()
        time.sleep(_A_WHILE)
        self.assertEqual(half.ask("status")["switch"], "off")
        self.assertFalse(self.stage.tunnel_up("tokyo"))
        half.show("on")
        until(lambda: self.stage.tunnel_up("tokyo"), 30.0, "the tunnel to come back")
        self.talk(self.olga, self.alice, 1.0)
        self.hang_up(self.olga, self.alice)
        self.assert_idle()

    def hang_up_phones(self) -> None:
        """Neither phone was told: each of them hangs up by itself."""
        for phone in (self.alice, self.olga):
            phone.hang_up()
            phone.ended()
