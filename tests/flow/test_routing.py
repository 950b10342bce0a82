"""Where requests go: one table per way of finding out."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.routing import Hop, Routing, Target, is_direct
from sofw.sip.locate import Destination, Wanted
from sofw.sip.message import Request, SipError, parse_message
from sofw.sip.proxy import Interface
from sofw.sip.uri import parse_uri
from tests.flow.world import ALICE, BOB, CAROL, DAVE, HRAC, HRAS, World, request

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
SENDER = "alice@example.com"
LEGS = {OUTSIDE: Interface(OUTSIDE, HRAS, 5060), "tokyo": Interface("tokyo", HRAC, 5060)}


def parsed(uri: str, flow: Flow = ALICE, headers: str = "", method: str = "INVITE") -> Request:
    """A request with that Request-URI."""
    message = parse_message(request(method, uri, flow, "alice", "bob@example.com", headers=headers))
    assert isinstance(message, Request)
    return message


def outside(
    host: str,
    port: int | None = None,
    transport: Transport | None = None,
    leg: str = OUTSIDE,
    domain: str = "",
) -> Hop:
    """A hop that has to be found first."""
    return Hop(leg, Wanted(host, port, transport), domain or host)


class Case(SynchronousTestCase):
    """All users are registered, carol outside as well."""

    def setUp(self) -> None:
        self.world = World()
        self.world.register("alice", "bob", "carol", "dave")
        self.second = Flow(OUTSIDE, UDP, Address("203.0.113.21", 5060), 5060)
        data = request(
            "REGISTER", "sip:example.com", self.second, "carol", "carol@example.com", call_id="second"
        )
        self.world.login(self.second, data.replace(b":5060>\r\n", b":5060>;q=0.5\r\n"), "carol")
        self.routing: Routing = self.world.core._routing

    def targets(
        self, uri: str, source: Flow = ALICE, sender: str | None = SENDER, headers: str = ""
    ) -> list[Target]:
        """The targets of an INVITE."""
        given = parsed(uri, source, headers)
        return self.routing.out_of_dialog(given, source, LEGS[source.leg], sender, self.world.now)


class OutOfDialog(Case):
    """What begins something (§16.5)."""

    def test_users(self) -> None:
        """By name, by our address on that leg in place of the domain, to all phones, best q first."""
        bob = [Target("sip:bob@203.0.113.20:5060", BOB)]
        carol = [
            Target("sip:carol@192.168.1.11:5060", CAROL),
            Target("sip:carol@203.0.113.21:5060", self.second, q=0.5),
        ]
        cases = [
            ("sip:bob@example.com", bob),
            ("sip:b%6fb@EXAMPLE.com;transport=tcp", bob),
            (f"sip:bob@{HRAC}", bob),
            ("sip:carol@example.com", carol),
        ]
        for uri, expected in cases:
            with self.subTest(uri):
                self.assertEqual(self.targets(uri), expected)
        self.assertEqual(self.targets(f"sip:bob@{HRAS}", BOB, None), bob)

    def test_secure_contacts(self) -> None:
        """A sips contact is for sips requests and others, which call it sip; sips never goes elsewhere."""
        flow = Flow(OUTSIDE, TLS, Address("203.0.113.30", 40000), 5061)
        data = request("REGISTER", "sip:example.com", flow, "bob", "bob@example.com", call_id="secure")
        self.world.login(flow, data.replace(b"Contact: <sip:", b"Contact: <sips:"), "bob")
        contact = "bob@203.0.113.30:40000"
        self.assertEqual(self.targets("sips:bob@example.com"), [Target(f"sips:{contact}", flow)])
        targets = self.targets("sip:bob@example.com")
        self.assertEqual(targets, [Target("sip:bob@203.0.113.20:5060", BOB), Target(f"sip:{contact}", flow)])

    def test_number(self) -> None:
        """A tel URI is a user of the sender's domain."""
        bindings = self.world.registrar.lookup("bob@example.com", self.world.now)
        self.world.registrar._keep("1234@example.com", bindings)
        (target,) = self.targets("tel:+12-34".replace("+", ""))
        self.assertEqual(target.flow, BOB)

    def test_contacts(self) -> None:
        """A registered contact is reached over its flow, on the sender's own leg first."""
        cases = [
            ("sip:bob@203.0.113.20:5060", ALICE, BOB),
            ("sip:carol@192.168.1.11:5060", ALICE, CAROL),
            ("sip:carol@192.168.1.11:5060", BOB, CAROL),
            ("sip:alice@192.168.1.10:5060", ALICE, ALICE),
            ("sip:dave@192.168.1.10:5060", ALICE, DAVE),
        ]
        for uri, source, flow in cases:
            with self.subTest(uri):
                self.assertEqual(self.targets(uri, source, None), [Target(uri, flow)])

    def test_path(self) -> None:
        """A binding's Path becomes the Route (RFC 3327 §5.2)."""
        data = request(
            "REGISTER", "sip:example.com", BOB, "bob", "bob@example.com", headers="Path: <sip:p.org;lr>\r\n"
        )
        self.world.login(BOB, data, "bob")
        (target,) = self.targets("sip:bob@example.com")
        self.assertEqual(target.routes, ("<sip:p.org;lr>",))

    def test_beyond(self) -> None:
        """Everything else is outside, by Route or Request-URI; private addresses are the site's own."""
        route = "Route: <sip:proxy.org;lr;transport=tcp>\r\n"
        cases = [
            ("sip:joe@elsewhere.org", "", outside("elsewhere.org")),
            ("sip:joe@elsewhere.org:5070;transport=tcp", "", outside("elsewhere.org", 5070, TCP)),
            (
                "sips:joe@elsewhere.org",
                "",
                Hop(OUTSIDE, Wanted("elsewhere.org", secure=True), "elsewhere.org"),
            ),
            ("sip:joe@Elsewhere.org;maddr=198.51.100.7", "", outside("198.51.100.7", domain="elsewhere.org")),
            ("sip:joe@198.51.100.7", "", outside("198.51.100.7")),
            ("sip:joe@192.168.7.7", "", outside("192.168.7.7", leg="tokyo")),
            ("sip:joe@10.0.0.1:5070", "", outside("10.0.0.1", 5070, leg="tokyo")),
            ("sip:joe@[fd00::1]", "", outside("fd00::1", leg="tokyo")),
            ("sip:joe@[2001:db8::1]", "", outside("2001:db8::1")),
            ("sip:joe@elsewhere.org", route, outside("proxy.org", transport=TCP)),
            ("sip:joe@example.com", route, outside("proxy.org", transport=TCP)),
        ]
        for uri, headers, hop in cases:
            with self.subTest(uri):
                self.assertEqual(self.targets(uri, headers=headers), [Target(uri, None, hop)])
        (target,) = self.targets("sip:joe@192.168.7.7", BOB)
        self.assertEqual(target.hop, outside("192.168.7.7"))

    def test_static_routes(self) -> None:
        """A domain with a route of its own is not looked up, whatever else the URI or the Route says."""
        pbx = parse_uri("sip:10.0.0.5:5070;transport=tcp")
        routing = Routing(self.world.registrar, self.world.core._admission, {"partner.org": pbx})
        hop = outside("10.0.0.5", 5070, TCP, domain="partner.org")
        cases = [
            ("sip:joe@partner.org", "", hop),
            ("sip:joe@PARTNER.org:5080;transport=udp", "", hop),
            ("sip:joe@elsewhere.org", "Route: <sip:partner.org;lr>\r\n", hop),
            ("sip:joe@sip.partner.org", "", outside("sip.partner.org")),
            ("sips:joe@partner.org", "", Hop(OUTSIDE, Wanted("10.0.0.5", 5070, TLS, True), "partner.org")),
        ]
        for uri, headers, expected in cases:
            given = parsed(uri, ALICE, headers)
            with self.subTest(uri):
                (target,) = routing.out_of_dialog(given, ALICE, LEGS["tokyo"], SENDER, self.world.now)
                self.assertEqual(target, Target(uri, None, expected))

    def test_refused(self) -> None:
        """Nobody there, nobody registered, not for us, or not reachable by us at all."""
        self.world.registrar.forget("dave@example.com")
        cases = [
            ("sip:nobody@example.com", SENDER, 404),
            ("sip:example.com", SENDER, 404),
            ("sip:dave@example.com", SENDER, 480),
            ("sips:bob@example.com", SENDER, 480),
            ("tel:5678", SENDER, 404),
            ("tel:5678", None, 403),
            ("sip:joe@elsewhere.org", None, 403),
            ("sip:joe@192.168.7.7", None, 403),
            ("urn:service:sos", SENDER, 416),
            ("http://elsewhere.org", SENDER, 416),
            ("sip:joe@elsewhere.org;transport=sctp", SENDER, 501),
            (f"sip:joe@{'x' * 254};maddr=198.51.100.7", SENDER, 400),
        ]
        for uri, sender, status in cases:
            with self.subTest(uri=uri, sender=sender):
                error = self.assertRaises(SipError, self.targets, uri, ALICE, sender)
                self.assertEqual(error.status, status)


