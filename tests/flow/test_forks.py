"""A call to several phones: which ring when, how many at once, what the losers hear, and redirections."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.actions import Action, Resolve
from sofw.sip.fork import COMPLETED_ELSEWHERE
from sofw.sip.locate import Destination
from sofw.sip.message import Request, Response
from sofw.sip.registrar import Binding
from tests.flow.world import ALICE, BOB, HRAS, World, reply, request, sdp, sent

#: Longer than any timer of a transaction, and than Timer C.
LONG = 1000.0


def phone(number: int) -> Flow:
    """One of bob's phones."""
    return Flow(OUTSIDE, Transport.UDP, Address(f"203.0.113.{100 + number}", 5060), 5060)


class Case(SynchronousTestCase):
    """Eve, whom nobody knows, calls bob, who has phones of these q."""

    q: tuple[float, ...] = (1.0, 1.0, 0.5)
    follow = False

    def setUp(self) -> None:
        self.world = World(follow_redirects=self.follow)
        bindings = tuple(
            Binding(f"sip:bob@{phone(number).remote}", 1e9, "r", 1, q, phone(number))
            for number, q in enumerate(self.q)
        )
        self.world.registrar._keep("bob@example.com", bindings)
        self.out: dict[int, Request] = {}

    def call(self, method: str = "INVITE", **extra: str) -> list[int | str]:
        """Eve's request; returns what follows."""
        return self.seen(self.world.say(BOB, self.asked(method, **extra)))

    def asked(self, method: str = "INVITE", **extra: str) -> bytes:
        """Eve's request."""
        body = sdp(BOB) if method == "INVITE" else b""
        data = request(method, "sip:bob@example.com", BOB, "eve", body=body, **extra)
        return data.replace(b"eve@example.com", b"eve@elsewhere.org")

    def answers(self, number: int, status: int, headers: str = "", body: bytes = b"") -> list[int | str]:
        """A phone answers; returns what follows."""
        data = reply(self.out[number], status, phone(number), f"b{number}", body, headers)
        return self.seen(self.world.say(phone(number), data))

    def seen(self, actions: list[Action]) -> list[int | str]:
        """Statuses for eve, "METHOD number" for the phones, ACKs left out."""
        found: list[int | str] = []
        for flow, message in sent(actions):
            if isinstance(message, Response):
                found.append(message.status)
            elif message.method != "ACK":
                number = int(flow.remote.host.rpartition(".")[2]) - 100
                if message.method != "CANCEL":
                    self.out[number] = message
                found.append(f"{message.method} {number}")
        return found

    def assert_nothing_left(self) -> None:
        """All timers run out, and all is as it was."""
        self.world.run_timers(LONG)
        core = self.world.core
        left = (core._transactions, core._forwarding, core._forwarding._copies, self.world.calls)
        self.assertEqual([len(kept) for kept in left], [0, 0, 0, 0])


class Sequence(Case):
    """Best q first, equals together, the next when all before have failed (§16.6)."""

    def test_one_after_the_other(self) -> None:
        """The third phone rings when both others have refused; the best refusal goes up at last."""
        self.assertEqual(self.call(), [100, "INVITE 0", "INVITE 1"])
        self.assertEqual(self.answers(0, 486), [])
        self.assertEqual(self.answers(1, 404), ["INVITE 2"])
        self.assertEqual(self.answers(2, 180), [180])
        self.assertEqual(self.answers(2, 480), [486])
        self.assert_nothing_left()

    def test_answered(self) -> None:
        """When one answers the others of its group are cancelled, and the next group never rings."""
        self.call()
        self.assertEqual(self.answers(0, 180), [180])
        self.assertEqual(self.answers(1, 200, body=sdp(phone(1))), [200, "CANCEL 0"])
        self.assertEqual(self.answers(0, 487), [])
        self.assertEqual(self.world.run_timers(60) and self.out.keys(), {0, 1})

    def test_declined(self) -> None:
        """6xx ends the search for all groups."""
        self.call()
        self.assertEqual(self.answers(0, 603), [])
        self.assertEqual(self.answers(1, 486), [603])
        self.assert_nothing_left()

    def test_given_up(self) -> None:
        """A CANCEL ends the search too."""
        self.call()
        self.answers(0, 180)
        self.answers(1, 486)
        cancel = self.asked("CANCEL", branch="INVITE1evecall")
        self.assertEqual(self.seen(self.world.say(BOB, cancel)), [200, "CANCEL 0"])
        self.assertEqual(self.answers(0, 487), [487])
        self.assert_nothing_left()

    def test_silence(self) -> None:
        """Phones that do not answer at all make way for the next after Timer B."""
        self.call()
        self.assertIn("INVITE 2", self.seen(self.world.run_timers(33)))
        self.assertEqual(self.answers(2, 200, body=sdp(phone(2))), [200])


