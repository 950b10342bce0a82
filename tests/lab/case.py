"""What the tests of the lab share: one stage per class, and the questions asked of it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from sofw.demo.audio import compare
from sofw.demo.baresip import Phone
from sofw.demo.halves import Settings
from sofw.demo.process import until
from sofw.demo.stage import Stage

#: How long a call lasts that is judged by ear: the sentence once, and its pause.
SENTENCE = 4.2
#: The least correlation of what was said and what was heard; G.711 and back gives 0.9999.
ALIKE = 0.98


class LabCase(SynchronousTestCase):
    """A stage for all tests of a class, laid by `lay` before the first of them.

    Trial knows no setUpClass, so the stage stands until another class wants its own, or all is over.
    Its folder, with all logs and recordings, stays when SOFW_LAB_KEEP is set.
    """

    profile = "proxy"
    settings: ClassVar[Settings] = {}
    stage: ClassVar[Stage]

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.fail("the lab makes network namespaces; run it as root: sudo make test")
        _theatre.show(type(self))

    @classmethod
    def lay(cls, stage: Stage) -> None:
        """What the tests of this class need on their stage."""

    def assert_idle(self) -> None:
        """HRAS has no call and no RAT row left, no HRAC an open port (it may take a moment to notice)."""
        until(lambda: not self.stage.hras.ask("rat"), 5.0, "an empty RAT")
        until(lambda: not self.stage.hras.ask("calls"), 5.0, "no calls")
        for half in (site.hrac for site in self.stage.sites.values() if site.hrac):
            until(lambda half=half: not half.ask("status")["open_ports"], 5.0, "HRAC to close its ports")

    def assert_heard(self, phone: Phone, speaker: str) -> None:
        """The phone has recorded the sentence that is spoken at the place `speaker`."""
        comparison = compare(phone.heard(), self.stage.spoken(speaker))
        self.assertGreater(comparison.correlation, ALIKE, f"{phone.account.aor} heard {comparison}")
        self.assertEqual(comparison.gaps, (), f"{phone.account.aor} heard {comparison}")

    def talk(self, caller: Phone, callee: Phone, seconds: float = SENTENCE) -> None:
        """A call from one to the other, who answers by itself; both hear; it is up when this returns."""
        caller.dial(f"sip:{callee.account.aor}")
        caller.established()
        callee.established()
        caller.hears()
        callee.hears()
        time.sleep(seconds)

    def hang_up(self, ends: Phone, other: Phone) -> None:
        """One of the two ends the call; both notice."""
        ends.hang_up()
        ends.ended()
        other.ended()


class _Theatre:
    """The one stage that stands at a time."""

    def __init__(self) -> None:
        self._playing: type[LabCase] | None = None
        self._failure: Exception | None = None
        self._stage = ExitStack()
        atexit.register(self._stage.close)

    def show(self, case: type[LabCase]) -> None:
        """See to it that the stage of this class stands; a failure to lay it is told to each of its tests."""
        if self._playing is not case:
            self._stage.close()
            self._playing, self._failure = case, None
            try:
                self._lay(case)
            except Exception as error:
                self._failure = error
        if self._failure:
            raise self._failure

    def _lay(self, case: type[LabCase]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="sofw-lab-"))
        if "SOFW_LAB_KEEP" not in os.environ:
            self._stage.callback(shutil.rmtree, folder)
        case.stage = self._stage.enter_context(Stage(folder, case.profile, case.settings))
        case.lay(case.stage)


_theatre = _Theatre()
