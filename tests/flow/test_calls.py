"""Calls: which SDP takes which rows and ports, and that every one comes back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address
from sofw.flow.actions import Action, Busy, ClosePorts, Note, OpenPorts
from sofw.flow.calls import LONGEST_UNSEEN, MAX_EARLY, Call, Calls, Change, MediaLeg, Party
from sofw.rtp.ports import PortPairs
from sofw.rtp.table import Table
from sofw.sdp.session import SdpError
from sofw.sip.message import Request, Response, SipError, parse_message
from tests.flow.world import ALICE, BOB, HRAC, HRAS, reply, request, sdp

NOW = 1000.0
INSIDE, OUT = Party("tokyo", "192.168.1.10", "alice@x"), Party(OUTSIDE, "203.0.113.20", "bob@x")
VIDEO = "m=video 4002 RTP/AVP 96\r\n"
CHAT = "m=message 4004 TCP/MSRP *\r\n"


def invite(body: bytes = b"", headers: str = "", to_tag: str = "", method: str = "INVITE") -> Request:
    """Alice's request."""
    data = request(method, "sip:bob@x", ALICE, "alice", to_tag=to_tag, body=body, headers=headers)
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def answer(status: int, body: bytes = b"", tag: str = "bob") -> Response:
    """Bob's response."""
    message = parse_message(reply(invite(), status, BOB, tag, body))
    assert isinstance(message, Response)
    return message


def offered(*streams: str) -> bytes:
    """Alice's offer of audio and these streams."""
    return sdp(ALICE, 4000, extra="".join(streams))


class Case(SynchronousTestCase):
    """Few ports, so that they run out."""

    def setUp(self) -> None:
        self.table = Table()
        self.outside, self.tokyo = PortPairs(20000, 20005), PortPairs(30000, 30009)
        self.calls = Calls(self.table, MediaLeg(HRAS, self.outside), 60.0, 600.0)
        self.calls.site_up("tokyo", MediaLeg(HRAC, self.tokyo))
        self.change = Change()

    def begin(self, caller: Party = INSIDE, callee: Party = OUT) -> Call:
        """A call that begins."""
        call, _ = self.calls.begin(invite(), caller, callee, NOW)
        return call

    def offer(self, call: Call, body: bytes, change: Change | None = None) -> tuple[bytes, list[Action]]:
        """Alice's SDP goes across."""
        message, actions = self.calls.carry(
            call, invite(body, to_tag=call.callee_tag), True, change or self.change, NOW
        )
        return message.body, actions

    def reply(self, call: Call, body: bytes, status: int = 200, now: float = NOW) -> bytes:
        """Bob's SDP goes across; a 2xx settles."""
        response = answer(status, body)
        message, _ = self.calls.carry(call, response, False, self.change, now)
        self.calls.answered(call, response, now)
        if status >= 200:
            self.calls.keep(call, self.change)
        return message.body

    def taken(self) -> tuple[int, int, int]:
        """Rows, and pairs taken in tokyo and outside."""
        return len(self.table), self.tokyo.taken, self.outside.taken


