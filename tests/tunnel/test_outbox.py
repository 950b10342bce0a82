"""Tests of what waits to leave through a tunnel."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.tunnel import outbox as module
from sofw.tunnel.frame import HEADER_LENGTH, DataType, Decoder, Frame, encode
from sofw.tunnel.outbox import MEDIA_DEADLINE, AckError, Outbox, read_ack

ROOM = 65536
VOICE = encode(Frame(DataType.MEDIA, None, 20000, b"v"))


def sure(kind: DataType, text: str) -> Frame:
    """A sure frame that says something."""
    return Frame(kind, None, 0, text.encode())


def told(data: bytes) -> list[str]:
    """What the frames in `data` are, in words; media counts as the word voice."""
    words: list[str] = []
    decoder = Decoder()
    for at in range(0, len(data)):
        for frame in decoder.feed(data[at : at + 1], lambda *_: words.append("voice")):
            words.append(
                "ack {} {}".format(*read_ack(frame.data))
                if frame.type == DataType.ACK
                else frame.data.decode()
            )
    return words


def joined() -> Outbox:
    """An outbox with a lane that has opened."""
    box = Outbox()
    box.rewind()
    box.take(0, ROOM)
    box.ready = True
    return box


class OrderTests(SynchronousTestCase):
    """What leaves first."""

    def test_priorities(self) -> None:
        """Acks and dummies go first, then control, SIP, media and streams, each in its own order."""
        box = joined()
        for kind in (DataType.STREAM_DATA, DataType.SIP_TCP, DataType.SIP_UDP, DataType.CONTROL):
            self.assertTrue(box.put_sure(sure(kind, kind.name)))
        box.put_media(VOICE, 1, 0)
        box.put_own(DataType.DUMMY, b"dummy")
        box.acknowledge()
        self.assertEqual(
            told(box.take(0, ROOM)),
            ["ack 0 1", "dummy", "CONTROL", "SIP_TCP", "SIP_UDP", "voice", "STREAM_DATA"],
        )
        self.assertTrue(box.empty)

    def test_room(self) -> None:
        """Whole frames leave until the room is used; the rest follows."""
        box = joined()
        for text in "abc":
            box.put_sure(sure(DataType.CONTROL, text))
        self.assertEqual(told(box.take(0, HEADER_LENGTH + 2)), ["a", "b"])
        self.assertFalse(box.empty)
        self.assertEqual(told(box.take(0, HEADER_LENGTH + 2)), ["c"])

    def test_not_ready(self) -> None:
        """Without joined lanes only the link's own frames leave."""
        box = Outbox()
        box.put_sure(sure(DataType.CONTROL, "later"))
        self.assertTrue(box.empty)
        box.rewind()
        self.assertFalse(box.empty)
        self.assertEqual(told(box.take(0, ROOM)), ["ack 0 1"])
        self.assertTrue(box.empty)


class MediaTests(SynchronousTestCase):
    """Late voice is lost voice."""

    def test_late(self) -> None:
        """Media that waited longer than the deadline is dropped and counted."""
        box = joined()
        box.put_media(VOICE, 1, 0.0)
        box.put_media(VOICE * 2, 2, 0.05)
        self.assertEqual(told(box.take(MEDIA_DEADLINE + 0.01, ROOM)), ["voice", "voice"])
        self.assertEqual(box.media_dropped, 1)

    def test_pile(self) -> None:
        """While the lane takes nothing, no more than a deadline's worth is kept."""
        box = joined()
        for packet in range(1000):
            box.put_media(VOICE, 1, packet * 0.02)
        self.assertEqual(len(told(box.take(999 * 0.02, ROOM))), 5 + 1)
        self.assertEqual(box.media_dropped, 994)

    def test_no_lane(self) -> None:
        """Without a lane media is dropped at once, and what waits is dropped with the lane."""
        box = Outbox()
        box.put_media(VOICE, 3, 0)
        self.assertEqual(box.media_dropped, 3)
        box = joined()
        box.put_media(VOICE, 3, 0)
        box.lose()
        self.assertEqual(box.media_dropped, 3)
        self.assertTrue(box.empty)


class SureTests(SynchronousTestCase):
    """Sure frames are kept until they are acknowledged."""

    def test_again(self) -> None:
        """On a new lane what is not acknowledged leaves again, before what has waited."""
        box = joined()
        for text in "abc":
            box.put_sure(sure(DataType.SIP_UDP, text))
        box.take(0, ROOM)
        box.drop_acked(1)
        box.lose()
        box.put_sure(sure(DataType.CONTROL, "d"))
        box.rewind()
        self.assertEqual((box.queued, box.unacked, box.acked), (3, 0, 1))
        box.ready = True
        self.assertEqual(told(box.take(0, ROOM)), ["ack 0 2", "b", "c", "d"])
        self.assertEqual((box.queued, box.unacked, box.acked), (0, 3, 1))

    def test_overtaken(self) -> None:
        """An ack that spares frames which were to leave again tells the peer the number of the next."""
        box = joined()
        for text in "abc":
            box.put_sure(sure(DataType.SIP_UDP, text))
        box.take(0, ROOM)
        box.lose()
        box.rewind()
        self.assertEqual(told(box.take(0, ROOM)), ["ack 0 1"])
        box.drop_acked(2)
        box.ready = True
        self.assertEqual(told(box.take(0, ROOM)), ["ack 0 3", "c"])

    def test_impossible_acks(self) -> None:
        """An ack of more than was sent, or of less than before, is an error."""
        box = joined()
        box.put_sure(sure(DataType.SIP_UDP, "a"))
        box.put_sure(sure(DataType.SIP_UDP, "b"))
        box.take(0, HEADER_LENGTH + 1)
        box.drop_acked(1)
        for handled in (0, 2, 1 << 63):
            with self.assertRaises(AckError):
                box.drop_acked(handled)

    def test_bounds(self) -> None:
        """Beyond so many frames or bytes more are refused; control frames have twice the room."""
        self.patch(module, "MAX_SURE_FRAMES", 3)
        self.patch(module, "MAX_SURE_BYTES", 1000)
        box = joined()
        taken = [box.put_sure(sure(DataType.SIP_UDP, "a")) for _ in range(4)]
        taken += [box.put_sure(sure(DataType.CONTROL, "c")) for _ in range(4)]
        self.assertEqual(taken, [True] * 3 + [False] + [True] * 3 + [False])
        box = joined()
        long = "x" * (1000 - HEADER_LENGTH)
        self.assertEqual([box.put_sure(sure(DataType.SIP_UDP, text)) for text in (long, "a")], [True, False])
        self.assertEqual(box.refused, 1)
        box.take(0, ROOM)
        box.drop_acked(1)
        self.assertTrue(box.put_sure(sure(DataType.SIP_UDP, long)))

    def test_ack_length(self) -> None:
        """An ack frame has two numbers of 8 bytes."""
        self.assertEqual(read_ack(bytes(7) + b"\1" + bytes(7) + b"\2"), (1, 2))
        for length in (0, 15, 17):
            self.assertRaises(AckError, read_ack, bytes(length))
