"""SIP over UDP (RFC 3261 §18): one socket, datagrams in and out."""

from __future__ import annotations

from collections.abc import Callable
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any

from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IReactorUDP, IUDPTransport
from twisted.internet.protocol import DatagramProtocol

from sofw.address import Address, Flow, Transport
from sofw.errors import PortInUse

#: The largest UDP payload; Twisted's default of 8192 would cut longer messages.
LARGEST_DATAGRAM = 65535
#: Bursts wait in the kernel, not on the wire; bytes.
RECEIVE_BUFFER = 1 << 20

#: Bytes that are read before others have their turn: some ten messages. Twisted's default of 256 KiB
#: would keep voice waiting for a storm of calls.
READ_AT_ONCE = 8192

Received = Callable[[Flow, bytes], None]


class SipUdp(DatagramProtocol):
    """The UDP side of a half's SIP address; tells `received(flow, data)`."""

    transport: IUDPTransport

    def __init__(self, leg: str, received: Received) -> None:
        self._leg = leg
        self._received = received
        self._port = 0

    def listen(self, reactor: IReactorUDP, host: str, port: int) -> None:
        """Bind; raises PortInUse."""
        try:
            listening: Any = reactor.listenUDP(port, self, interface=host, maxPacketSize=LARGEST_DATAGRAM)
        except CannotListenError as error:
            raise PortInUse("udp", host, port, str(error.socketError)) from None
        listening.maxThroughput = READ_AT_ONCE
        self._port = listening.getHost().port

    def startProtocol(self) -> None:
        """Twisted: the socket is bound."""
        handle = self.transport.getHandle()  # type: ignore[attr-defined]
        handle.setsockopt(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Twisted: a datagram came in."""
        remote = Address(addr[0], addr[1])
        self._received(Flow(self._leg, Transport.UDP, remote, self._port), datagram)

    def send(self, remote: Address, data: bytes) -> bool:
        """Send; False when it is too long, the address not of our family, or there is no way there."""
        try:
            self.transport.write(data, (remote.host, remote.port))
        except (OSError, ValueError, MessageLengthError):
            return False
        return True

    def stop(self) -> object:
        """Close the socket; a Deferred or None."""
        return self.transport.stopListening() if self.transport else None
