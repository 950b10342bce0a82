"""Requests that make a dialog of their own or carry no SDP: through the wall and back, unchanged."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Flow
from sofw.flow.actions import Action
from sofw.sip.fields import parse_name_addr
from sofw.sip.message import Message, Request
from tests.flow.world import ALICE, BOB, CAROL, HRAS, World, reply, request, sdp, sent

PIDF = b"<?xml version='1.0'?><presence entity='pres:bob@example.com'/>"


def one(actions: list[Action]) -> tuple[Flow, Message]:
    """The one message that was sent."""
    (found,) = sent(actions)
    return found


class Case(SynchronousTestCase):
    """Alice inside, bob outside."""

    def setUp(self) -> None:
        self.world = World()
        self.world.register("alice", "bob")

    def back(self, opened: Request, method: str, cseq: int, headers: str, body: bytes = b"") -> bytes:
        """A request of bob's in the dialog that alice's request opened: to her Contact, along its route."""
        routes = "".join(f"Route: {value}\r\n" for value in opened.headers.all("Record-Route"))
        data = request(
            method, str(opened.contacts[0].uri), BOB, "bob", "alice@example.com", "alice", cseq,
            headers=routes + headers, body=body,
        )  # fmt: skip
        return data.replace(b"application/sdp", b"application/pidf+xml")


class Subscriptions(Case):
    """SUBSCRIBE and NOTIFY (RFC 6665), as presence (RFC 3856) uses them."""

    def subscribe(self) -> Request:
        """Alice subscribes to bob's presence; what bob got."""
        headers = "Event: presence\r\nAccept: application/pidf+xml\r\nExpires: 600\r\n"
        data = request("SUBSCRIBE", "sip:bob@example.com", ALICE, "alice", headers=headers)
        flow, message = one(self.world.login(ALICE, data, "alice"))
        assert isinstance(message, Request)
        self.assertEqual(flow, BOB)
        return message

    def test_subscribe(self) -> None:
        """It takes our route, and nothing of the inside; what it asks for is unchanged."""
        went = self.subscribe()
        self.assertNotIn(b"192.168.", bytes(str(went.headers), "utf-8"))
        self.assertEqual([route.uri.host for route in went.record_routes], [HRAS, HRAS])
        asked = [went.headers.get(name) for name in ("Event", "Accept", "Expires")]
        self.assertEqual(asked, ["presence", "application/pidf+xml", "600"])

    def test_notify(self) -> None:
        """It finds alice even before bob's 200, and carries its body as it is."""
        went = self.subscribe()
        state = "Event: presence\r\nSubscription-State: active;expires=599\r\n"
        flow, notify = one(self.world.say(BOB, self.back(went, "NOTIFY", 1, state, PIDF)))
        assert isinstance(notify, Request)
        self.assertEqual((flow, notify.uri), (ALICE, "sip:alice@192.168.1.10:5060"))
        self.assertEqual((notify.content_type, notify.body), ("application/pidf+xml", PIDF))
        self.assertEqual(notify.headers.get("Subscription-State"), "active;expires=599")
        flow, answer = one(self.world.say(ALICE, reply(notify, 200, ALICE, "alice")))
        self.assertEqual((flow, getattr(answer, "status", 0)), (BOB, 200))
        self.assertEqual(len(self.world.calls), 0)

    def test_accepted(self) -> None:
        """The 200 comes back with the granted time."""
        went = self.subscribe()
        data = reply(went, 200, BOB, "bob", headers="Expires: 300\r\n")
        flow, answer = one(self.world.say(BOB, data))
        self.assertEqual((flow, answer.headers.get("Expires")), (ALICE, "300"))


