"""The tunnel is cut during a call: the call goes on, and no signalling is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from sofw.demo import network
from sofw.demo.baresip import Phone
from sofw.demo.network import inside
from sofw.demo.process import run, until
from sofw.demo.stage import OUTSIDE, Site, Stage
from sofw.demo.capture import Capture
from tests.lab.case import LabCase

#: The longest silence that a cut connection may cause (seconds): it is noticed at once and opened again.
_GAP = 2.0
#: The same when the line just falls silent: first a reply deadline must pass.
_NOTICE = 8.0


class TunnelCut(LabCase):
    """One call from inside to outside through the proxy, per test."""

    alice: ClassVar[Phone]
    olga: ClassVar[Phone]
    site: ClassVar[Site]

    @classmethod
    def lay(cls, stage: Stage) -> None:
        stage.open_hras()
        cls.site = stage.open_site("tokyo")
        stage.open_hrac("tokyo")
        cls.alice, cls.olga = stage.phone("alice", "tokyo"), stage.phone("olga", OUTSIDE)

    def setUp(self) -> None:
        super().setUp()
        self.talk(self.alice, self.olga, 0.5)

    def test_connections_are_killed(self) -> None:
        """The firewall kills the proxy's connections: voice is back within two seconds, both ways."""
        killed = run(*inside(self.site.firewall.namespace), "ss", "-K", "-H", "-t", "dst", network.HRAS)
        self.assertTrue(killed.strip(), "no connection was killed")
        self._goes_on(_GAP)

    def test_proxy_restarts(self) -> None:
        """Squid is restarted: voice comes back."""
        assert self.site.squid is not None
        self.site.squid.restart()
        self._goes_on(_NOTICE)

    def test_line_falls_silent(self) -> None:
        """For four seconds nothing passes and nobody is told; a re-INVITE sent then arrives afterwards."""
        self.site.firewall.sever()
        self.olga.hold()
        time.sleep(4.0)
        self.site.firewall.load("proxy")
        until(lambda: self._held(True), _NOTICE, "the hold to arrive")
        self.olga.resume()
        until(lambda: self._held(False), _NOTICE, "the call to go on")
        self._goes_on(_NOTICE)

    def _held(self, held: bool) -> bool:
        """Whether the far phone has agreed to (or ended) the hold."""
        return [row["held"] for row in self.stage.hras.ask("rat")] == [held]

    def _goes_on(self, seconds: float) -> None:
        """Both hear again within the time; then BYE crosses the tunnel and nothing is left."""
        with Capture(self.alice.computer) as near, Capture(self.olga.computer) as far:
            for name, capture, relay in (("alice", near, network.HRAC), ("olga", far, network.HRAS)):
                until(_hears(capture, relay), seconds, f"{name} to hear again")
        self.hang_up(self.alice, self.olga)
        self.assert_idle()


def _hears(capture: Capture, relay: str) -> Callable[[], bool]:
    """Whether RTP from the relay arrives, as a question to be asked again and again."""
    return lambda: any(found.is_rtp and found.source[0] == relay for found in capture.take())
