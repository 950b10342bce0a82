"""Contacts across the wall: hidden on the way out, opened on the way in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Transport
from sofw.flow.contacts import Contacts
from sofw.sip.message import Request, SipError, parse_message
from sofw.sip.proxy import Interface
from sofw.sip.token import Sealer
from sofw.sip.uri import parse_uri
from tests.flow.world import ALICE, BOB, CAROL, DAVE, HRAC, HRAS, World, reply, request, sdp, sent, summary

OUTSIDE_FACE = Interface("outside", HRAS, 5060)


def invite() -> Request:
    """Alice's INVITE, as HRAS reads it."""
    message = parse_message(request("INVITE", "sip:bob@example.com", ALICE, "alice"))
    assert isinstance(message, Request)
    return message


class Hiding(SynchronousTestCase):
    """Which contacts are hidden, and how they are found again."""

    def setUp(self) -> None:
        self.contacts = Contacts(Sealer(b"k" * 32))

    def test_when(self) -> None:
        """Hidden from every other leg; outside contacts and those of the same site stay."""
        cases = [
            ("inside to outside", ALICE, BOB, True),
            ("site to site", ALICE, DAVE, True),
            ("within a site", ALICE, CAROL, False),
            ("outside to inside", BOB, ALICE, False),
        ]
        for name, sender, receiver, hides in cases:
            with self.subTest(name):
                message = self.contacts.hidden(invite(), sender, receiver, OUTSIDE_FACE)
                self.assertEqual(message.contacts[0].uri.host, HRAS if hides else "192.168.1.10")

    def test_opened_again(self) -> None:
        """The token holds contact and flow; parameters of the header stay outside it."""
        message = invite()
        header = '<sip:alice@192.168.1.10:5060;ob>;+sip.instance="x"'
        message = Request(message.method, message.uri, message.headers.replace("Contact", header))
        (contact,) = self.contacts.hidden(message, ALICE, BOB, OUTSIDE_FACE).contacts
        self.assertEqual(contact.param("+sip.instance"), "x")
        self.assertEqual(self.contacts.opened(contact.uri), ("sip:alice@192.168.1.10:5060;ob", ALICE))

    def test_nothing_to_open(self) -> None:
        """Ordinary users, foreign tokens and tokens of a Record-Route are no contacts."""
        foreign = Contacts(Sealer(b"f" * 32)).flow_token(ALICE)
        for user in ("alice", foreign, self.contacts.flow_token(ALICE)):
            with self.subTest(user):
                self.assertIsNone(self.contacts.opened(parse_uri(f"sip:{user}@{HRAS}")))
        self.assertIsNone(self.contacts.opened(parse_uri(f"sip:{HRAS}")))

    def test_route_tokens(self) -> None:
        """A flow comes back; what we did not seal is refused."""
        self.assertEqual(self.contacts.flow_of(parse_uri(f"sip:{self.contacts.flow_token(BOB)}@{HRAS}")), BOB)
        self.assertIsNone(self.contacts.flow_of(parse_uri(f"sip:{HRAS};lr")))
        short = Sealer(b"k" * 32).seal(("outside",))
        for user in ("alice", short):
            with self.assertRaises(SipError) as caught:
                self.contacts.flow_of(parse_uri(f"sip:{user}@{HRAS}"))
            self.assertEqual(caught.exception.status, 403)

    @settings(deadline=None, max_examples=50)
    @given(st.text("ab.-é日𝄞", min_size=1, max_size=400))
    def test_any_length(self, user: str) -> None:
        """A contact of any length survives, beyond ASCII too."""
        uri = f"sip:{user}@192.168.1.10"
        message = invite()
        message = Request(message.method, message.uri, message.headers.replace("Contact", f"<{uri}>"))
        (contact,) = self.contacts.hidden(message, ALICE, BOB, OUTSIDE_FACE).contacts
        self.assertEqual(self.contacts.opened(contact.uri), (uri, ALICE))


class Conversations(SynchronousTestCase):
    """Hidden contacts at work."""

    def test_a_call_shows_nothing_of_the_inside(self) -> None:
        """Bob's INVITE names no inside address at all; his BYE to the contact he saw reaches alice's own."""
        world = World()
        world.register("alice", "bob")
        data = request("INVITE", "sip:bob@example.com", ALICE, "alice", body=sdp(ALICE))
        actions = world.login(ALICE, data, "alice")
        ((_, forwarded),) = [pair for pair in sent(actions) if isinstance(pair[1], Request)]
        assert isinstance(forwarded, Request)
        self.assertNotIn("192.168.", str(forwarded.headers))
        ((_, ok),) = sent(world.say(BOB, reply(forwarded, 200, BOB, "bob", sdp(BOB, 7000))))
        self.assertEqual([route.uri.host for route in ok.record_routes], [HRAC, HRAC])
        routes = "".join(f"Route: {value}\r\n" for value in forwarded.headers.all("Record-Route"))
        target = str(forwarded.contacts[0].uri)
        bye = request("BYE", target, BOB, "bob", "alice@example.com", "alice", 9, headers=routes)
        ((flow, message),) = sent(world.say(BOB, bye))
        assert isinstance(message, Request)
        self.assertEqual((flow, message.uri), (ALICE, "sip:alice@192.168.1.10:5060"))

    def test_a_message_to_a_contact(self) -> None:
        """A stranger who was given alice's hidden contact reaches her, without any Route."""
        world = World()
        contacts = Contacts(Sealer(b"t" * 32))
        (contact,) = contacts.hidden(invite(), ALICE, BOB, OUTSIDE_FACE).contacts
        data = request("MESSAGE", str(contact.uri), BOB, "eve").replace(b"eve@example.com", b"eve@x.org")
        self.assertEqual(summary(world.say(BOB, data)), ["MESSAGE -> tokyo 192.168.1.10:5060"])

    def test_answers_hide_too(self) -> None:
        """Alice's 200 shows bob a contact of HRAS; carol's 200 to alice, of the same site, her own."""
        for caller, callee, host in (("bob", "alice", HRAS), ("alice", "carol", "192.168.1.11")):
            with self.subTest(callee):
                world = World()
                world.register("alice", "bob", "carol")
                flows = {"alice": ALICE, "bob": BOB, "carol": CAROL}
                data = request(
                    "INVITE", f"sip:{callee}@example.com", flows[caller], caller, body=sdp(flows[caller])
                )
                ((flow, forwarded),) = [
                    pair
                    for pair in sent(world.login(flows[caller], data, caller))
                    if isinstance(pair[1], Request)
                ]
                assert isinstance(forwarded, Request)
                done = sent(world.say(flow, reply(forwarded, 200, flow, callee, sdp(flow, 6000))))
                self.assertEqual(done[0][1].contacts[0].uri.host, host)

    def test_towards_tcp(self) -> None:
        """The hidden contact is to be reached the way the receiver reaches us."""
        contacts = Contacts(Sealer(b"t" * 32))
        receiver = BOB.__class__("osaka", Transport.TCP, BOB.remote, 5060)
        (contact,) = contacts.hidden(invite(), ALICE, receiver, Interface("osaka", HRAC, 5060)).contacts
        self.assertEqual((contact.uri.host, contact.uri.param("transport")), (HRAC, "tcp"))