class Streams(Case):
    """One row for each stream that is relayed."""

    def test_several(self) -> None:
        """Audio and video each have their row; ports open in their order."""
        call = self.begin()
        body, actions = self.offer(call, offered(VIDEO))
        ports = [("tokyo", 30000), (OUTSIDE, 20000), ("tokyo", 30002), (OUTSIDE, 20002)]
        self.assertEqual(actions, [OpenPorts(leg, (port,)) for leg, port in ports])
        self.assertIn(b"m=audio 20000 ", body)
        self.assertIn(b"m=video 20002 ", body)
        self.assertEqual([row.kind for row in self.table.rows()], ["audio", "video"])
        back = self.reply(call, sdp(BOB, 7000, extra="m=video 7002 RTP/AVP 96\r\n"))
        self.assertIn(b"m=audio 30000 ", back)
        self.assertIn(b"m=video 30002 ", back)
        terminals = [(row.caller.terminal, row.callee.terminal) for row in self.table.rows()]
        alice, bob = "192.168.1.10", "203.0.113.20"
        self.assertEqual(
            terminals,
            [(Address(alice, 4000), Address(bob, 7000)), (Address(alice, 4002), Address(bob, 7002))],
        )

    def test_tcp_stream(self) -> None:
        """What is not UDP is offered with port 0: nothing would answer there (RFC 3264 §6)."""
        call = self.begin()
        body, _ = self.offer(call, offered(CHAT))
        self.assertIn(b"m=message 0 TCP/MSRP *\r\n", body)
        self.assertEqual(self.taken(), (1, 1, 1))

    def test_rejected_stream_frees_its_ports(self) -> None:
        """Bob wants no video: its row stays while he rings, and goes when he has answered."""
        call = self.begin()
        self.offer(call, offered(VIDEO))
        refused = sdp(BOB, 7000, extra="m=video 0 RTP/AVP 96\r\n")
        self.assertIn(b"m=video 0 ", self.reply(call, refused, 183))
        self.assertEqual(self.taken(), (2, 2, 2))
        self.reply(call, refused)
        self.assertEqual(self.taken(), (1, 1, 1))

    def test_rejected_early_and_taken_in_the_end(self) -> None:
        """Of two phones behind one branch the second takes the video: its ports are those offered."""
        call = self.begin()
        self.offer(call, offered(VIDEO))
        self.reply(call, sdp(BOB, 7000, extra="m=video 0 RTP/AVP 96\r\n"), 183)
        back = self.reply(call, sdp(BOB, 7000, extra="m=video 7002 RTP/AVP 96\r\n"))
        self.assertIn(b"m=video 30002 ", back)
        self.assertEqual(self.taken(), (2, 2, 2))

    def test_no_sdp(self) -> None:
        """Nothing is touched."""
        call = self.begin()
        message = invite(b"v=0 is not here", "Content-Type: text/plain\r\n")
        message = Request(
            "INVITE", message.uri, message.headers.replace("Content-Type", "text/plain"), b"hello"
        )
        self.assertEqual(self.calls.carry(call, message, True, self.change, NOW), (message, []))

    def test_outside_only(self) -> None:
        """Two phones outside do without us; their SDP stays."""
        call = self.begin(OUT, OUT)
        body, actions = self.offer(call, offered())
        self.assertEqual((body, actions, self.taken()), (offered(), [], (0, 0, 0)))

    def test_what_is_refused(self) -> None:
        """Unreadable or encoded SDP, a site that is not there, a call that is over; nothing stays taken."""
        gone = Party("osaka", "192.168.1.10", "dave@x")
        over = self.begin()
        self.calls.end(over, "test", NOW)
        cases = [
            (self.begin(), invite(b"v=0\r\nm=audio x\r\n"), 488),
            (self.begin(), invite(offered(), "Content-Encoding: deflate\r\n"), 488),
            (self.begin(INSIDE, gone), invite(offered()), 480),
            (self.begin(gone, OUT), invite(offered()), 480),
            (over, invite(offered()), 481),
        ]
        for call, message, status in cases:
            with self.subTest(status):
                error = self.assertRaises(
                    (SdpError, SipError), self.calls.carry, call, message, True, self.change, NOW
                )
                self.assertEqual(error.status, status)
                self.calls.end(call, "test", NOW)
                self.assertEqual(self.taken(), (0, 0, 0))

    def test_port_exhaustion(self) -> None:
        """503 when one side has none left; what the call had taken comes back with its end."""
        for _ in range(3):
            self.offer(self.begin(), offered(), Change())
        call = self.begin()
        error = self.assertRaises(SipError, self.offer, call, offered(VIDEO))
        self.assertEqual((error.status, self.taken()), (503, (3, 3, 3)))
        self.assertIn("relay port", str(error))
        two = self.calls.all()[0]
        self.assertRaises(SipError, self.offer, two, offered(VIDEO))
        self.assertEqual(self.taken(), (3, 3, 3))
        for each in self.calls.all():
            self.calls.end(each, "test", NOW)
        self.assertEqual((self.taken(), len(self.calls)), ((0, 0, 0), 0))

    def test_exhaustion_between_two_streams(self) -> None:
        """The stream that fitted is undone by `revert`, as the offer as a whole has failed."""
        for _ in range(2):
            self.offer(self.begin(), offered(), Change())
        call = self.begin()
        self.assertRaises(SipError, self.offer, call, offered(VIDEO))
        self.assertEqual(self.taken(), (3, 3, 3))
        actions = self.calls.revert(call, self.change)
        self.assertEqual((self.taken(), call.rows), ((2, 2, 2), {}))
        self.assertEqual(actions, [ClosePorts("tokyo", (30004,)), ClosePorts(OUTSIDE, (20004,))])


