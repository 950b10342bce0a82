"""Phones and servers on TLS: what they are shown, and that sips stays on TLS."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.actions import Action, Resolve
from sofw.flow.calls import MediaLeg
from sofw.flow.signalling import Site
from sofw.rtp.ports import PortPairs
from sofw.sip.locate import Destination, Wanted
from sofw.sip.message import Request, Response
from sofw.sip.proxy import Interface
from tests.flow.world import HRAC, HRAS, World, reply, request, sdp, sent

TLS = Transport.TLS
ALICE = Flow("tokyo", TLS, Address("192.168.1.10", 40001), 5061)
BOB = Flow(OUTSIDE, TLS, Address("203.0.113.20", 40002), 5062)
UDP_BOB = Flow(OUTSIDE, Transport.UDP, Address("203.0.113.20", 5060), 5060)
SERVER = Flow(OUTSIDE, TLS, Address("198.51.100.7", 5061), 5062, "elsewhere.org")


def secured(data: bytes) -> bytes:
    """The same message with a sips contact."""
    return data.replace(b"Contact: <sip:", b"Contact: <sips:")


class Case(SynchronousTestCase):
    """A world with TLS: port 5062 outside, 5061 in tokyo."""

    def setUp(self) -> None:
        self.world = World(follow_redirects=True)
        self.world.core._interfaces[OUTSIDE] = Interface(OUTSIDE, HRAS, 5060, 5062)
        media = MediaLeg(HRAC, PortPairs(30000, 30099))
        self.world.core.site_up("tokyo", Site(Interface("tokyo", HRAC, 5060, 5061), media))

    def register(self, user: str, flow: Flow, secure: bool = False) -> None:
        """A phone registers."""
        data = request("REGISTER", "sip:example.com", flow, user, f"{user}@example.com", call_id=user)
        self.world.login(flow, secured(data) if secure else data, user)

    def invite(self, uri: str) -> list[Action]:
        """Alice calls."""
        call_id = f"call-{len(uri)}"
        data = request("INVITE", uri, ALICE, "alice", "bob@example.com", call_id=call_id, body=sdp(ALICE))
        return self.world.login(ALICE, secured(data) if uri.startswith("sips:") else data, "alice")

    def one(self, actions: list[Action], kind: type) -> tuple[Flow, Request | Response]:
        """The only request or response among them; no 100."""
        (found,) = [
            pair
            for pair in sent(actions)
            if isinstance(pair[1], kind) and getattr(pair[1], "status", 200) > 100
        ]
        return found

    def places(self, message: Request | Response) -> list[str]:
        """Record-Routes without their tokens."""
        uris = [route.uri for route in message.record_routes]
        return [str(uri).replace(f"{uri.user}@", "") for uri in uris]

    def bob_answers(self, invite: Request, secure: bool = False) -> Response:
        """What alice hears of his 200."""
        answer = reply(invite, 200, BOB, "bob", sdp(BOB, 6000))
        flow, heard = self.one(self.world.say(BOB, secured(answer) if secure else answer), Response)
        assert isinstance(heard, Response)
        self.assertEqual((flow, heard.status), (ALICE, 200))
        return heard

    def hang_up(self, flow: Flow, user: str, heard: Request | Response, routes: list[str]) -> Flow:
        """One of the two sends BYE by what it has heard; where it arrives."""
        dialog = f"From: {heard.headers.get('To')}\r\nTo: {heard.headers.get('From')}\r\n"
        if isinstance(heard, Response):
            dialog = f"From: {heard.headers.get('From')}\r\nTo: {heard.headers.get('To')}\r\n"
        text = (
            f"BYE {heard.contacts[0].uri} SIP/2.0\r\nVia: SIP/2.0/TLS x:1;branch=z9hG4bKbye{user};rport\r\n"
            f"Max-Forwards: 70\r\n{dialog}Call-ID: {heard.call_id}\r\nCSeq: 9 BYE\r\n"
            + "".join(f"Route: {route}\r\n" for route in routes)
            + "Content-Length: 0\r\n\r\n"
        )
        flow, bye = self.one(self.world.say(flow, text.encode()), Request)
        assert isinstance(bye, Request)
        self.assertEqual((bye.method, bye.headers.get("Route")), ("BYE", None))
        self.bye = bye
        return flow


class Plain(Case):
    """sip URIs between phones on TLS."""

    def test_what_each_sees(self) -> None:
        """TLS and the port for it in Via, Record-Route and Contact, of the half each one reaches."""
        self.register("alice", ALICE)
        self.register("bob", BOB)
        flow, invite = self.one(self.invite("sip:bob@example.com"), Request)
        assert isinstance(invite, Request)
        self.assertEqual(flow, BOB)
        via = invite.via
        self.assertEqual((via.transport, via.host, via.port), ("TLS", HRAS, 5062))
        self.assertEqual(self.places(invite), [f"sip:{HRAS}:5062;transport=tls;lr"] * 2)
        contact = invite.contacts[0].uri
        self.assertEqual((contact.scheme, contact.host, contact.port), ("sip", HRAS, 5062))
        heard = self.bob_answers(invite)
        self.assertEqual(self.places(heard), [f"sip:{HRAC}:5061;transport=tls;lr"] * 2)
        routes = list(reversed(heard.headers.all("Record-Route")))
        self.assertEqual(self.hang_up(ALICE, "alice", heard, routes), BOB)

    def test_towards_udp(self) -> None:
        """The other side may be on anything."""
        self.register("alice", ALICE)
        self.register("bob", UDP_BOB)
        flow, invite = self.one(self.invite("sip:bob@example.com"), Request)
        self.assertEqual((flow, self.places(invite)), (UDP_BOB, [f"sip:{HRAS}:5060;lr"] * 2))


class Secure(Case):
    """sips URIs (RFC 3261 §26.2.2, RFC 5630)."""

    def setUp(self) -> None:
        super().setUp()
        self.register("alice", ALICE, secure=True)

    def test_call(self) -> None:
        """All that either side sees of ours is sips, and leads back and forth."""
        self.register("bob", BOB, secure=True)
        flow, invite = self.one(self.invite("sips:bob@example.com"), Request)
        assert isinstance(invite, Request)
        self.assertEqual((flow, invite.uri), (BOB, "sips:bob@203.0.113.20:40002"))
        self.assertEqual(self.places(invite), [f"sips:{HRAS}:5062;lr"] * 2)
        contact = invite.contacts[0].uri
        self.assertEqual((contact.scheme, contact.host, contact.port), ("sips", HRAS, 5062))
        heard = self.bob_answers(invite, secure=True)
        self.assertEqual(self.places(heard), [f"sips:{HRAC}:5061;lr"] * 2)
        routes = list(invite.headers.all("Record-Route"))
        self.assertEqual(self.hang_up(BOB, "bob", invite, routes), ALICE)
        self.assertEqual(self.bye.uri, "sips:alice@192.168.1.10:40001")

    def test_never_in_the_clear(self) -> None:
        """A phone without a sips contact, or one that claims it over UDP, is not reached by sips."""
        for secure in (False, True):
            self.register("bob", UDP_BOB, secure)
            flow, refusal = self.one(self.invite("sips:bob@example.com"), Response)
            assert isinstance(refusal, Response)
            self.assertEqual((flow, refusal.status), (ALICE, 480))

    def test_redirected(self) -> None:
        """A redirection is followed to sips contacts alone (§16.5)."""
        for contact, followed in (("sip:joe@elsewhere.org", 0), ("sips:joe@elsewhere.org", 1)):
            self.setUp()
            self.register("bob", BOB, secure=True)
            _flow, invite = self.one(self.invite("sips:bob@example.com"), Request)
            assert isinstance(invite, Request)
            moved = reply(invite, 302, BOB, "bob").replace(b"sip:bob@203.0.113.20:40002", contact.encode())
            actions = self.world.say(BOB, moved)
            self.assertEqual(len([each for each in actions if isinstance(each, Resolve)]), followed)
            statuses = [each.status for _, each in sent(actions) if isinstance(each, Response)]
            self.assertEqual(statuses, [] if followed else [302])

    def test_by_sip(self) -> None:
        """A sips contact is called by its sip name when the caller does not insist."""
        self.register("bob", BOB, secure=True)
        flow, invite = self.one(self.invite("sip:bob@example.com"), Request)
        assert isinstance(invite, Request)
        self.assertEqual((flow, invite.uri), (BOB, "sip:bob@203.0.113.20:40002"))
        self.assertEqual(self.places(invite), [f"sip:{HRAS}:5062;transport=tls;lr"] * 2)


class Elsewhere(Case):
    """Servers of other domains, found by DNS."""

    def setUp(self) -> None:
        super().setUp()
        self.register("alice", ALICE, secure=True)

    def found(self, uri: str, wanted: Wanted) -> Request:
        """Alice's INVITE as it goes to the server that was found."""
        (look_up,) = [each for each in self.invite(uri) if isinstance(each, Resolve)]
        self.assertEqual(look_up.place, wanted)
        place = Destination(TLS, SERVER.remote.host, SERVER.remote.port)
        flow, invite = self.one(self.world.core.resolved(look_up.key, (place,), self.world.now), Request)
        assert isinstance(invite, Request)
        self.assertEqual(flow, SERVER)
        return invite

    def test_domain_is_what_counts(self) -> None:
        """Whatever leads to the server, the flow says the domain that it must speak for."""
        self.found("sips:joe@elsewhere.org", Wanted("elsewhere.org", secure=True))
        self.found("sip:joe@Elsewhere.org;transport=tls", Wanted("Elsewhere.org", transport=TLS))
        self.found(
            "sip:joe@elsewhere.org;maddr=198.51.100.7;transport=tls", Wanted("198.51.100.7", transport=TLS)
        )

    def test_later_requests(self) -> None:
        """The token in the Record-Route keeps the domain: a new connection is checked like the first."""
        invite = self.found("sips:joe@elsewhere.org", Wanted("elsewhere.org", secure=True))
        answer = secured(reply(invite, 200, SERVER, "joe", sdp(SERVER, 6000)))
        _flow, heard = self.one(self.world.say(SERVER, answer), Response)
        routes = list(reversed(heard.headers.all("Record-Route")))
        self.assertEqual(self.hang_up(ALICE, "alice", heard, routes), SERVER)

    def test_not_by_other_means(self) -> None:
        """Were a server found that has no TLS, a sips call would still not go there."""
        (look_up,) = [each for each in self.invite("sips:joe@elsewhere.org") if isinstance(each, Resolve)]
        place = Destination(Transport.TCP, SERVER.remote.host, 5060)
        _flow, refusal = self.one(self.world.core.resolved(look_up.key, (place,), self.world.now), Response)
        assert isinstance(refusal, Response)
        self.assertEqual(refusal.status, 480)
