"""Tests of the RA header and its decoder."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address
from sofw.errors import LocalError
from sofw.tunnel.frame import IPV6, MAX_LENGTH, DataType, Decoder, Frame, FrameError, encode, is_sure

PHONE = Address("192.168.1.20", 5060)
PHONE6 = Address("2001:db8::20", 40000)

#: Frame, its bytes in hexadecimal.
CASES = [
    (Frame(DataType.SIP_UDP, PHONE, 5061, b"hi"), "c0a80114 13c4 0001 0002 13c5 6869"),
    (Frame(DataType.CONTROL, None, 0, b"{}"), "00000000 0000 0009 0002 0000 7b7d"),
    (
        Frame(DataType.SIP_TLS, PHONE6, 5061, b"x"),
        "00000000 9c40 8003 0011 13c5 20010db8000000000000000000000020 78",
    ),
    (Frame(DataType.PAD, None, 0, b""), "00000000 0000 000c 0000 0000"),
    (Frame(DataType.STREAM_DATA, Address("10.0.0.1", 0), 65535, b""), "0a000001 0000 0006 0000 ffff"),
]

#: What a media frame looks like to the media path: bytes, then head, relay port, payload.
MEDIA_CASES = [
    (
        encode(Frame(DataType.MEDIA, PHONE, 20000, b"voice")),
        (bytes.fromhex("c0a8011413c40004"), 20000, b"voice"),
    ),
    (
        encode(Frame(DataType.MEDIA, PHONE6, 20002, b"")),
        (bytes.fromhex("000000009c40800420010db8000000000000000000000020"), 20002, b""),
    ),
]

addresses = st.one_of(
    st.none(),
    st.builds(Address, st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str), st.integers(1, 65535)),
)
frames = st.builds(
    Frame,
    st.sampled_from([kind for kind in DataType if kind is not DataType.MEDIA]),
    addresses,
    st.integers(0, 65535),
    st.binary(max_size=300),
)


class Recorder:
    """Writes down the media it is told of."""

    def __init__(self) -> None:
        self.media: list[tuple[bytes, int, bytes]] = []

    def __call__(self, head: bytes, relay_port: int, payload: bytes) -> None:
        self.media.append((head, relay_port, payload))


def decoded(pieces: list[bytes]) -> tuple[list[Frame], list[tuple[bytes, int, bytes]]]:
    """The frames and the media in these pieces."""
    decoder, recorder = Decoder(), Recorder()
    found = [frame for piece in pieces for frame in decoder.feed(piece, recorder)]
    return found, recorder.media


class EncodeTests(SynchronousTestCase):
    """Frames → bytes."""

    def test_cases(self) -> None:
        """Each frame has exactly these bytes."""
        for frame, text in CASES:
            self.assertEqual(encode(frame), bytes.fromhex(text))

    def test_longest(self) -> None:
        """The length field's 16 bits are the limit, and an IPv6 address counts."""
        self.assertEqual(len(encode(Frame(1, PHONE, 0, bytes(MAX_LENGTH)))), MAX_LENGTH + 12)
        self.assertEqual(len(encode(Frame(1, PHONE6, 0, bytes(MAX_LENGTH - 16)))), MAX_LENGTH + 12)
        for address, length in ((PHONE, MAX_LENGTH + 1), (PHONE6, MAX_LENGTH - 15)):
            self.assertRaises(LocalError, encode, Frame(1, address, 0, bytes(length)))

    def test_name(self) -> None:
        """A host name cannot stand in a frame."""
        self.assertRaises(LocalError, encode, Frame(1, Address("phone.example", 5060), 0, b""))


class DecodeTests(SynchronousTestCase):
    """Bytes → frames."""

    def test_whole_and_byte_by_byte(self) -> None:
        """Each case is read whole, byte by byte and with the beginning of another behind it."""
        for frame, text in CASES:
            data = bytes.fromhex(text)
            self.assertEqual(decoded([data]), ([frame], []))
            self.assertEqual(decoded([data[i : i + 1] for i in range(len(data))]), ([frame], []))
            self.assertEqual(decoded([data + data[:11]]), ([frame], []))
            self.assertEqual(decoded([data + data[:11], data[11:]]), ([frame, frame], []))

    def test_media(self) -> None:
        """Media goes to the callback with its head, relay port and payload."""
        for data, told in MEDIA_CASES:
            self.assertEqual(decoded([data, data[:13], data[13:] + data]), ([], [told] * 3))
            self.assertEqual(decoded([data[i : i + 1] for i in range(len(data))]), ([], [told]))

    def test_no_room_for_address(self) -> None:
        """An IPv6 frame shorter than an address is refused, media or not."""
        for kind in (DataType.SIP_UDP, DataType.MEDIA, 99):
            short = bytes(6) + (kind | IPV6).to_bytes(2, "big") + b"\0\x0f\0\0" + bytes(15)
            with self.assertRaises(FrameError):
                Decoder().feed(short, Recorder())

    def test_unknown(self) -> None:
        """Unknown types are counted and skipped; those that the peer counts as sure are still reported."""
        decoder = Decoder()
        data = b"".join(encode(Frame(kind, None, 0, b"?")) for kind in (13, 64, 127, 128, 0, 1))
        self.assertEqual([frame.type for frame in decoder.feed(data, Recorder())], [64, 127, 1])
        self.assertEqual(decoder.unknown, 5)

    def test_classes(self) -> None:
        """Media, dummies, acks and padding are prompt; the rest is sure."""
        prompt = {kind for kind in DataType if not is_sure(kind)}
        self.assertEqual(prompt, {DataType.MEDIA, DataType.DUMMY, DataType.ACK, DataType.PAD})

    @settings(deadline=None)
    @given(st.lists(frames, max_size=6), st.lists(st.integers(0, 2000), max_size=6))
    def test_round_trip(self, sent: list[Frame], cuts: list[int]) -> None:
        """Whatever is encoded comes back, wherever the stream is cut."""
        data = b"".join(map(encode, sent))
        borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        pieces = [data[a:b] for a, b in itertools.pairwise(borders)]
        self.assertEqual(decoded(pieces), (sent, []))

    @settings(deadline=None)
    @given(st.binary(max_size=400))
    def test_garbage(self, data: bytes) -> None:
        """Any bytes are frames, the beginning of one, or a FrameError; never another error."""
        try:
            Decoder().feed(data, Recorder())
        except FrameError as error:
            self.assertEqual(error.status, 400)
