"""The two ends of a lane: the never-ending body of an HTTP request or answer, written and read."""

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


class ReceivingLane:
    """Gathers what one read of a connection brings, and delivers it in one piece.

    A proxy may have cut a batch into many chunks (Squid: 4 KiB). `transport` is that of the connection, whose
    protocol calls `piece` with each part of the body.
    """

    def __init__(self, transport: Any, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._pieces: list[bytes] | None = None
        protocol = transport.protocol
        self._receive = protocol.dataReceived
        protocol.dataReceived = self._read

    def piece(self, data: bytes) -> None:
        """A part of the body; delivered at once in the read that began before this lane did."""
        if self._pieces is None:
            self._deliver(data)
        else:
            self._pieces.append(data)

    def _read(self, data: bytes) -> None:
        pieces = self._pieces = []
        self._receive(data)
        self._pieces = None
        if pieces:
            self._deliver(pieces[0] if len(pieces) == 1 else b"".join(pieces))
