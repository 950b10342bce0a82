"""The media sockets: one reader, an adaptive tick. Real sockets on loopback, no real time."""

from __future__ import annotations

import socket
import time
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sofw.errors import PortInUse
from sofw.flow.media import Batch, Datagram
from sofw.net import rtp_udp
from sofw.net.rtp_udp import MediaSockets

HOST = "127.0.0.1"
TICK = 0.002


class Reactor(Clock):
    """A clock that knows which readers it has."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """As a reactor."""
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """As a reactor."""
        if reader in self.readers:
            self.readers.remove(reader)


class Relay:
    """Keeps what came; gives what it was told to."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.outgoing: list[Datagram] = []
        self.batches: list[Batch] = []

    def opened(self, port: int) -> None:
        """Recorded."""
        self.events.append(("opened", port))

    def closed(self, port: int) -> None:
        """Recorded."""
        self.events.append(("closed", port))

    def datagrams(self, arrived: list[Datagram]) -> None:
        """Recorded without the sender's address."""
        self.events.append(("datagrams", [(port, data) for port, data, _ in arrived]))

    def take(self) -> tuple[list[Datagram], list[Batch]]:
        """What the test has put there."""
        taken = self.outgoing, self.batches
        self.outgoing, self.batches = [], []
        return taken


class MediaCase(SynchronousTestCase):
    """Media sockets and a phone on loopback."""

    def setUp(self) -> None:
        self.reactor, self.relay, self.sent = Reactor(), Relay(), []
        self.media = self.sockets()
        self.phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.phone.bind((HOST, 0))
        self.phone.settimeout(5)
        self.addCleanup(self.phone.close)

    def sockets(self, tick: float = TICK, host: str = HOST) -> MediaSockets:
        """Sockets that are stopped at the end of the test."""
        self.slept = 0.0
        media = MediaSockets(
            self.reactor, host, self.relay, self.send_media, tick, lambda: time.time() + self.slept
        )
        self.addCleanup(media.stop)
        return media

    def send_media(self, leg: str, batch: bytes, packets: int) -> None:
        """Recorded."""
        self.sent.append((leg, batch, packets))

    def free_port(self) -> int:
        """An even port that is free, and so is the one above it."""
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
                first.bind((HOST, 0))
                port = first.getsockname()[1] & ~1
            try:
                for each in (port, port + 1):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                        probe.bind((HOST, each))
            except OSError:
                continue
            return int(port)

    def opened(self, media: MediaSockets | None = None) -> int:
        """A pair that is open."""
        port = self.free_port()
        (media or self.media).open(port)
        self.relay.events.clear()
        return port

    def speak(self, port: int, *datagrams: bytes) -> None:
        """The phone sends to a relay port."""
        for data in datagrams:
            self.phone.sendto(data, (HOST, port))

    def came(self) -> list[tuple[int, bytes]]:
        """All datagrams the relay was given since the last time."""
        came = [each for event in self.relay.events for each in event[1]]
        self.relay.events.clear()
        return came

    def hurry(self, port: int) -> None:
        """So many packets that gathering begins."""
        self.reactor.advance(TICK * rtp_udp.WINDOW)
        self.speak(port, *[b"many"] * (rtp_udp.WORTHWHILE * rtp_udp.WINDOW + 1))
        self.media.doRead()
        self.relay.events.clear()


class PortTests(MediaCase):
    """Opening and closing pairs."""

    def test_a_pair_opens_and_closes(self) -> None:
        """RTP and RTCP port, both told to the relay; the port can be used again."""
        port = self.free_port()
        for _ in range(2):
            self.media.open(port)
            self.media.open(port)
            self.assertEqual(len(self.media), 2)
            self.media.close(port)
            self.media.close(port)
            self.assertEqual(len(self.media), 0)
        self.assertEqual(
            self.relay.events,
            [("opened", port), ("opened", port + 1), ("closed", port), ("closed", port + 1)] * 2,
        )

    def test_a_port_in_use_is_named(self) -> None:
        """Whichever of the two is taken, the error names it and the other one is free again."""
        port = self.free_port()
        for taken in (port, port + 1):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind((HOST, taken))
                error = self.assertRaises(PortInUse, self.media.open, port)
                self.assertEqual(str(error), f"cannot listen on UDP {HOST}:{taken}: Address already in use")
        self.assertEqual((len(self.media), self.relay.events), (0, []))
        self.media.open(port)
        self.assertEqual(len(self.media), 2)

    def test_stop(self) -> None:
        """Nothing stays: no port, no reader, no timer."""
        port = self.opened()
        self.hurry(port)
        self.media.stop()
        self.assertEqual((len(self.media), self.reactor.readers, self.reactor.getDelayedCalls()), (0, [], []))
        self.media = self.sockets()
        self.media.open(port)

    def test_reader(self) -> None:
        """One reader for all ports, as the reactor wants it."""
        for _ in range(3):
            self.opened()
        verifyObject(IReadDescriptor, self.media)
        self.assertEqual(self.reactor.readers, [self.media])
        self.assertEqual(self.media.logPrefix(), "media")
        self.assertGreater(self.media.fileno(), 2)

    def test_ipv6(self) -> None:
        """An IPv6 host has IPv6 sockets, beside IPv4 ones of the same port."""
        port = self.opened()
        media = self.sockets(host="::1")
        media.open(port)
        self.relay.events.clear()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as phone:
            phone.sendto(b"six", ("::1", port))
        media.doRead()
        self.assertEqual(self.came(), [(port, b"six")])


