"""The attributes of Twisted that are not public and that we use all the same; nowhere else.

Each has a test that fails when a release of Twisted changes it.
"""

from __future__ import annotations

from typing import Any

from sofw.net.sockets import tcp_socket


def request_line(request: Any) -> tuple[bytes, bytes, bytes]:
    """Method, path and version of a server's request when its headers have come but not its body.

    Twisted tells them to the request only when the whole body is there.
    """
    channel = request.channel
    return channel._command, channel._path.partition(b"?")[0], channel._version


class StraightWriter:
    """Writes to a transport; while nothing waits there, straight to its socket.

    Twisted sends at the next turn of the reactor, after two calls to change what is waited for: most of
    the cost of a small packet. What the socket does not take goes Twisted's way.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        sock = tcp_socket(transport)
        self._send = None if sock is None else sock.send

    def write(self, data: bytes) -> None:
        """Send, or queue in the transport what cannot be sent at once."""
        transport = self._transport
        if self._send is None or unsent(transport) or not transport.connected:
            transport.write(data)
            return
        try:
            sent = self._send(data)
        except OSError:
            # The socket is full, or the connection is lost; Twisted finds out which.
            sent = 0
        if sent < len(data):
            transport.write(data[sent:])


def unsent(transport: Any) -> int:
    """The bytes that wait in a TCP transport's own buffer."""
    waiting: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    return waiting