class Transfer(Case):
    """REFER (RFC 3515) within a call, and the NOTIFYs that tell how it went."""

    def setUp(self) -> None:
        super().setUp()
        offer = request("INVITE", "sip:bob@example.com", ALICE, "alice", body=sdp(ALICE))
        invite = sent(self.world.login(ALICE, offer, "alice"))[-1][1]
        assert isinstance(invite, Request)
        self.invite = invite
        self.world.say(BOB, reply(invite, 200, BOB, "bob", sdp(BOB)))

    def refer(self) -> tuple[Flow, Message]:
        """Bob refers alice to carol; what alice gets."""
        headers = "Refer-To: <sip:carol@example.com?Replaces=x>\r\nReferred-By: <sip:bob@example.com>\r\n"
        return one(self.world.say(BOB, self.back(self.invite, "REFER", 1, headers)))

    def test_refer(self) -> None:
        """Whom it refers to stands as bob wrote it; the call goes on."""
        flow, went = self.refer()
        self.assertEqual(flow, ALICE)
        self.assertEqual(went.headers.get("Refer-To"), "<sip:carol@example.com?Replaces=x>")
        self.assertEqual(went.headers.get("Referred-By"), "<sip:bob@example.com>")
        self.assertEqual(len(self.world.table), 1)

    def test_refer_to_a_phone_inside(self) -> None:
        """Alice refers bob to the phone carol has inside: he reaches her, and sees no inside address."""
        carol = "sip:carol@192.168.1.11:5060"
        routes = "".join(f"Route: {value}\r\n" for value in reversed(self.invite.headers.all("Record-Route")))
        headers = f"{routes}Refer-To: <{carol}?Replaces=c%3Bto-tag%3D1>\r\n"
        data = request("REFER", f"sip:bob@{BOB.remote}", ALICE, "alice", "", "bob", 5, headers=headers)
        flow, went = one(self.world.say(ALICE, data))
        self.assertEqual(flow, BOB)
        self.assertNotIn("192.168.", str(went.headers))
        uri = parse_name_addr(went.headers.get("Refer-To") or "").uri
        self.assertEqual((uri.host, uri.headers), (HRAS, "Replaces=c%3Bto-tag%3D1"))
        again = request("INVITE", str(evolve(uri, headers="")), BOB, "eve", call_id="new", body=sdp(BOB))
        done = sent(self.world.say(BOB, again.replace(b"eve@example.com", b"eve@elsewhere.org")))
        flow, reached = done[-1]
        assert isinstance(reached, Request)
        self.assertEqual((flow, reached.uri), (CAROL, carol))

    def test_refer_elsewhere(self) -> None:
        """What is not inside stands as alice wrote it; what cannot be read is refused."""
        routes = "".join(f"Route: {value}\r\n" for value in reversed(self.invite.headers.all("Record-Route")))
        elsewhere = ("<sip:carol@example.com>", "<sip:x@198.51.100.1>", "<tel:+1234>")
        for number, value in enumerate((*elsewhere, "<<>")):
            headers = f"{routes}Refer-To: {value}\r\n"
            data = request(
                "REFER", f"sip:bob@{BOB.remote}", ALICE, "alice", "", "bob", 5 + number, headers=headers
            )
            _, went = one(self.world.say(ALICE, data))
            if value in elsewhere:
                self.assertEqual(went.headers.get("Refer-To"), value)
            else:
                self.assertEqual(getattr(went, "status", 0), 400)

    def test_notify(self) -> None:
        """Alice's NOTIFY goes along the call's route, its sipfrag (RFC 3420) as it is."""
        routes = "".join(f"Route: {value}\r\n" for value in reversed(self.invite.headers.all("Record-Route")))
        headers = f"{routes}Event: refer\r\nSubscription-State: active\r\n"
        fragment = b"SIP/2.0 100 Trying\r\n"
        data = request(
            "NOTIFY", f"sip:bob@{BOB.remote}", ALICE, "alice", "bob@example.com", "bob", 5,
            headers=headers, body=fragment,
        ).replace(b"application/sdp", b"message/sipfrag;version=2.0")  # fmt: skip
        flow, went = one(self.world.say(ALICE, data))
        assert isinstance(went, Request)
        self.assertEqual((flow, went.content_type, went.body), (BOB, "message/sipfrag", fragment))


class Messages(Case):
    """MESSAGE (RFC 3428): no dialog, any body."""

    def test_bytes(self) -> None:
        """Compressed and binary bodies pass as they are; no route is recorded."""
        body = bytes(range(256)) * 8
        packed = "Content-Encoding: deflate\r\n"
        data = request("MESSAGE", "sip:bob@example.com", ALICE, "alice", headers=packed, body=body)
        data = data.replace(b"application/sdp", b"message/imdn+xml")
        flow, went = one(self.world.login(ALICE, data, "alice"))
        assert isinstance(went, Request)
        self.assertEqual((flow, went.body, went.record_routes), (BOB, body, ()))
        self.assertEqual(went.headers.get("Content-Encoding"), "deflate")

    def test_answered(self) -> None:
        """The answer comes back."""
        data = request("MESSAGE", "sip:bob@example.com", ALICE, "alice")
        _, went = one(self.world.login(ALICE, data, "alice"))
        assert isinstance(went, Request)
        flow, answer = one(self.world.say(BOB, reply(went, 202, BOB, "bob")))
        self.assertEqual((flow, getattr(answer, "status", 0)), (ALICE, 202))


class Paths(SynchronousTestCase):
    """What an edge proxy in front of us puts into a REGISTER (RFC 3327)."""

    def test_told_back(self) -> None:
        """The 200 repeats the Path, in its order (§5.3); so a phone sees who stands between."""
        world = World()
        path = "Path: <sip:p1.org;lr>, <sip:p2.org;lr>\r\nSupported: path\r\n"
        data = request("REGISTER", "sip:example.com", BOB, "bob", "bob@example.com", headers=path)
        _, answer = one(world.login(BOB, data, "bob"))
        self.assertEqual(answer.headers.all("Path"), ("<sip:p1.org;lr>", "<sip:p2.org;lr>"))
