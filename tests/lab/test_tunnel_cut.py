"""The tunnel is cut during a call: the call goes on, and no signalling is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import ClassVar

from sofw.demo import network
from sofw.demo.baresip import Phone
from sofw.demo.capture import Capture
from sofw.demo.network import inside
from sofw.demo.process import run, until
from sofw.demo.stage import OUTSIDE, Site, Stage
from tests.lab.case import LabCase

#: The longest silences allowed (seconds). Measured: 0.35 after killed connections, which are noticed at once;
#: 1.1 while Squid starts again; 0.3 from when a dead line comes back.
_KILLED = 1.0
_RESTARTED = 2.5
_BACK = 1.5
#: How long the line is dead.
_DEAD = 4.0


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
        self.talk(self.alice, self.olga, 1.0)

    def tearDown(self) -> None:
        """Whatever happened to the tunnel, BYE crosses it and nothing is left."""
        self.hang_up(self.alice, self.olga)
        self.assert_idle()

    def test_connections_are_killed(self) -> None:
        """The firewall kills the proxy's connections: they are opened again at once."""
        with self.silence_within(_KILLED):
            killed = run(*inside(self.site.firewall.namespace), "ss", "-K", "-H", "-t", "dst", network.HRAS)
            self.assertTrue(killed.strip(), "no connection was killed")

    def test_proxy_restarts(self) -> None:
        """Squid is restarted: voice comes back."""
        assert self.site.squid is not None
        with self.silence_within(_RESTARTED):
            self.site.squid.restart()

    def test_line_falls_silent(self) -> None:
        """For seconds nothing passes and nobody is told; a re-INVITE sent then arrives afterwards."""
        with self.silence_within(_DEAD + _BACK):
            self.site.firewall.sever()
            time.sleep(_DEAD / 2)
            self.olga.hold()
            time.sleep(_DEAD / 2)
            self.site.firewall.load("proxy")
            until(lambda: self._held(True), _BACK, "the hold to arrive")
            self.olga.resume()
            until(lambda: self._held(False), _BACK, "the call to go on")

    @contextmanager
    def silence_within(self, seconds: float) -> Iterator[None]:
        """During this and as long afterwards, neither phone hears nothing for longer than that."""
        with Capture(self.alice.computer) as near, Capture(self.olga.computer) as far:
            began = time.time()
            yield
            time.sleep(seconds)
            for name, capture, relay in (("alice", near, network.HRAC), ("olga", far, network.HRAS)):
                heard = [found.time for found in capture.take() if found.is_rtp and found.source[0] == relay]
                times = [began, *heard, time.time()]
                gaps = [after - before for before, after in pairwise(times)]
                self.assertLess(max(gaps), seconds, name)

    def _held(self, held: bool) -> bool:
        """Whether the far phone has agreed to (or ended) the hold."""
        return [row["held"] for row in self.stage.hras.ask("rat")] == [held]
