"""Tests of the socket options of tunnel connections."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from sofw.net.sockets import BUFFER_SIZE, NOT_SENT, USER_TIMEOUT, tcp_socket, tune, tune_sending


class FakeTransport:
    """A transport with a socket."""

    bufferSize = 65536

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def getHandle(self) -> Any:
        """Twisted: what the transport stands on."""
        return self._socket


class OptionTests(SynchronousTestCase):
    """The options, as the kernel has them."""

    def transport(self, family: int = socket.AF_INET) -> FakeTransport:
        """A transport on a fresh socket."""
        sock = socket.socket(family, socket.SOCK_STREAM)
        self.addCleanup(sock.close)
        return FakeTransport(sock)

    def test_tune(self) -> None:
        """No waiting to gather small pieces, and a vanished peer is noticed; IPv6 too."""
        for family in (socket.AF_INET, socket.AF_INET6):
            transport = self.transport(family)
            tune(transport)
            get = transport.getHandle().getsockopt
            self.assertTrue(get(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            self.assertTrue(get(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            self.assertEqual(get(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT), USER_TIMEOUT)

    def test_tune_sending(self) -> None:
        """Little waits unsent, in the kernel or in Twisted."""
        transport = self.transport()
        tune_sending(transport)
        self.assertEqual(transport.getHandle().getsockopt(socket.IPPROTO_TCP, 25), NOT_SENT)
        self.assertEqual(transport.bufferSize, BUFFER_SIZE)

    def test_others(self) -> None:
        """Transports without a TCP socket are left as they are."""
        local = self.transport(socket.AF_UNIX)
        for transport in (StringTransport(), local, object()):
            self.assertIsNone(tcp_socket(transport))
            tune(transport)
            tune_sending(transport)
        self.assertEqual(local.bufferSize, FakeTransport.bufferSize)