class Breadth(Case):
    """No more branches at once than the request may have (RFC 5393 §5.3.3)."""

    q = (1.0, 1.0, 1.0)

    def shares(self) -> list[str | None]:
        """The Max-Breadth of each request that went out."""
        return [message.headers.get("Max-Breadth") for message in self.out.values()]

    def test_divided(self) -> None:
        """What came, or 60, is divided among the branches."""
        for headers, expected in (
            ("", ["20", "20", "20"]),
            ("Max-Breadth: 7\r\n", ["3", "2", "2"]),
            ("Max-Breadth: 3\r\n", ["1", "1", "1"]),
        ):
            self.setUp()
            self.call(headers=headers)
            self.assertEqual(self.shares(), expected)

    def test_too_little_for_all_at_once(self) -> None:
        """Those it does not suffice for are tried later."""
        self.assertEqual(self.call(headers="Max-Breadth: 2\r\n"), [100, "INVITE 0", "INVITE 1"])
        self.answers(0, 486)
        self.assertEqual(self.answers(1, 486), ["INVITE 2"])
        self.assertEqual(self.shares(), ["1", "1", "2"])

    def test_exhausted(self) -> None:
        """440, and nothing is forwarded."""
        self.assertEqual(self.call(headers="Max-Breadth: 0\r\n"), [100, 440])
        self.assertEqual(self.call("OPTIONS", headers="Max-Breadth: 0\r\n"), [440])
        self.assert_nothing_left()

    def test_malformed(self) -> None:
        """400."""
        self.assertEqual(self.call(headers="Max-Breadth: many\r\n"), [400])


class Reasons(Case):
    """What those hear that rang in vain (RFC 3326)."""

    q = (1.0, 1.0)

    def reasons(self, actions: list[Action]) -> list[tuple[str, ...]]:
        """The Reason of each CANCEL."""
        return [m.headers.all("Reason") for _, m in sent(actions) if getattr(m, "method", "") == "CANCEL"]

    def test_answered_elsewhere(self) -> None:
        """So that it is no missed call."""
        self.call()
        self.answers(1, 180)
        done = self.world.say(phone(0), reply(self.out[0], 200, phone(0), "b0", sdp(phone(0))))
        self.assertEqual(self.reasons(done), [(COMPLETED_ELSEWHERE,)])

    def test_the_callers_own(self) -> None:
        """What the caller's CANCEL says goes to every phone; one that says nothing adds nothing."""
        for headers, expected in (
            ("Reason: SIP;cause=480\r\nReason: Q.850;cause=16\r\n", ("SIP;cause=480", "Q.850;cause=16")),
            ("", ()),
        ):
            self.setUp()
            self.call()
            self.answers(0, 180)
            self.answers(1, 180)
            cancel = self.asked("CANCEL", branch="INVITE1evecall", headers=headers)
            self.assertEqual(self.reasons(self.world.say(BOB, cancel)), [expected, expected])


class Merged(Case):
    """The same request by two paths (§8.2.2.2)."""

    q = (1.0,)

    def test_second_path(self) -> None:
        """482, while the first is under way and for as long as its transaction lives."""
        self.call()
        self.assertEqual(self.call(branch="second"), [100, 482])
        self.answers(0, 486)
        self.assertEqual(self.call(branch="third"), [100, 482])
        self.assert_nothing_left()
        self.assertEqual(self.call(branch="fourth"), [100, "INVITE 0"])

    def test_not_merged(self) -> None:
        """Another Request-URI is a spiral; another CSeq, method, tag or Route another request."""
        bob = self.world.registrar.lookup("bob@example.com", 0)
        self.world.registrar._keep("robert@example.com", bob)
        self.call()
        spiral = self.asked(branch="spiral").replace(b"INVITE sip:bob@", b"INVITE sip:robert@")
        for data in (
            spiral,
            self.asked(cseq=2),
            self.asked("OPTIONS"),
            self.asked(branch="tag", tag="other"),
            self.asked(branch="call", call_id="other"),
        ):
            self.assertNotIn(482, self.seen(self.world.say(BOB, data)))

    def test_within_a_dialog(self) -> None:
        """A To tag says that the other party has sorted it out."""
        self.world.register("alice")
        for branch in ("one", "two"):
            data = request("INFO", "sip:bob@example.com", ALICE, "alice", to_tag="b", branch=branch)
            self.assertNotIn(482, self.seen(self.world.login(ALICE, data, "alice")))


