"""A relayed SDP carries the relay's addresses and is otherwise untouched."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Address
from sofw.errors import SofwError
from sofw.sdp.rewrite import MediaAddress, Terminal, rewrite, terminals
from sofw.sdp.session import Session, parse_session
from tests.sdp.samples import AUDIO, LINES, sdp

RELAY = "203.0.113.9"
HERE = MediaAddress(RELAY, 20000, 20001)
NEXT = MediaAddress(RELAY, 20002, 20003)


def relayed(body: bytes, *places: MediaAddress | None, host: str = RELAY) -> bytes:
    """The body after a rewrite."""
    return rewrite(parse_session(body), places, host)


class TerminalTests(SynchronousTestCase):
    """What terminals() says of each m-line."""

    def test_terminals(self) -> None:
        """Address, RTCP address, hold and refusal, for each kind of stream."""
        here, rtcp = Address("10.0.0.1", 4000), Address("10.0.0.1", 4001)
        cases = [
            (["m=audio 4000 RTP/AVP 0"], Terminal("audio", False, here, rtcp, False, False)),
            (["m=audio 4000/2 RTP/AVP 0"], Terminal("audio", False, here, rtcp, False, False)),
            (["m=image 4000 udptl t38"], Terminal("image", False, here, None, False, False)),
            (["m=message 4000 TCP/MSRP *"], Terminal("message", True, here, None, False, False)),
            (["m=audio 0 RTP/AVP 0"], Terminal("audio", False, None, None, False, True)),
            (["m=audio 4000 RTP/AVP 0", "a=sendonly"], Terminal("audio", False, here, rtcp, True, False)),
            (
                ["m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"],
                Terminal("audio", False, None, None, True, False),
            ),
            (
                ["m=audio 4000 RTP/AVP 0", "a=rtcp:5000 IN IP4 10.0.0.2"],
                Terminal("audio", False, here, Address("10.0.0.2", 5000), False, False),
            ),
            (
                ["m=audio 4000 RTP/AVP 0", "a=rtcp:9 IN IP4 0.0.0.0"],
                Terminal("audio", False, here, None, False, False),
            ),
            (
                ["m=audio 65535 RTP/AVP 0"],
                Terminal("audio", False, Address("10.0.0.1", 65535), None, False, False),
            ),
        ]
        for lines, expected in cases:
            self.assertEqual(terminals(parse_session(sdp("c=IN IP4 10.0.0.1", *lines))), (expected,))


class RewriteTests(SynchronousTestCase):
    """What rewrite changes, and what it does not."""

    def check(self, lines: list[str], expected: list[str], *places: MediaAddress | None) -> None:
        """The SDP of these lines becomes the SDP of those, with our address in o= as well."""
        body = sdp(*expected).replace(b"10.9.8.7", RELAY.encode())
        self.assertEqual(relayed(sdp(*lines), *places), body)

    def test_whole(self) -> None:
        """A phone's offer: addresses and port are ours, o= keeps its session id and version."""
        expected = AUDIO.replace(b"192.168.1.5", b"203.0.113.9").replace(b"audio 4000", b"audio 20000")
        self.assertEqual(relayed(AUDIO, HERE), expected)
        lf = AUDIO.replace(b"\r\n", b"\n")
        self.assertEqual(relayed(lf, HERE), expected.replace(b"\r\n", b"\n"))

    def test_streams(self) -> None:
        """Each m-line gets its own place; refused ones stay refused and show no address."""
        self.check(
            [
                *("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 96", "c=IN IP4 10.0.0.1"),
                *("a=rtcp:7 IN IP4 10.0.0.1", "m=image 4002 udptl t38", "c=IN IP4 10.0.0.2"),
            ],
            [
                *(
                    f"c=IN IP4 {RELAY}",
                    "m=audio 20000 RTP/AVP 0",
                    "m=video 0 RTP/AVP 96",
                    f"c=IN IP4 {RELAY}",
                ),
                *("m=image 20002 udptl t38", f"c=IN IP4 {RELAY}"),
            ],
            *(HERE, None, NEXT),
        )

    def test_refused_by_us(self) -> None:
        """A stream without a place gets port 0; one that was refused stays so whatever its place."""
        lines = [
            "c=IN IP4 10.0.0.1",
            "m=message 2855 TCP/MSRP *",
            "a=setup:active",
            "a=path:msrp://h:2855/x;tcp",
        ]
        expected = [f"c=IN IP4 {RELAY}", "m=message 0 TCP/MSRP *", *lines[2:]]
        self.check(lines, expected, None)
        self.check([lines[0], "m=audio 0 RTP/AVP 0"], [expected[0], "m=audio 0 RTP/AVP 0"], HERE)

    def test_tcp(self) -> None:
        """A TCP stream with a place keeps its setup, connection and path attributes."""
        attributes = ["a=setup:passive", "a=connection:new", "a=path:msrp://h:2855/x;tcp"]
        self.check(
            ["c=IN IP4 10.0.0.1", "m=message 2855 TCP/MSRP *", *attributes],
            [f"c=IN IP4 {RELAY}", "m=message 20000 TCP/MSRP *", *attributes],
            HERE,
        )

    def test_several_ports(self) -> None:
        """Only the first of several port pairs is relayed, so the count goes."""
        self.check(
            ["c=IN IP4 10.0.0.1", "m=audio 4000/2 RTP/AVP 0"],
            [f"c=IN IP4 {RELAY}", "m=audio 20000 RTP/AVP 0"],
            HERE,
        )

    def test_rtcp(self) -> None:
        """a=rtcp follows, with an address where it had one; one port for both stays one port."""
        cases = {
            "a=rtcp:5001": "a=rtcp:20001",
            "a=rtcp:5001 IN IP4 10.0.0.1": f"a=rtcp:20001 IN IP4 {RELAY}",
            "a=rtcp:4000 IN IP4 10.0.0.1": f"a=rtcp:20000 IN IP4 {RELAY}",
            "a=rtcp:9 IN IP4 0.0.0.0": f"a=rtcp:20001 IN IP4 {RELAY}",
            "a=rtcp-mux": "a=rtcp-mux",
            "a=rtcp-fb:* nack": "a=rtcp-fb:* nack",
        }
        for before, after in cases.items():
            self.check(
                ["c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", before],
                [f"c=IN IP4 {RELAY}", "m=audio 20000 RTP/AVP 0", after],
                HERE,
            )

    def test_rtcp_elsewhere(self) -> None:
        """An RTCP port that is not the next one is said, but not of streams that have no RTCP."""
        place = MediaAddress(RELAY, 20000, 30000)
        for before, after in [
            (["m=audio 4000 RTP/AVP 0"], ["m=audio 20000 RTP/AVP 0", "a=rtcp:30000"]),
            (["m=image 4000 udptl t38"], ["m=image 20000 udptl t38"]),
        ]:
            self.check(["c=IN IP4 10.0.0.1", *before], [f"c=IN IP4 {RELAY}", *after], place)

    def test_own_address(self) -> None:
        """A stream whose relay has another address than the session's c= gets a c= line of its own."""
        place = MediaAddress("2001:db8::9", 20000, 20001)
        self.check(
            ["c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", "a=ptime:20"],
            [f"c=IN IP4 {RELAY}", "m=audio 20000 RTP/AVP 0", "c=IN IP6 2001:db8::9", "a=ptime:20"],
            place,
        )

    def test_own_address_at_the_end(self) -> None:
        """The new c= line is a line also when the SDP breaks off behind the m-line."""
        place = MediaAddress("203.0.113.10", 20000, 20001)
        body = b"v=0\nc=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 0"
        expected = b"v=0\nc=IN IP4 203.0.113.9\nm=audio 20000 RTP/AVP 0\nc=IN IP4 203.0.113.10\n"
        self.assertEqual(relayed(body, place), expected)

    def test_families(self) -> None:
        """IPv6 becomes IPv4 and the reverse, in c= and o=."""
        body = sdp("c=IN IP6 2001:db8::1", "m=audio 4000 RTP/AVP 0")
        self.assertIn(b"c=IN IP4 203.0.113.9\r\n", relayed(body, HERE))
        six = relayed(AUDIO, MediaAddress("2001:db8::9", 20000, 20001), host="2001:db8::9")
        self.assertIn(b"c=IN IP6 2001:db8::9\r\n", six)
        self.assertIn(b"o=alice 2890844526 2890844527 IN IP6 2001:db8::9\r\n", six)

    def test_hold(self) -> None:
        """0.0.0.0 stays, for the session and for a stream; so do the directions."""
        for before, after in [
            (["c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"], ["c=IN IP4 0.0.0.0", "m=audio 20000 RTP/AVP 0"]),
            (
                ["c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=inactive"],
                [f"c=IN IP4 {RELAY}", "m=audio 20000 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=inactive"],
            ),
        ]:
            self.check(before, after, HERE)

    def test_hold_at_another_address(self) -> None:
        """Hold for the whole session needs no address for a stream, wherever its relay is."""
        body = sdp("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0")
        self.assertNotIn(b"203.0.113.10", relayed(body, MediaAddress("203.0.113.10", 2, 3)))

    def test_ice(self) -> None:
        """ICE goes without a trace, from the session, from relayed and from refused streams."""
        ice = [
            *("a=ice-ufrag:8hhY", "a=ice-pwd:asd88fgpdd777uzjYhagZg", "a=ice-options:trickle"),
            *("a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host", "a=end-of-candidates"),
            "a=remote-candidates:1 10.0.1.1 8998",
        ]
        dtls = ["a=fingerprint:sha-256 4A:AD", "a=setup:actpass", "a=rtcp-mux", "a=mid:0"]
        self.check(
            [
                "a=ice-lite",
                "c=IN IP4 10.0.0.1",
                "m=audio 4000 UDP/TLS/RTP/SAVPF 111",
                *ice,
                *dtls,
                "m=video 0 X",
                *ice,
            ],
            [f"c=IN IP4 {RELAY}", "m=audio 20000 UDP/TLS/RTP/SAVPF 111", *dtls, "m=video 0 X"],
            *(HERE, None),
        )

    def test_bundle(self) -> None:
        """A BUNDLE group goes when its streams get ports of their own, else it stays."""
        two = ["m=audio 9 RTP/AVP 0", "a=mid:0", "m=video 9 RTP/AVP 96", "a=mid:1"]
        moved = ["m=audio 20000 RTP/AVP 0", "a=mid:0", "m=video 20002 RTP/AVP 96", "a=mid:1"]
        session = ["a=group:BUNDLE 0 1", "a=group:LS 0 1", "c=IN IP4 10.0.0.1"]
        self.check([*session, *two], ["a=group:LS 0 1", f"c=IN IP4 {RELAY}", *moved], HERE, NEXT)
        self.check([*session, *two[:2]], [*session[:2], f"c=IN IP4 {RELAY}", *moved[:2]], HERE)
        refused = ["m=video 0 RTP/AVP 96", "a=mid:1"]
        self.check(
            [*session, *two], ["a=group:LS 0 1", f"c=IN IP4 {RELAY}", *moved[:2], *refused], HERE, None
        )

    def test_untouched(self) -> None:
        """Keys, unknown attributes, odd bytes and strange lines keep their bytes and their order."""
        lines = [
            *(
                "Z=strange",
                "b=AS:64",
                "k=prompt",
                "c=IN IP4 {}",
                "a=tool:\udcff\udcfe  x",
                "m=audio {} RTP/SAVP 0",
            ),
            *(
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA|2^20|1:32",
                "a=x-own:10.0.0.1 4000",
                "a=ptime:20 ",
            ),
        ]
        before = [line.format("10.0.0.1" if line[0] == "c" else 4000) for line in lines]
        after = [line.format(RELAY if line[0] == "c" else 20000) for line in lines]
        self.check(before, after, HERE)

    def test_result_is_true(self) -> None:
        """A rewritten body reads as a session with the relay's address."""
        session = parse_session(rewrite(parse_session(AUDIO), [HERE], RELAY))
        self.assertEqual(terminals(session)[0].rtp, Address(RELAY, 20000))

    @settings(deadline=None)
    @given(st.lists(LINES), st.data())
    def test_no_old_address(self, lines: list[str], data: st.DataObject) -> None:
        """No c=, o= or a=rtcp line keeps an address but ours and 0.0.0.0 on hold; ICE is gone.

        What comes out can be read again.
        """
        session = self.accepted(lines)
        place = st.none() | st.builds(
            MediaAddress, st.sampled_from([RELAY, "2001:db8::9"]), st.just(2), st.just(3)
        )
        places = [data.draw(place) for _ in session.media]
        body = rewrite(session, places, RELAY)
        parse_session(body)
        for line in body.decode().splitlines():
            self.assertFalse(line.startswith(("a=candidate", "a=ice-")))
            if line.startswith(("c=", "o=")) or (line.startswith("a=rtcp:") and "IN" in line):
                allowed = {RELAY, "2001:db8::9"} | ({"0.0.0.0"} if line.startswith("c=") else set())
                self.assertIn(line.split()[-1], allowed)

    def accepted(self, lines: list[str]) -> Session:
        """The session of these lines; other examples are passed over."""
        try:
            return parse_session(sdp(*lines))
        except SofwError:
            assume(False)
            raise