class PacketTests(MediaCase):
    """What comes and what leaves."""

    def test_all_that_waits_comes_at_once(self) -> None:
        """Of all ports and in the order of each; long, empty and RTCP datagrams as they are."""
        first, second = self.opened(), self.opened()
        self.speak(first, b"1", b"2", b"", b"x" * 9000)
        self.speak(second + 1, b"report")
        self.media.doRead()
        self.assertEqual(len(self.relay.events), 1)
        came = self.came()
        self.assertEqual([data for port, data in came if port == first], [b"1", b"2", b"", b"x" * 9000])
        self.assertEqual([each for each in came if each[0] != first], [(second + 1, b"report")])

    def test_source(self) -> None:
        """The relay learns where a datagram came from."""
        port, sources = self.opened(), []
        self.relay.datagrams = lambda arrived: sources.extend(each[2] for each in arrived)  # type: ignore[method-assign]
        self.speak(port, b"voice")
        self.media.doRead()
        self.assertEqual(sources, [self.phone.getsockname()])

    def test_waking_for_nothing(self) -> None:
        """A turn without packets tells nobody anything."""
        self.opened()
        self.media.doRead()
        self.assertEqual((self.relay.events, self.sent), ([], []))

    def test_what_leaves(self) -> None:
        """Datagrams leave from their relay port, batches go to the tunnel of their leg."""
        port = self.opened()
        peer = self.phone.getsockname()
        self.relay.outgoing = [(port, b"voice", peer), (port + 1, b"report", peer)]
        self.relay.batches = [("tokyo", b"frames", 2), ("osaka", b"frame", 1)]
        self.media.flush()
        heard = [self.phone.recvfrom(100) for _ in range(2)]
        self.assertEqual(heard, [(b"voice", (HOST, port)), (b"report", (HOST, port + 1))])
        self.assertEqual(self.sent, [("tokyo", b"frames", 2), ("osaka", b"frame", 1)])

    def test_a_turn_ends_with_sending(self) -> None:
        """What a turn of the sockets brought leaves at its end."""
        port = self.opened()
        self.relay.batches = [("tokyo", b"frames", 1)]
        self.speak(port, b"voice")
        self.media.doRead()
        self.assertEqual(self.sent, [("tokyo", b"frames", 1)])

    def test_refused_sends_disturb_nothing(self) -> None:
        """Closed ports, wrong families, port 0 and datagrams too long are counted; the rest leaves."""
        port = self.opened()
        peer = self.phone.getsockname()
        bad: list[Datagram] = [
            (port + 2, b"no such port", peer),
            (port, b"not our family", ("::1", 5004)),
            (port, b"port 0", (HOST, 0)),
            (port, b"x" * 65508, peer),
            (port, b"broadcast", ("255.255.255.255", 5004)),
        ]
        self.relay.outgoing = [*bad, (port, b"voice", peer)]
        self.media.flush()
        self.assertEqual((self.phone.recv(100), self.media.unsent), (b"voice", len(bad)))

    def test_refused_reads_disturb_nothing(self) -> None:
        """An error of one socket is counted; other ports are read."""
        port = self.opened()
        descriptor = self.media._sockets[port].fileno()
        receivers = self.media._receivers

        def refuse(size: int) -> tuple[bytes, Any]:
            receivers[descriptor] = (port, self.media._sockets[port].recvfrom)
            raise BlockingIOError("nothing there after all")

        receivers[descriptor] = (port, refuse)
        self.speak(port, b"voice")
        self.media.doRead()
        self.assertEqual((self.came(), self.media.unread), ([(port, b"voice")], 1))

    def test_a_flood_lets_the_reactor_work(self) -> None:
        """A turn ends after MOST packets; what is left waits for the next."""
        self.patch(rtp_udp, "MOST", 3)
        port = self.opened()
        self.speak(port, *[b"%d" % number for number in range(5)])
        self.media.doRead()
        self.assertEqual([data for _, data in self.came()], [b"0", b"1", b"2"])
        self.media.doRead()
        self.assertEqual([data for _, data in self.came()], [b"3", b"4"])


