"""The steps of RFC 3261 §16, one table each."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Transport
from sofw.sip import proxy
from sofw.sip.headers import Headers, parse_via
from sofw.sip.message import Request, SipError, response_to
from sofw.sip.proxy import Interface, Refusal
from sofw.sip.uri import Uri, parse_uri

KEY = b"k" * 32
US = Interface(OUTSIDE, "203.0.113.10", 5060)
SECURE = Interface(OUTSIDE, "203.0.113.10", 5060, 5062)


def request(*headers: tuple[str, str], method: str = "INVITE", uri: str = "sip:bob@example.com") -> Request:
    """A request with these headers first, and what every request has."""
    fields = (
        *headers,
        ("Via", "SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bKa;rport"),
        ("From", "<sip:alice@example.com>;tag=a"),
        ("To", "<sip:bob@example.com>"),
        ("Call-ID", "c"),
        ("CSeq", f"1 {method}"),
    )
    return Request(method, uri, Headers(fields))


def is_ours(uri: Uri) -> bool:
    """Whether a Route is ours."""
    return US.is_at(uri)


class Interfaces(SynchronousTestCase):
    """How we show ourselves."""

    def test_via_and_record_route(self) -> None:
        """IPv6 in brackets; the transport in Record-Route unless it is UDP."""
        cases = [
            (
                US,
                Transport.UDP,
                "SIP/2.0/UDP 203.0.113.10:5060;branch=b;rport",
                "<sip:t@203.0.113.10:5060;lr>",
            ),
            (
                Interface("x", "2001:db8::1", 5070),
                Transport.TCP,
                "SIP/2.0/TCP [2001:db8::1]:5070;branch=b;rport",
                "<sip:t@[2001:db8::1]:5070;transport=tcp;lr>",
            ),
        ]
        cases.append(
            (
                SECURE,
                Transport.TLS,
                "SIP/2.0/TLS 203.0.113.10:5062;branch=b;rport",
                "<sip:t@203.0.113.10:5062;transport=tls;lr>",
            )
        )
        for interface, transport, via, record_route in cases:
            self.assertEqual(interface.via(transport, "b"), via)
            self.assertEqual(interface.record_route("t", transport), record_route)

    def test_secure_record_route(self) -> None:
        """sips with the port for TLS, whatever the transport; on a leg without TLS there is no such thing."""
        for transport in Transport:
            self.assertEqual(SECURE.record_route("t", transport, True), "<sips:t@203.0.113.10:5062;lr>")
        self.assertEqual(US.record_route("t", Transport.UDP, True), "<sip:t@203.0.113.10:5060;lr>")

    def test_is_secure(self) -> None:
        """A sips Request-URI or first Route (§16.6 step 4)."""
        cases = [
            ("sip:far.org;transport=tls", (), False),
            ("sips:far.org", (), True),
            ("sips:far.org", ("<sip:next.org;lr>",), True),
            ("sip:far.org", ("<sips:next.org;lr>",), True),
            ("sip:far.org", ("<sip:next.org;lr>", "<sips:then.org;lr>"), False),
        ]
        for uri, routes, expected in cases:
            with self.subTest(uri=uri, routes=routes):
                self.assertEqual(proxy.is_secure(uri, routes), expected)

    def test_is_at(self) -> None:
        """Host without regard to case, port with its default."""
        cases = [
            ("sip:203.0.113.10", True),
            ("sip:x@203.0.113.10:5060;lr", True),
            ("sip:203.0.113.10:5061", False),
            ("sips:203.0.113.10", False),
            ("sip:203.0.113.10;transport=tls", False),
            ("sip:203.0.113.11", False),
            ("tel:123", False),
        ]
        for uri, expected in cases:
            with self.subTest(uri):
                self.assertEqual(US.is_at(parse_uri(uri)), expected)
        self.assertTrue(Interface(OUTSIDE, "Sip.Example.COM", 5060).is_at(parse_uri("sip:sip.example.com")))
        for uri, expected in (
            ("sips:203.0.113.10:5062", True),
            ("sip:203.0.113.10:5062;transport=tls", True),
            ("sip:203.0.113.10", True),
            ("sips:203.0.113.10", False),
        ):
            with self.subTest(uri):
                self.assertEqual(SECURE.is_at(parse_uri(uri)), expected)


class Check(SynchronousTestCase):
    """§16.3."""

    def test_table(self) -> None:
        """What is refused, and with what."""
        mark = proxy.loop_mark(request(), KEY)
        other = proxy.loop_mark(request(), b"o" * 32)
        cases: list[tuple[Request, int | None]] = [
            (request(), None),
            (request(("Max-Forwards", "1")), None),
            (request(("Max-Forwards", "0")), 483),
            (request(("Max-Forwards", "0"), method="OPTIONS"), None),
            (request(("Max-Forwards", "256")), 400),
            (request(("Proxy-Require", "x")), 420),
            (request(("Via", f"SIP/2.0/UDP 203.0.113.10;branch=z9hG4bKu.{mark}")), 482),
            (request(("Via", f"SIP/2.0/UDP 203.0.113.10;branch=z9hG4bKu.{other}")), None),
            (request(uri="sip:bob@example.com?Subject=x"), 400),
            (request(uri="tel:123"), None),
        ]
        for case, status in cases:
            with self.subTest(case.headers.fields[0]):
                if status is None:
                    proxy.check(case, KEY)
                else:
                    self.assertEqual(self.assertRaises(SipError, proxy.check, case, KEY).status, status)

    def test_unsupported_names_what_was_required(self) -> None:
        """§16.3 step 5: every one of them."""
        required = (("Proxy-Require", "teleport"), ("Proxy-Require", "x, y"))
        error = self.assertRaises(Refusal, proxy.check, request(*required), KEY)
        self.assertEqual(error.headers, (("Unsupported", "teleport, x, y"),))

    def test_a_request_that_comes_back(self) -> None:
        """Unchanged it is a loop; to another user, or with other Routes, a spiral."""
        first = request()
        branch = proxy.new_branch("unique", proxy.loop_mark(first, KEY))
        sent = proxy.forwarded(first, "sip:bob@203.0.113.20", US.via(Transport.UDP, branch), hide_vias=True)
        error = self.assertRaises(Refusal, proxy.check, evolve(sent, uri=first.uri), KEY)
        self.assertEqual(error.status, 482)
        proxy.check(sent, KEY)
        proxy.check(evolve(sent, uri=first.uri, headers=sent.headers.prepend("Route", "<sip:x;lr>")), KEY)


class Routes(SynchronousTestCase):
    """§16.4 and §16.6 step 6."""

    def test_without_own_routes(self) -> None:
        """Ours are taken from the top only; what a strict router did is undone."""
        ours, ours2, far = "<sip:t1@203.0.113.10;lr>", "<sip:t2@203.0.113.10;lr>", "<sip:far.org;lr>"
        bob = "sip:bob@example.com"
        strict = "sip:t1@203.0.113.10;lr"
        cases: list[tuple[str, tuple[str, ...], str, tuple[str, ...], list[str]]] = [
            (bob, (), bob, (), []),
            (bob, (ours,), bob, (), ["t1"]),
            (bob, (ours, ours2, far), bob, (far,), ["t1", "t2"]),
            (bob, (far, ours), bob, (far, ours), []),
            (strict, (far, f"<{bob}>"), bob, (far,), ["t1"]),
            (strict, (ours2, f"<{bob}>"), bob, (), ["t1", "t2"]),
            (strict, (f"<{bob}>",), bob, (), ["t1"]),
            (strict, (), strict, (), []),
        ]
        for uri, routes, left_uri, left, taken in cases:
            with self.subTest(uri=uri, routes=routes):
                given = request(*(("Route", route) for route in routes), uri=uri)
                result, uris = proxy.without_own_routes(given, is_ours)
                self.assertEqual((result.uri, result.headers.all("Route")), (left_uri, left))
                self.assertEqual([each.user for each in uris], taken)

    def test_strictly_routed(self) -> None:
        """A next hop without lr gets itself as Request-URI and the real one last."""
        strict = request(("Route", "<sip:old.org>"), ("Route", "<sip:far.org;lr>"))
        result = proxy.strictly_routed(strict)
        self.assertEqual(result.uri, "sip:old.org")
        self.assertEqual(result.headers.all("Route"), ("<sip:far.org;lr>", "<sip:bob@example.com>"))
        for loose in (request(), request(("Route", "<sip:far.org;lr>"))):
            self.assertEqual(proxy.strictly_routed(loose), loose)

    def test_next_hop(self) -> None:
        """The topmost Route, else the Request-URI."""
        self.assertEqual(proxy.next_hop(request()).host, "example.com")
        self.assertEqual(proxy.next_hop(request(("Route", "<sip:far.org;lr>"))).host, "far.org")

    def test_destination_and_transport(self) -> None:
        """Where a hop is and how it is reached."""
        udp, tcp, tls = Transport.UDP, Transport.TCP, Transport.TLS
        cases = [
            ("sip:far.org", ("far.org", 5060), udp),
            ("sip:x@far.org:5070;transport=TCP", ("far.org", 5070), tcp),
            ("sips:far.org", ("far.org", 5061), tls),
            ("sip:far.org;transport=tls", ("far.org", 5061), tls),
            ("sip:[2001:db8::1]:5062", ("2001:db8::1", 5062), udp),
            ("sip:far.org;maddr=192.0.2.9", ("192.0.2.9", 5060), udp),
            ("sip:far.org;maddr=[2001:db8::9]", ("2001:db8::9", 5060), udp),
        ]
        for text, destination, transport in cases:
            with self.subTest(text):
                uri = parse_uri(text)
                self.assertEqual((proxy.destination(uri), proxy.transport_of(uri)), (destination, transport))
        for text, status in (("tel:123", 416), ("sip:x;transport=sctp", 501), ("sip:x;transport=ws", 501)):
            with self.subTest(text):
                error = self.assertRaises(SipError, proxy.transport_of, parse_uri(text))
                self.assertEqual(error.status, status)


class Forwarded(SynchronousTestCase):
    """§16.6, §16.7 step 3, §18.2."""

    def test_headers_of_the_copy(self) -> None:
        """One hop less, our Via on top, Record-Route before those there, Route from the Path."""
        given = request(("Record-Route", "<sip:before;lr>"), ("Max-Forwards", "9"), ("X-Own", "kept"))
        copy = proxy.forwarded(
            given, "sip:bob@203.0.113.20", "VIA", ("<sip:one;lr>", "<sip:two;lr>"), ("<sip:path;lr>",)
        )
        self.assertEqual(copy.uri, "sip:bob@203.0.113.20")
        self.assertEqual(
            copy.headers.fields,
            (
                ("Route", "<sip:path;lr>"),
                ("Record-Route", "<sip:one;lr>"),
                ("Record-Route", "<sip:two;lr>"),
                ("Record-Route", "<sip:before;lr>"),
                ("Max-Forwards", "8"),
                ("X-Own", "kept"),
                ("Via", "VIA"),
                *given.headers.fields[3:],
            ),
        )
        self.assertEqual(proxy.forwarded(request(), "sip:x", "VIA").max_forwards, 70)

    def test_hidden_vias_come_back(self) -> None:
        """The far side sees our Via only; the answer has the caller's again."""
        given = request(("Via", "SIP/2.0/UDP 192.168.1.1;branch=z9hG4bKb"))
        copy = proxy.forwarded(given, given.uri, "SIP/2.0/UDP us;branch=z9hG4bKc", hide_vias=True)
        self.assertEqual(copy.headers.all("Via"), ("SIP/2.0/UDP us;branch=z9hG4bKc",))
        back = proxy.returned(response_to(copy, 200), given)
        self.assertEqual(back.headers.all("Via"), given.headers.all("Via"))

    def test_received(self) -> None:
        """The source is noted where the Via does not say it, and the port where it is asked for."""
        source = Address("192.0.2.1", 4444)
        cases = [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1;rport", "192.0.2.1;received=192.0.2.1;rport=4444"),
            ("10.0.0.1", "10.0.0.1;received=192.0.2.1"),
            ("10.0.0.1;rport;branch=x", "10.0.0.1;branch=x;received=192.0.2.1;rport=4444"),
            ("10.0.0.1;received=6.6.6.6;RPORT=66", "10.0.0.1;received=192.0.2.1;rport=4444"),
        ]
        for sent, noted in cases:
            with self.subTest(sent):
                given = Request(
                    "OPTIONS",
                    "sip:x",
                    Headers((("X", "1"), ("Via", f"SIP/2.0/UDP {sent}"), ("Via", "SIP/2.0/UDP far"))),
                )
                result = proxy.received(given, source)
                expected = (f"SIP/2.0/UDP {noted}", "SIP/2.0/UDP far")
                self.assertEqual(result.headers.all("Via"), expected)
                self.assertEqual(result.headers.fields[0], ("X", "1"))

    def test_reply_address(self) -> None:
        """To the source; at its own port if it asked so, else at the one its Via names (§18.2.2)."""
        source = Address("192.0.2.1", 4444)
        cases = [("10.0.0.1:5070;rport", 4444), ("10.0.0.1:5070", 5070), ("10.0.0.1", 5060)]
        for sent, port in cases:
            via = parse_via(f"SIP/2.0/UDP {sent}")
            self.assertEqual(proxy.reply_address(via, source), Address("192.0.2.1", port))

    def test_breadth_of_the_copy(self) -> None:
        """Its share replaces what came, or is added (RFC 5393 §5.3.3); None leaves it as it is."""
        for came, breadth, expected in (((), 60, ("60",)), (("9",), 3, ("3",)), (("9",), None, ("9",))):
            fields = [("Max-Breadth", value) for value in came]
            copy = proxy.forwarded(request(*fields), "sip:b@c", "SIP/2.0/UDP x", breadth=breadth)
            self.assertEqual(copy.headers.all("Max-Breadth"), expected)

    def test_request_uri(self) -> None:
        """A target's URI loses what a Request-URI must not have (§19.1.1), and is not touched else."""
        cases = [
            ("sip:B%41@C.org;x=1;lr", "sip:B%41@C.org;x=1;lr"),
            ("sip:b@c?Route=%3Csip:d%3E", "sip:b@c"),
            ("sip:b@c;method=BYE;x", "sip:b@c;x"),
            ("tel:+1-2;method=x", "tel:+1-2;method=x"),
        ]
        for text, expected in cases:
            self.assertEqual(proxy.request_uri(text), expected)

    def test_reasons_of_a_cancel(self) -> None:
        """They stand last (RFC 3326 §2)."""
        cancel = proxy.cancel_of(request(), ("SIP;cause=200", "Q.850;cause=16"))
        self.assertEqual(cancel.headers.all("Reason"), ("SIP;cause=200", "Q.850;cause=16"))

    def test_cancel_of(self) -> None:
        """§9.1: the same branch, Route and identity; nothing else of the request."""
        given = evolve(
            request(("Route", "<sip:far;lr>"), ("Contact", "<sip:a@b>"), ("Proxy-Require", "x")), body=b"sdp"
        )
        cancel = proxy.cancel_of(given)
        self.assertEqual((cancel.method, cancel.uri, cancel.body), ("CANCEL", given.uri, b""))
        self.assertEqual(
            cancel.headers.fields,
            (
                ("Via", "SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bKa;rport"),
                ("Route", "<sip:far;lr>"),
                ("Max-Forwards", "70"),
                ("From", "<sip:alice@example.com>;tag=a"),
                ("To", "<sip:bob@example.com>"),
                ("Call-ID", "c"),
                ("CSeq", "1 CANCEL"),
            ),
        )

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(
            st.sampled_from(["<sip:t@203.0.113.10;lr>", "<sip:far.org;lr>", "<sip:old.org>"]), max_size=5
        )
    )
    def test_routing_ends(self, routes: list[str]) -> None:
        """Whatever Routes there are: none of ours is left on top, and the target is never lost."""
        given = request(*(("Route", route) for route in routes))
        result, taken = proxy.without_own_routes(given, is_ours)
        left = result.routes
        self.assertEqual(len(left) + len(taken), len(routes))
        self.assertFalse(left and is_ours(left[0].uri))
        sent = proxy.strictly_routed(result)
        self.assertIn("sip:bob@example.com", (sent.uri, *(str(route.uri) for route in sent.routes)))
