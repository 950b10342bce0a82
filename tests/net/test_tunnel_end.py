"""Tests of one end of a tunnel, with lanes by hand and a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from sofw.flow.carry import control_frame
from sofw.net.lane import ReceivingLane, SendingLane
from sofw.net.tunnel_end import ACK_DELAY, TunnelEnd
from sofw.tunnel.frame import DataType, Decoder, Frame, encode
from sofw.tunnel.link import TUNNEL, Link, Role
from tests.net.tunnels import HELLO, PHONE, Recorder, sip

VOICE = encode(Frame(DataType.MEDIA, PHONE, 20000, b"voice"))


class FakeLane(SendingLane):
    """A lane whose transport is a string."""

    def __init__(self, resumed: Callable[[], None]) -> None:
        self.transport = StringTransport()
        super().__init__(self.transport, False, resumed)

    def taken(self) -> bytes:
        """What was written since the last look."""
        data = self.transport.value()
        self.transport.clear()
        return data


class EndTests(SynchronousTestCase):
    """An HRAC's end that faces a bare link of an HRAS."""

    def setUp(self) -> None:
        """Join both."""
        self.clock = Clock()
        self.dropped: list[str] = []
        self.told = Recorder()
        link = Link(Role.CLIENT, 0)
        self.end = TunnelEnd(self.clock, link, TUNNEL, HELLO, self.told, self.dropped.append)
        self.far = Link(Role.SERVER, 0)
        self.decoder = Decoder()
        self.lane = FakeLane(self.end.pump)
        self.end.opening_lanes()
        self.end.receiving_opened()
        self.end.sending_opened(self.lane)
        self.far.receiving_opened()
        self.far.sending_opened(0)
        self.converse()
        self.lane.taken()

    def converse(self) -> None:
        """Carry frames both ways until nothing is left."""
        while self.lane.transport.value() or not self.far.outbox.empty:
            frames = self.decoder.feed(self.lane.taken(), lambda *_: None)
            self.far.received(frames, self.clock.seconds())
            data = self.far.outbox.take(self.clock.seconds(), 65536)
            if data:
                self.end.received(data)
                self.end.pump()

    def test_one_write(self) -> None:
        """What is sent in one turn leaves at its end, in one piece, orders first."""
        for frame in (sip("a"), sip("b"), control_frame("busy")):
            self.end.send(frame)
        self.assertEqual(self.lane.taken(), b"")
        self.clock.advance(0)
        frames = (control_frame("busy"), sip("a"), sip("b"))
        self.assertEqual(self.lane.taken(), b"".join(map(encode, frames)))

    def test_ack_in_company(self) -> None:
        """An ack goes with the next frame that leaves, or alone when none has left for a while."""
        for wait, expected in ((0.0, [DataType.ACK, DataType.SIP_UDP]), (ACK_DELAY, [DataType.ACK])):
            self.far.send(sip("x"), self.clock.seconds())
            self.end.received(self.far.outbox.take(self.clock.seconds(), 65536))
            self.clock.advance(ACK_DELAY / 2)
            self.assertEqual(self.lane.taken(), b"")
            if not wait:
                self.end.send(sip("answer"))
            self.clock.advance(wait / 2)
            frames = self.decoder.feed(self.lane.taken(), lambda *_: None)
            self.assertEqual([frame.type for frame in frames], expected)
        self.clock.advance(ACK_DELAY)
        self.assertEqual(self.lane.taken(), b"")

    def test_dummies(self) -> None:
        """As time passes the end asks, and while it is answered the tunnel stays up."""
        for _ in range(100):
            self.clock.advance(1)
            self.converse()
        self.assertEqual((self.told.words(), self.dropped), (["up"], []))

    def test_silence(self) -> None:
        """Without answers the lanes are dropped, and a minute later the session is over."""
        self.clock.pump([1] * 25)
        self.assertEqual((self.told.words(), self.dropped), (["up"], ["No answer in time"]))
        self.clock.pump([1] * 60)
        self.assertEqual(self.told.words(), ["up", "down"])
        self.assertEqual((self.end.closed, self.clock.getDelayedCalls()), (True, []))

    def test_busy(self) -> None:
        """While calls are up silence is noticed within four seconds."""
        self.end.set_busy(True)
        self.clock.pump([0.5] * 8)
        self.assertEqual(self.dropped, ["No answer in time"])

    def test_media_at_once(self) -> None:
        """Media is written at once and as it is."""
        self.end.send_media(VOICE, 1)
        self.assertEqual(self.lane.taken(), VOICE)

    def test_media_deadline(self) -> None:
        """While the lane takes nothing media waits, not for long; signalling that came later goes first."""
        self.lane.pauseProducing()
        self.end.send_media(VOICE * 2, 2)
        self.clock.advance(0.08)
        self.end.send_media(VOICE, 1)
        self.end.send(sip("a"))
        self.clock.advance(0.08)
        self.assertEqual(self.lane.taken(), b"")
        self.lane.resumeProducing()
        self.assertEqual(self.lane.taken(), encode(sip("a")) + VOICE)
        self.assertEqual(self.end.status("streams", 2)["media_dropped"], 2)

    def test_media_without_lane(self) -> None:
        """Without lanes media is dropped and counted."""
        self.end.lost("cut")
        self.end.send_media(VOICE, 1)
        self.assertEqual(self.end.status("streams", 0)["media_dropped"], 1)

    def test_bad_frame(self) -> None:
        """A frame that cannot be costs the lanes, and media in front of it is not lost."""
        self.end.received(VOICE + bytes(6) + b"\x80\x01\x00\x00\x00\x00")
        self.assertEqual(self.told.words(), ["up", "voice"])
        self.assertEqual(len(self.dropped), 1)

    def test_media_fails(self) -> None:
        """Where the listener fails on media, the rest of that read and all later ones are still taken."""
        good, told = self.told.media, iter((ValueError("bad"), ValueError("bad"), None))

        def media(*args: Any) -> None:
            error = next(told)
            if error:
                raise error
            good(*args)

        self.end = self.joined(media)
        number = Frame(DataType.ACK, None, 0, bytes(15) + b"\1")
        self.end.received(encode(number) + VOICE + encode(sip("a")) + VOICE)
        self.end.received(VOICE)
        self.end.received(encode(sip("b")) + VOICE)
        self.assertEqual(self.told.words(), ["up", "up", "a", "voice", "b"])
        self.assertEqual(self.end.status("streams", 2)["media_faults"], 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def joined(self, media: Any) -> TunnelEnd:
        """Another end, of an HRAS, whose listener takes media so."""
        self.told.media = media  # type: ignore[method-assign]
        end = TunnelEnd(self.clock, Link(Role.SERVER, 0), "site", HELLO, self.told, self.dropped.append)
        end.receiving_opened()
        end.sending_opened(FakeLane(end.pump))
        return end

    def test_ceiling(self) -> None:
        """Below a ceiling signalling waits for its turn and comes through whole, late media is dropped."""
        hello = evolve(HELLO, capabilities=("bytes-per-second=8000",))
        end = TunnelEnd(self.clock, Link(Role.SERVER, 0), "site", hello, self.told, self.dropped.append)
        lane = FakeLane(end.pump)
        end.receiving_opened()
        end.sending_opened(lane)
        end.received(encode(Frame(DataType.ACK, None, 0, bytes(15) + b"\1")))
        self.clock.advance(5)
        lane.taken()
        sent, began = bytearray(), self.clock.seconds()
        for number in range(100):
            end.send_media(VOICE * 20, 20)
            if number < 5:
                end.send(sip("x" * 1000))
            self.clock.advance(0.02)
            sent += lane.taken()
        self.assertLess(len(sent), 8000 * (self.clock.seconds() - began) + 2000 + 3000)
        self.assertGreater(len(sent), 8000)
        media: list[int] = []
        frames = Decoder().feed(bytes(sent), lambda *_: media.append(1))
        self.assertEqual(sum(frame == sip("x" * 1000) for frame in frames), 5)
        self.assertEqual(len(media) + int(str(end.status("", 2)["media_dropped"])), 2000 - self.waiting(end))
        self.assertGreater(len(media), 100)
        end.abandon()

    @staticmethod
    def waiting(end: TunnelEnd) -> int:
        """Packets that have neither left nor been dropped."""
        return sum(packets for _, _, packets in end._link.outbox._media)

    def test_last_words(self) -> None:
        """What comes in one read with a goodbye, in front of it, is handed over before the end is told."""
        self.far.send(sip("last"), 0)
        last = self.far.outbox.take(0, 65536)
        self.far.say_goodbye()
        self.end.received(last + self.far.outbox.take(0, 65536))
        self.assertEqual(self.told.words(), ["up", "last", "down"])

    def test_abandon(self) -> None:
        """A half that stops closes its lanes and tells nobody; no timer is left."""
        self.end.abandon()
        self.assertFalse(self.end.send(sip("a")))
        self.assertEqual((self.told.words(), len(self.dropped)), (["up"], 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ReceivingLaneTests(SynchronousTestCase):
    """What one read brings is delivered in one piece."""

    def test_pieces(self) -> None:
        """Parts of the read in which the lane began come singly, later ones together, and none is made up."""
        delivered: list[bytes] = []
        transport = StringTransport()
        lane: list[ReceivingLane] = []

        class Parts:
            """A protocol that passes each byte as a part."""

            def dataReceived(self, data: bytes) -> None:
                """Twisted: a read."""
                if not lane:
                    lane.append(ReceivingLane(transport, delivered.append))
                for at in range(len(data)):
                    lane[0].piece(data[at : at + 1])

        transport.protocol = Parts()
        for data in (b"ab", b"cde", b"", b"f"):
            transport.protocol.dataReceived(data)
        self.assertEqual(delivered, [b"a", b"b", b"cde", b"f"])


class SendingLaneTests(SynchronousTestCase):
    """One chunk for each piece."""

    def test_chunks(self) -> None:
        """A piece is framed as a chunk (RFC 9112 §7.1), or goes as it is."""
        for chunked, written in ((True, b"10\r\n0123456789abcdef\r\n"), (False, b"0123456789abcdef")):
            transport = StringTransport()
            SendingLane(transport, chunked, lambda: None).write(b"0123456789abcdef")
            self.assertEqual(transport.value(), written)

    def test_writable(self) -> None:
        """A lane is writable until it is paused or lost, and tells when it is again."""
        resumed: list[bool] = []
        lane = SendingLane(StringTransport(), True, lambda: resumed.append(lane.writable))
        states = [lane.writable]
        for step in (lane.pauseProducing, lane.resumeProducing, lane.stopProducing):
            step()
            states.append(lane.writable)
        self.assertEqual((states, resumed), ([True, False, True, False], [True]))