class Redirected(Case):
    """A callee's 3xx (§16.7 step 4): by default it is the caller's to follow."""

    q = (1.0,)
    moved = "Contact: <sip:joe@elsewhere.org>;q=0.5\r\nContact: <sip:carol@example.com>\r\n"

    def test_passed_on(self) -> None:
        """The caller gets it as it is."""
        self.call()
        (answer,) = [
            message
            for _, message in sent(
                self.world.say(phone(0), reply(self.out[0], 302, phone(0), "b0", headers=self.moved))
            )
            if isinstance(message, Response)
        ]
        self.assertEqual(answer.status, 302)
        self.assertEqual([c.uri.host for c in answer.contacts][1:], ["elsewhere.org", "example.com"])
        self.assert_nothing_left()


class Followed(Redirected):
    """`follow_redirects`: the targets it names are tried here."""

    follow = True

    def setUp(self) -> None:
        super().setUp()
        binding = Binding("sip:carol@203.0.113.105", 1e9, "r", 1, 1.0, phone(5))
        self.world.registrar._keep("carol@example.com", (binding,))

    def redirect(self, headers: str) -> list[Action]:
        """Bob's phone redirects, with these Contacts only."""
        data = reply(self.out[0], 302, phone(0), "b0", headers=headers)
        own = f"Contact: <sip:b0@{phone(0).remote}>\r\n".encode()
        return self.world.say(phone(0), data.replace(own, b"", 1))

    def test_passed_on(self) -> None:
        """Best q first: a user of ours, then a place to be looked up; the 302 is never seen."""
        self.call()
        self.assertEqual(self.seen(self.redirect(self.moved)), ["INVITE 5"])
        done = self.world.say(phone(5), reply(self.out[5], 486, phone(5), "c"))
        (look_up,) = [action for action in done if isinstance(action, Resolve)]
        self.assertEqual(look_up.place.host, "elsewhere.org")
        found = (Destination(Transport.UDP, phone(6).remote.host, 5060),)
        done = self.world.noted(self.world.core.resolved(look_up.key, found, self.world.now))
        self.assertEqual(self.seen(done), ["INVITE 6"])
        self.assertEqual(self.out[6].uri, "sip:joe@elsewhere.org")
        self.assertEqual(self.answers(6, 404), [486])
        self.assert_nothing_left()

    def test_answered(self) -> None:
        """The call is with the one it was redirected to."""
        self.call()
        self.seen(self.redirect(self.moved))
        self.assertEqual(self.answers(5, 200, body=sdp(phone(5))), [200])
        ((_, ack),) = [m for m in sent(self.world.say(BOB, self.ack())) if isinstance(m[1], Request)]
        self.assertEqual(ack.method, "ACK")
        self.assertEqual(len(self.world.calls), 1)

    def ack(self) -> bytes:
        """Eve's ACK, along the recorded route."""
        routes = "".join(f"Route: {value}\r\n" for value in self.out[5].headers.all("Record-Route"))
        return request(
            "ACK", "sip:carol@203.0.113.105", BOB, "eve", to_tag="b5", branch="ack", headers=routes
        )

    def test_leading_nowhere(self) -> None:
        """To itself, to nobody, to another scheme, or without a Contact: the 302 is the answer."""
        for headers in (
            f"Contact: <sip:bob@{phone(0).remote}>\r\n",
            "Contact: <sip:nobody@example.com>\r\n",
            "Contact: <mailto:bob@example.com>\r\n",
            "",
        ):
            self.setUp()
            self.call()
            self.assertEqual(self.seen(self.redirect(headers)), [302], headers)
            self.assert_nothing_left()

    def test_round_and_round(self) -> None:
        """A target is tried once, however often it is named."""
        self.call()
        self.seen(self.redirect("Contact: <sip:carol@example.com>\r\n"))
        own = f"Contact: <sip:c@{phone(5).remote}>\r\n".encode()
        back = reply(self.out[5], 302, phone(5), "c", headers="Contact: <sip:bob@example.com>\r\n")
        self.assertEqual(self.seen(self.world.say(phone(5), back.replace(own, b""))), [302])
        self.assert_nothing_left()

    def test_given_up(self) -> None:
        """After a CANCEL nothing new is tried."""
        self.call()
        self.answers(0, 180)
        self.world.say(BOB, self.asked("CANCEL", branch="INVITE1evecall"))
        self.assertEqual(self.seen(self.redirect(self.moved)), [302])
        self.assert_nothing_left()

    def test_bound_on_targets(self) -> None:
        """A chain of redirections ends at MAX_TARGETS."""
        self.call()
        names = [f"Contact: <sip:user{n}@203.0.113.{n}>\r\n" for n in range(1, 60)]
        done = self.redirect("".join(names))
        self.assertEqual(len([action for action in done if isinstance(action, Resolve)]), 29)


