"""A lane to send on: the never-ending body of an HTTP request or answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from sofw.net.sockets import tune_sending
from sofw.net.twisted_private import StraightWriter


@implementer(IPushProducer)
class SendingLane:
    """Writes each piece as one chunk (RFC 9112 §7.1) on a transport whose headers have been written.

    `chunked` is false for HTTP/1.0, where the body goes as it is. `resumed` is called when the lane takes
    data again. It must be registered as the transport's producer, by way of Twisted's HTTP.
    """

    def __init__(self, transport: Any, chunked: bool, resumed: Callable[[], None]) -> None:
        self.writable = True
        self._writer = StraightWriter(transport)
        self._chunked = chunked
        self._resumed = resumed
        tune_sending(transport)

    def write(self, data: bytes) -> None:
        """Send one piece, not empty."""
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def pauseProducing(self) -> None:
        """Twisted: the transport takes no more for now."""
        self.writable = False

    def resumeProducing(self) -> None:
        """Twisted: the transport has sent all it had."""
        self.writable = True
        self._resumed()

    def stopProducing(self) -> None:
        """Twisted: the connection is lost."""
        self.writable = False