class TickTests(MediaCase):
    """Few packets are passed on at once, many are gathered."""

    def test_few_packets_are_answered_at_once(self) -> None:
        """At up to WORTHWHILE packets a tick there is never a timer."""
        port = self.opened()
        for _ in range(100):
            self.reactor.advance(TICK)
            self.speak(port, *[b"voice"] * rtp_udp.WORTHWHILE)
            self.media.doRead()
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([self.media], []))

    def test_many_packets_are_gathered(self) -> None:
        """Above that the reader leaves the reactor, and each tick brings all that came meanwhile."""
        port = self.opened()
        self.hurry(port)
        self.assertEqual(self.reactor.readers, [])
        for _ in range(50):
            self.speak(port, *[b"voice"] * 5)
            self.assertEqual(self.relay.events, [])
            self.reactor.advance(TICK)
            self.assertEqual(self.came(), [(port, b"voice")] * 5)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)

    def test_back_to_answering_at_once(self) -> None:
        """When it becomes quiet the reader returns, within two windows, and no timer is left."""
        self.hurry(self.opened())
        self.reactor.pump([TICK] * 2 * rtp_udp.WINDOW)
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([self.media], []))

    def test_it_does_not_waver(self) -> None:
        """Somewhat fewer packets than made it begin are still gathered."""
        port = self.opened()
        self.hurry(port)
        for _ in range(5 * rtp_udp.WINDOW):
            self.speak(port, *[b"voice"] * (rtp_udp.WORTHWHILE - 1))
            self.reactor.advance(TICK)
        self.assertEqual(self.reactor.readers, [])

    def test_no_tick(self) -> None:
        """With a tick of 0 everything is passed on at once."""
        media = self.sockets(tick=0)
        self.reactor.readers.remove(self.media)
        port = self.opened(media)
        for _ in range(20):
            self.reactor.advance(0.0001)
            self.speak(port, *[b"voice"] * 50)
            media.doRead()
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([media], []))

    def test_late_voice_is_dropped(self) -> None:
        """What waited behind a reactor held up for longer than LATE is dropped; what follows is not."""
        port = self.opened()
        self.hurry(port)
        self.speak(port, *[b"old"] * 200)
        self.speak(port + 1, b"report")
        self.reactor.advance(rtp_udp.LATE * 1.5)
        self.assertEqual((self.relay.events, self.media.late), ([], 201))
        self.speak(port, b"4", b"5")
        self.media.doRead()
        self.assertEqual((self.came(), self.media.late), ([(port, b"4"), (port, b"5")], 201))

    def test_a_backlog_is_dropped(self) -> None:
        """So is what a half that cannot keep up has not got through for longer than LATE."""
        port = self.opened()
        self.hurry(port)
        self.patch(rtp_udp, "MOST", 20)
        heard = 0
        for packets in [22] * 60 + [0] * 10:
            self.speak(port, *[b"voice"] * packets)
            self.reactor.advance(TICK)
            heard += len(self.came())
        self.assertEqual(heard + self.media.late, 60 * 22)
        # It is noticed after LATE, when 2 packets of each tick wait, and the 22 that have just come.
        self.assertTrue(118 <= self.media.late <= 126, self.media.late)

    def test_a_burst_after_a_pause_is_not_late(self) -> None:
        """When each packet is passed on at once, a long pause is silence and not delay."""
        port = self.opened()
        self.reactor.advance(60)
        self.speak(port, b"1", b"2", b"3")
        self.media.doRead()
        self.assertEqual((len(self.came()), self.media.late), (3, 0))

    def test_what_waited_while_the_half_slept_is_dropped(self) -> None:
        """A half that was stopped for a while does not play its phones' old voice; RTCP is no exception."""
        port = self.opened()
        self.speak(port, b"old", b"older")
        self.speak(port + 1, b"report")
        self.slept = rtp_udp.LATE * 2
        self.reactor.advance(self.slept)
        self.media.doRead()
        self.assertEqual((self.came(), self.media.late), ([], 3))
        self.slept = 0.0
        self.speak(port, b"new")
        self.media.doRead()
        self.assertEqual((self.came(), self.media.late), ([(port, b"new")], 3))


class LimitTests(SynchronousTestCase):
    """Open files."""

    def test_the_soft_limit_becomes_the_hard_one(self) -> None:
        """And nothing else is changed."""
        limits = [(1024, 4096)]
        self.patch(rtp_udp.resource, "getrlimit", lambda which: limits[-1])
        self.patch(rtp_udp.resource, "setrlimit", lambda which, pair: limits.append(pair))
        self.assertEqual(rtp_udp.allow_descriptors(), 4096)
        self.assertEqual(limits, [(1024, 4096), (4096, 4096)])
