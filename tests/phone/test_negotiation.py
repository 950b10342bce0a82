"""Offers and answers of the phone."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address
from sofw.phone.negotiation import Negotiation
from sofw.sdp.session import SdpError, parse_session
from tests.sdp.samples import sdp

AUDIO = ("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 8 0")


class NegotiationTests(SynchronousTestCase):
    """Negotiation."""

    def pair(self) -> tuple[Negotiation, Negotiation]:
        """Two phones."""
        return Negotiation("10.0.0.1", 4000), Negotiation("10.0.0.2", 6000)

    def test_directions(self) -> None:
        """Each direction offered makes the two directions it should, and tells a hold."""
        cases = {
            "sendrecv": ("sendrecv", "sendrecv", False),
            "sendonly": ("sendonly", "recvonly", True),
            "recvonly": ("recvonly", "sendonly", True),
            "inactive": ("inactive", "inactive", True),
        }
        for direction, expected in cases.items():
            one, other = self.pair()
            one.take_answer(other.take_offer(one.offer(direction)))
            self.assertEqual((one.direction, other.direction, other.held), expected)
            self.assertEqual((one.rtp, one.rtcp), (Address("10.0.0.2", 6000), Address("10.0.0.2", 6001)))
            self.assertEqual(other.rtp, Address("10.0.0.1", 4000))
            self.assertEqual(one.speaking, expected[0] in ("sendrecv", "sendonly"))

    def test_versions(self) -> None:
        """Each description has a higher version and the same session (RFC 3264 §8)."""
        one, _other = self.pair()
        fields = [one.offer().split(b"\r\n")[1].split() for _ in range(2)]
        self.assertEqual([field[1:3] for field in fields], [[fields[0][1], b"1"], [fields[0][1], b"2"]])

    def test_hold_by_address(self) -> None:
        """0.0.0.0 is a hold, and nothing is sent there."""
        one, _other = self.pair()
        one.take_offer(sdp("c=IN IP4 0.0.0.0", AUDIO[1]))
        self.assertEqual((one.rtp, one.held, one.speaking), (None, True, False))

    def test_other_streams(self) -> None:
        """All but the first audio stream in µ-law are refused, each in its place."""
        one, _other = self.pair()
        offer = sdp(
            AUDIO[0], "m=video 5000 RTP/AVP 96 97", "m=audio 1 RTP/SAVP 0", *AUDIO[1:], "m=audio 2 RTP/AVP 0"
        )
        answer = parse_session(one.take_offer(offer))
        self.assertEqual(
            [media.lines[0].value for media in answer.media],
            [b"video 0 RTP/AVP 96 97", b"audio 0 RTP/SAVP 0", b"audio 4000 RTP/AVP 0", b"audio 0 RTP/AVP 0"],
        )

    def test_refused(self) -> None:
        """No audio in µ-law, no call."""
        for lines in ((), (AUDIO[0], "m=audio 4000 RTP/AVP 8"), (AUDIO[0], "m=audio 0 RTP/AVP 0")):
            one, _other = self.pair()
            self.assertRaises(SdpError, one.take_offer, sdp(*lines))
            self.assertRaises(SdpError, one.take_answer, sdp(*lines))
