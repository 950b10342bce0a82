"""The socket options of tunnel connections, and of what is listened on for them."""

from __future__ import annotations

import socket
from typing import Any

#: Milliseconds after which a connection that the peer does not acknowledge is given up. Without it
#: a link that was cut goes unnoticed for a quarter of an hour.
USER_TIMEOUT = 10_000
#: Bytes that may wait unsent in the kernel. What waits there can neither be dropped when it is late
#: nor overtaken by signalling; what is on its way is not limited, so long lines still run full.
NOT_SENT = 16_384
#: Bytes that may wait in Twisted's own buffer before the lane counts as not writable.
BUFFER_SIZE = 4_096

#: Linux's number; Python 3.11 has no name for it.
_TCP_NOTSENT_LOWAT = 25


def tune(transport: Any) -> None:
    """Set up a TCP connection of a tunnel; transports without a TCP socket are left alone."""
    sock = tcp_socket(transport)
    if sock is None:
        return
    # Twisted before 23 does not set it: 40 ms on each small frame.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)


def tune_sending(transport: Any) -> None:
    """Make a connection on which frames are sent report early that it cannot take more."""
    sock = tcp_socket(transport)
    if sock is None:
        return
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, NOT_SENT)
    transport.bufferSize = BUFFER_SIZE


def tcp_socket(transport: Any) -> socket.socket | None:
    """The TCP socket of a transport that writes to it in the clear; None for TLS and for lost connections."""
    try:
        handle = transport.getHandle()
    except AttributeError:
        return None
    is_tcp = isinstance(handle, socket.socket) and handle.family in (socket.AF_INET, socket.AF_INET6)
    return handle if is_tcp else None