class InDialog(Case):
    """What comes with our token."""

    def test_flow_or_far_route(self) -> None:
        """The token's flow; outside, a Route that is left leads on; inside it does not."""
        route = "Route: <sip:proxy.org;lr>\r\n"
        cases = [
            (BOB, "", Target("sip:x", BOB)),
            (BOB, route, Target("sip:x", None, outside("proxy.org"))),
            (ALICE, route, Target("sip:x", ALICE)),
        ]
        for flow, headers, expected in cases:
            self.assertEqual(self.routing.in_dialog(parsed("sip:x", headers=headers), flow), expected)

    def test_hop_becomes_a_flow(self) -> None:
        """From our port on that leg; with TLS it must be the domain that was asked for."""
        interface, remote = Interface(OUTSIDE, HRAS, 5060, 5061), Address("198.51.100.7", 5070)
        for transport, port, domain in ((TCP, 5060, ""), (TLS, 5061, "proxy.org")):
            found = Destination(transport, remote.host, remote.port)
            expected = Flow(OUTSIDE, transport, remote, port, domain)
            self.assertEqual(outside("proxy.org").flow(found, interface), expected)


class Direct(SynchronousTestCase):
    """Two phones of one site (paper 002 §3.5)."""

    def test_table(self) -> None:
        """Same site, and no NAT between either phone and its half."""
        behind_nat = Flow("tokyo", UDP, Address("192.168.1.99", 5060), 5060)
        carol = "sip:carol@192.168.1.11:5060"
        cases = [
            ("both near", ALICE, Target(carol, CAROL), True),
            ("the callee behind a NAT", ALICE, Target(carol, behind_nat), False),
            ("the caller behind a NAT", behind_nat, Target(carol, CAROL), False),
            ("another site", ALICE, Target("sip:dave@192.168.1.10", DAVE), False),
            ("outside", ALICE, Target("sip:bob@203.0.113.20", BOB), False),
            ("both outside", BOB, Target("sip:bob@203.0.113.20", BOB), False),
            ("over TLS", ALICE, Target(carol, evolve(CAROL, transport=TLS)), False),
            ("from TLS", evolve(ALICE, transport=TLS), Target(carol, CAROL), False),
            ("still to be found", ALICE, Target(carol, None, outside("192.168.1.11", leg="tokyo")), False),
        ]
        for name, source, target, expected in cases:
            given = parsed("sip:x", ALICE if source is behind_nat else source)
            with self.subTest(name):
                self.assertEqual(is_direct(given, source, target), expected)
        without = Request("INVITE", "sip:x", parsed("sip:x").headers.remove("Contact"))
        self.assertFalse(is_direct(without, ALICE, Target(carol, CAROL)))