class Changes(Case):
    """Offers that are agreed, and those that are not."""

    def test_revert_restores_the_oldest(self) -> None:
        """Two changes of one transaction are undone to what was before the first."""
        call = self.begin()
        self.offer(call, offered())
        self.reply(call, sdp(BOB, 7000))
        change = Change()
        for port in (5000, 6000):
            self.offer(call, sdp(ALICE, port, extra="a=sendonly\r\n"), change)
        (row,) = self.table.rows()
        self.assertEqual((row.caller.terminal, row.held), (Address("192.168.1.10", 6000), True))
        self.assertEqual(self.calls.revert(call, change), [])
        self.assertEqual((row.caller.terminal, row.held), (Address("192.168.1.10", 4000), False))
        self.assertEqual(row.caller.control, Address("192.168.1.10", 4001))

    def test_tags(self) -> None:
        """Until somebody answers every tag is the callee's; there is a bound to them."""
        call = self.begin()
        for number in range(MAX_EARLY + 5):
            self.calls.answered(call, answer(180, tag=f"b{number}"), NOW)
        self.assertEqual(len(call.early_tags), MAX_EARLY)
        for tag, found in (
            ("b0", (call, True)),
            (f"b{MAX_EARLY + 4}", (call, True)),
            ("other", None),
            ("", None),
        ):
            self.assertEqual(self.calls.find(invite(to_tag=tag)), found)

    def test_find_in_both_directions(self) -> None:
        """Who speaks is told by the tags; another Call-ID is another call."""
        call = self.begin()
        self.calls.answered(call, answer(200), NOW)
        self.assertEqual(self.calls.find(invite(to_tag="bob")), (call, True))
        data = request("BYE", "sip:alice@x", BOB, "bob", to_tag="alice")
        self.assertEqual(self.calls.find(parse_message(data)), (call, False))
        data = request("BYE", "sip:alice@x", BOB, "bob", to_tag="alice", call_id="other")
        self.assertIsNone(self.calls.find(parse_message(data)))

    def test_states(self) -> None:
        """calling, ringing, up, over; no step back."""
        call = self.begin()
        states = [call.state]
        for status in (100, 180, 200, 180):
            self.calls.answered(call, answer(status), NOW + 5)
            states.append(call.state)
        self.calls.end(call, "BYE", NOW + 9)
        self.calls.answered(call, answer(200), NOW + 9)
        self.assertEqual([*states, call.state], ["calling", "calling", "ringing", "up", "up", "over"])

    def test_describe(self) -> None:
        """What `sofw calls` shows; seconds count from the answer."""
        call = self.begin()
        self.offer(call, offered(VIDEO))
        self.calls.answered(call, answer(200), NOW + 5)
        self.assertEqual(
            call.describe(NOW + 7.04),
            {
                "call_id": "call",
                "state": "up",
                "caller": "alice@x",
                "caller_leg": "tokyo",
                "callee": "bob@x",
                "callee_leg": OUTSIDE,
                "seconds": 2.0,
                "streams": ["audio", "video"],
            },
        )

    def test_end(self) -> None:
        """Rows first, then the site's rest; twice is once."""
        call = self.begin()
        self.offer(call, offered())
        note = Note("call.end", (("call_id", "call"), ("why", "BYE"), ("seconds", 3.0)))
        closed = [ClosePorts("tokyo", (30000,)), ClosePorts(OUTSIDE, (20000,))]
        self.assertEqual(self.calls.end(call, "BYE", NOW + 3), [*closed, Busy("tokyo", False), note])
        self.assertEqual(self.calls.end(call, "BYE", NOW + 3), [])

    def test_busy(self) -> None:
        """A site is busy from its first call to the end of its last; both ends on one site count once."""
        one, first = self.calls.begin(invite(), INSIDE, OUT, NOW)
        two, second = self.calls.begin(invite(), INSIDE, INSIDE, NOW)
        self.assertEqual((first, second), ([Busy("tokyo", True)], []))
        ended = [self.calls.end(call, "BYE", NOW)[:-1] for call in (one, two)]
        self.assertEqual(ended, [[], [Busy("tokyo", False)]])


