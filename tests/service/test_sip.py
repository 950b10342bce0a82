"""The SIP sockets of a half, as `sofw status` tells of them."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Transport
from sofw.net.sip_stream import SipStreams
from sofw.net.sip_udp import SipUdp
from sofw.service.sip import refused


class RefusedTests(SynchronousTestCase):
    """What is counted."""

    def test_udp_alone(self) -> None:
        """Without connections there is nothing to count."""
        self.assertEqual(refused({Transport.UDP: SipUdp("outside", lambda _flow, _data: None)}), {})

    def test_framing_lost(self) -> None:
        """A connection that brings what is no SIP is ended, and counted."""
        streams = SipStreams(MemoryReactorClock(), "outside", lambda _flow, _data: None, lambda _flow: None)
        self.assertEqual(refused({Transport.TCP: streams}), {"unframed": 0})
        connection = streams.buildProtocol(None)
        assert connection is not None
        connection.makeConnection(_Tcp())
        connection.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(refused({Transport.TCP: streams}), {"unframed": 1})


class _Tcp(StringTransport):
    """A transport with the two settings of TCP that a connection makes."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """As a TCP transport."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """As a TCP transport."""
