"""Session descriptions are read, and formatted back byte for byte."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address
from sofw.errors import SofwError
from sofw.sdp.session import MAX_MEDIA, MAX_SIZE, SdpError, format_session, parse_session
from tests.sdp.samples import AUDIO, LINES, sdp


class ParseTests(SynchronousTestCase):
    """What parse_session makes of good input."""

    def test_one_stream(self) -> None:
        """A phone's ordinary offer gives one stream with all its fields."""
        (media,) = parse_session(AUDIO).media
        self.assertEqual(
            (media.kind, media.port, media.count, media.proto, media.host, media.rtcp, media.direction),
            ("audio", 4000, 1, "RTP/AVP", "192.168.1.5", None, "sendrecv"),
        )
        self.assertEqual(
            (media.rejected, media.tcp, media.rtp, media.held, media.setup), (False, False, True, False, "")
        )

    def test_m_lines(self) -> None:
        """Kind, port, count and protocol come out of every form of m-line."""
        cases = {
            "audio 4000 RTP/AVP 0 8": ("audio", 4000, 1, "RTP/AVP", False, True),
            "audio 4000/2 RTP/SAVP 0": ("audio", 4000, 2, "RTP/SAVP", False, True),
            "video 65535 UDP/TLS/RTP/SAVPF 96": ("video", 65535, 1, "UDP/TLS/RTP/SAVPF", False, True),
            "image 4000 udptl t38": ("image", 4000, 1, "udptl", False, False),
            "message 2855 TCP/MSRP *": ("message", 2855, 1, "TCP/MSRP", True, False),
            "message 2855 tcp/TLS/MSRP *": ("message", 2855, 1, "tcp/TLS/MSRP", True, False),
            "audio  4000  RTP/AVP": ("audio", 4000, 1, "RTP/AVP", False, True),
            "application 9 DTLS/SCTP 5000": ("application", 9, 1, "DTLS/SCTP", False, False),
        }
        for text, expected in cases.items():
            (media,) = parse_session(sdp("c=IN IP4 10.0.0.1", "m=" + text)).media
            self.assertEqual(
                (media.kind, media.port, media.count, media.proto, media.tcp, media.rtp), expected
            )

    def test_address(self) -> None:
        """The c= line of a stream goes before the session's; IPv6 is text without brackets."""
        session = parse_session(
            sdp("c=IN IP4 10.0.0.1", "m=audio 1 RTP/AVP 0", "m=video 2 RTP/AVP 96", "c=IN IP6 2001:db8::7")
        )
        self.assertEqual([media.host for media in session.media], ["10.0.0.1", "2001:db8::7"])

    def test_ipv4_mapped(self) -> None:
        """An IPv4 address in IPv6 spelling is meant as IPv4 (RFC 5118 §4.9)."""
        body = b"v=0\r\nc=IN IP6 ::ffff:192.0.2.2\r\nm=audio 4000 RTP/AVP 0\r\n"
        self.assertEqual(parse_session(body).media[0].host, "192.0.2.2")

    def test_rtcp(self) -> None:
        """a=rtcp is read with and without an address."""
        cases = {
            "a=rtcp:5001": Address("10.0.0.1", 5001),
            "a=rtcp: 5001": Address("10.0.0.1", 5001),
            "a=rtcp:5001 IN IP4 10.0.0.2": Address("10.0.0.2", 5001),
            "a=rtcp:5001 IN IP6 2001:db8::1": Address("2001:db8::1", 5001),
            "a=rtcp-mux": None,
            "a=rtcp-fb:96 nack": None,
        }
        for line, expected in cases.items():
            (media,) = parse_session(sdp("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", line)).media
            self.assertEqual(media.rtcp, expected, line)

    def test_direction_and_hold(self) -> None:
        """The stream's direction goes before the session's; any but sendrecv, or 0.0.0.0, means hold."""
        cases = [
            ("", "", "10.0.0.1", "sendrecv", False),
            ("a=sendonly", "", "10.0.0.1", "sendonly", True),
            ("a=sendonly", "a=sendrecv", "10.0.0.1", "sendrecv", False),
            ("", "a=inactive", "10.0.0.1", "inactive", True),
            ("", "a=recvonly", "10.0.0.1", "recvonly", True),
            ("", "", "0.0.0.0", "sendrecv", True),
        ]
        for session_line, media_line, host, direction, held in cases:
            (media,) = parse_session(
                sdp(f"c=IN IP4 {host}", session_line, "m=audio 4000 RTP/AVP 0", media_line)
            ).media
            self.assertEqual((media.direction, media.held), (direction, held))

    def test_setup(self) -> None:
        """The setup attribute is read from the stream, else from the session."""
        for lines in (
            ["a=setup:active", "m=audio 1 TCP/RTP/AVP 0"],
            ["m=audio 1 TCP/RTP/AVP 0", "a=setup:active"],
        ):
            self.assertEqual(parse_session(sdp("c=IN IP4 10.0.0.1", *lines)).media[0].setup, "active")

    def test_rejected(self) -> None:
        """A stream with port 0 needs no address and no formats, and nothing in it is looked at."""
        (media,) = parse_session(sdp("m=video 0 RTP/AVP", "c=IN IP4 phone.example.com", "a=rtcp:x")).media
        self.assertEqual((media.rejected, media.host, media.rtcp), (True, "", None))

    def test_no_streams(self) -> None:
        """An SDP without any m-line is fine."""
        self.assertEqual(parse_session(sdp("c=IN IP4 10.0.0.1")).media, ())

    def test_missing_lines(self) -> None:
        """Phones leave out o=, s= and t=; the stream is still read."""
        (media,) = parse_session(b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n").media
        self.assertEqual(media.port, 4000)

    def test_byte_for_byte(self) -> None:
        """Line ends of both kinds, none at the end, blank lines and unknown lines come back as they were."""
        for body in (
            AUDIO,
            AUDIO.replace(b"\r\n", b"\n"),
            AUDIO.rstrip(),
            AUDIO[:-1],
            AUDIO + b"\r\n",
            AUDIO + b"a=x-unknown:\xff\xfe  \tspaces \r\nZ=strange\n",
        ):
            self.assertEqual(format_session(parse_session(body)), body)


class RefusalTests(SynchronousTestCase):
    """What parse_session refuses, and the sentence it gives."""

    def test_refused(self) -> None:
        """Each absurdity is an SdpError with status 488 and a sentence that names it."""
        stream = "m=audio 4000 RTP/AVP 0"
        cases = [
            (b"", "v=0"),
            (b"v=1\r\n", "v=0"),
            (b"o=- 1 1 IN IP4 1.2.3.4\r\nv=0\r\n", "v=0"),
            (b"v=0\r\nnonsense\r\n", "Line 2"),
            (b"v=0\r\ns=a\rb\r\n", "Line 2"),
            (b"v=0\r\ns=a\0b\r\n", "Line 2"),
            (b"v=0\r\no=- 1 IP4\r\n", "o= line"),
            (b"v=0\r\n" + b"a=x\r\n" * MAX_SIZE, "larger"),
            (b"v=0\r\n" + b"m=audio 0 RTP/AVP 0\r\n" * (MAX_MEDIA + 1), f"more than {MAX_MEDIA}"),
            (sdp(stream), "no c= lines"),
            (sdp("c=IN IP4 10.0.0.1", "c=IN IP4 10.0.0.2", stream), "2 c= lines"),
            (sdp("c=IN IP4 phone.example.com", stream), "'phone.example.com'"),
            (sdp("c=IN IP4 224.1.1.1/127", stream), "'224.1.1.1/127'"),
            (sdp("c=IN IP4 224.1.1.1", stream), "single host"),
            (sdp("c=IN IP4 255.255.255.255", stream), "single host"),
            (sdp("c=IN IP6 ff02::1", stream), "single host"),
            (sdp("c=IN IP6 ::", stream), "single host"),
            (sdp("c=IN IP6 fe80::1%1", stream), "single host"),
            (sdp("c=IN IP6 ::ffff:224.0.0.1", stream), "single host"),
            (sdp("c=IN IP4 10.0.0.256", stream), "not an IP address"),
            (sdp("c=TN RFC2543 +441", stream), "IN IP4 or IN IP6"),
            (sdp("c=IN IP4 10.0.0.1", "m=audio"), "m='audio'"),
            (sdp("c=IN IP4 10.0.0.1", "m=audio x RTP/AVP 0"), "m="),
            (sdp("c=IN IP4 10.0.0.1", "m=audio 65536 RTP/AVP 0"), "m="),
            (sdp("c=IN IP4 10.0.0.1", "m=audio 4000/0 RTP/AVP 0"), "m="),
            (sdp("c=IN IP4 10.0.0.1", stream, "a=rtcp:x"), "a=rtcp"),
            (sdp("c=IN IP4 10.0.0.1", stream, "a=rtcp:0"), "a=rtcp"),
            (sdp("c=IN IP4 10.0.0.1", stream, "a=rtcp:70000"), "a=rtcp"),
            (sdp("c=IN IP4 10.0.0.1", stream, "a=rtcp:7000 IN IP4 host"), "'host'"),
        ]
        for body, part in cases:
            error = self.assertRaises(SdpError, parse_session, body)
            self.assertEqual(error.status, 488)
            self.assertIn(part, str(error))

    @settings(deadline=None)
    @given(st.binary() | st.lists(LINES).map(lambda lines: sdp(*lines)))
    def test_identity(self, body: bytes) -> None:
        """Whatever parse accepts is formatted back unchanged; whatever it does not is one of our errors."""
        try:
            session = parse_session(body)
        except SofwError:
            return
        self.assertEqual(format_session(session), body)