class Silence(Case):
    """Calls whose phones have died."""

    def test_table(self) -> None:
        """A call ends when every stream has been silent for its limit; held ones have a longer one."""
        held, inactive = "a=sendonly\r\n", "a=inactive\r\n"
        cases = [
            (sdp(ALICE), sdp(BOB, 7000), 60),
            (sdp(ALICE, extra=held), sdp(BOB, 7000, extra="a=recvonly\r\n"), 600),
            (sdp(ALICE, extra=inactive), sdp(BOB, 7000, extra=inactive), 600),
        ]
        for offer, back, limit in cases:
            with self.subTest(limit):
                self.setUp()
                call = self.begin()
                self.offer(call, offer)
                self.reply(call, back)
                self.assertEqual(self.calls.sweep(NOW + limit), [])
                self.assertNotEqual(self.calls.sweep(NOW + limit + 1), [])
                self.assertEqual(self.taken(), (0, 0, 0))

    def test_packets_keep_it_up(self) -> None:
        """One stream that is heard is enough."""
        call = self.begin()
        self.offer(call, offered(VIDEO))
        self.reply(call, sdp(BOB, 7000, extra="m=video 7002 RTP/AVP 96\r\n"))
        _, video = self.table.rows()
        video.caller.rtcp.packets += 1
        self.assertEqual(self.calls.sweep(NOW + 50), [])
        self.assertEqual(self.calls.sweep(NOW + 105), [])
        self.assertNotEqual(self.calls.sweep(NOW + 111), [])

    def test_ringing_is_silent_by_nature(self) -> None:
        """Timer C is for that; silence counts from the answer."""
        call = self.begin()
        self.offer(call, offered())
        self.assertEqual(self.calls.sweep(NOW + 170), [])
        self.reply(call, sdp(BOB, 7000), now=NOW + 170)
        self.assertEqual(self.calls.sweep(NOW + 230), [])
        self.assertNotEqual(self.calls.sweep(NOW + 231), [])

    def test_calls_without_streams_are_not_kept_for_ever(self) -> None:
        """What we do not relay we cannot hear; its memory is bounded all the same."""
        call = self.begin(OUT, OUT)
        self.calls.answered(call, answer(200), NOW)
        self.assertEqual(self.calls.sweep(NOW + LONGEST_UNSEEN), [])
        self.assertNotEqual(self.calls.sweep(NOW + LONGEST_UNSEEN + 1), [])
        self.assertEqual(len(self.calls), 0)


class Sites(Case):
    """Sites that come, come back and go."""

    def test_site_up_reopens(self) -> None:
        """The ports of running calls are opened again and cannot be taken twice."""
        for _ in range(2):
            self.offer(self.begin(), offered(), Change())
        fresh = PortPairs(30000, 30009)
        actions = self.calls.site_up("tokyo", MediaLeg(HRAC, fresh))
        self.assertEqual(actions, [OpenPorts("tokyo", (30000, 30002)), Busy("tokyo", True)])
        self.assertEqual((fresh.taken, fresh.take()), (2, 30004))

    def test_site_up_with_other_ports(self) -> None:
        """What is not granted any more stays shut; the end of such a call gives nothing back."""
        call = self.begin()
        self.offer(call, offered())
        fresh = PortPairs(40000, 40009)
        self.assertEqual(self.calls.site_up("tokyo", MediaLeg(HRAC, fresh)), [])
        self.calls.end(call, "BYE", NOW)
        self.assertEqual((fresh.taken, len(fresh)), (0, 5))

    def test_site_gone(self) -> None:
        """Its calls end, others stay, and new ones find nobody."""
        self.offer(self.begin(), offered())
        other = self.begin(OUT, OUT)
        actions = self.calls.site_gone("tokyo", NOW)
        self.assertEqual([type(action) for action in actions], [ClosePorts, ClosePorts, Busy, Note])
        self.assertEqual(self.calls.all(), [other])
        error = self.assertRaises(SipError, self.offer, self.begin(), offered())
        self.assertEqual((error.status, self.outside.taken), (480, 0))
