"""Tests for sofw.service.hangup."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from attrs import define, field
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import ConfigError
from sofw.net.tls import TlsError
from sofw.service.hangup import mind_hangup


@define
class LaterReactor:
    """Keeps what it is to call in its own time."""

    waiting: list[Callable[[], None]] = field(factory=list)

    def callFromThread(self, call: Callable[[], None]) -> None:
        """What a signal handler may use."""
        self.waiting.append(call)


class HangupTests(SynchronousTestCase):
    """What SIGHUP does."""

    def setUp(self) -> None:
        """Leave the process as it was."""
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))

    def said(self, load: Callable[[], object], renew: Callable[[], None] = lambda: None) -> list[str]:
        """What the log says after one signal; the file is read only when the reactor comes to it."""
        events: list[LogEvent] = []
        reactor, loads = LaterReactor(), []

        def counted() -> None:
            loads.append(1)
            load()

        mind_hangup(reactor, "hras", counted, Logger("test", observer=events.append), renew)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((len(reactor.waiting), loads), (1, []))
        reactor.waiting.pop()()
        self.assertEqual(loads, [1])
        return [formatEvent(event) for event in events]

    def test_correct(self) -> None:
        """A correct file is told, and that a restart is wanted."""
        self.assertEqual(
            self.said(lambda: None), ["hras.reload the file is correct; a restart makes changes count"]
        )

    def test_renewed(self) -> None:
        """Certificates are renewed once the file is right; one that cannot be used is told."""
        renewed: list[int] = []
        self.said(lambda: None, lambda: renewed.append(1))
        self.assertEqual(renewed, [1])

        def refuse() -> None:
            raise TlsError("/etc/sofw/key.pem", "key values mismatch")

        self.assertEqual(
            self.said(lambda: None, refuse),
            ["hras.reload nothing is changed: /etc/sofw/key.pem cannot be used: key values mismatch"],
        )

    def test_wrong(self) -> None:
        """A wrong file is told with its error, and nothing is renewed."""

        def wrong() -> None:
            raise ConfigError("/etc/sofw/hras.toml", "sip.port", "0 is not allowed")

        complaint = "/etc/sofw/hras.toml: sip.port: 0 is not allowed"
        expected = f"hras.reload the file is wrong, nothing is changed: {complaint}"
        self.assertEqual(self.said(wrong, lambda: self.fail("renewed")), [expected])