class RedirectedInside(SynchronousTestCase):
    """A phone inside redirects a call from outside."""

    def redirected(self, contacts: str, follow: bool) -> list[Action]:
        """Eve calls alice, whose phone says 302 with these Contacts."""
        world = World(follow_redirects=follow)
        world.register("alice")
        asked = request("INVITE", "sip:alice@example.com", BOB, "eve", body=sdp(BOB))
        went = sent(world.say(BOB, asked.replace(b"eve@example.com", b"eve@elsewhere.org")))[-1][1]
        assert isinstance(went, Request)
        data = reply(went, 302, ALICE, "alice", headers=contacts)
        own = f"Contact: <sip:alice@{ALICE.remote}>\r\n".encode()
        return world.say(ALICE, data.replace(own, b"", 1))

    def test_passed_on(self) -> None:
        """The caller sees where to go; a phone inside only as a URI of ours."""
        contacts = "Contact: <sip:joe@elsewhere.org>\r\nContact: <sip:carol@192.168.1.11:5060>\r\n"
        answer = sent(self.redirected(contacts, False))[-1][1]
        self.assertEqual([c.uri.host for c in answer.contacts], ["elsewhere.org", HRAS])
        self.assertEqual(str(answer.contacts[0].uri), "sip:joe@elsewhere.org")

    def test_followed(self) -> None:
        """To a phone of the same site, at its address there."""
        done = self.redirected("Contact: <sip:carol@192.168.1.11:5060>\r\n", True)
        (look_up,) = [action for action in done if isinstance(action, Resolve)]
        self.assertEqual(look_up.place.host, "192.168.1.11")


class RedirectedToCovered(Case):
    """A phone outside redirects to a phone inside, which it knows by a URI of ours."""

    q = (1.0,)
    follow = True

    def test_followed(self) -> None:
        """The URI is opened: the call goes inside."""
        self.world.register("alice")
        hello = request("MESSAGE", "sip:bob@example.com", ALICE, "alice", call_id="hello")
        seen = sent(self.world.login(ALICE, hello, "alice"))[-1][1]
        self.call()
        contact = f"Contact: <{seen.contacts[0].uri}>\r\n"
        data = reply(self.out[0], 302, phone(0), "b0", headers=contact)
        own = f"Contact: <sip:b0@{phone(0).remote}>\r\n".encode()
        flow, went = sent(self.world.say(phone(0), data.replace(own, b"", 1)))[-1]
        assert isinstance(went, Request)
        self.assertEqual((flow, went.uri), (ALICE, "sip:alice@192.168.1.10:5060"))


class Options(SynchronousTestCase):
    """What the server says of itself (§11.2)."""

    def test_abilities(self) -> None:
        """Allow, Accept and Supported, for itself and for one whose hops end here (§16.3 step 3)."""
        world = World()
        for uri, hops in (("sip:example.com", 70), ("sip:203.0.113.10", 70), ("sip:bob@example.com", 0)):
            data = request("OPTIONS", uri, BOB, "eve", call_id=uri)
            ((_, answer),) = sent(world.say(BOB, data.replace(b"Forwards: 70", f"Forwards: {hops}".encode())))
            assert isinstance(answer, Response)
            self.assertEqual(answer.status, 200)
            for name, part in (("Allow", "UPDATE"), ("Accept", "*/*"), ("Supported", "path")):
                self.assertIn(part, answer.headers.get(name) or "")
