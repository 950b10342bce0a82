"""Where URIs lead: RFC 3263 §4 and RFC 2782 as tables of zones, questions and destinations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import Transport
from sofw.sip.locate import (
    MAX_DESTINATIONS,
    MAX_RECORDS,
    MAX_SERVERS,
    MAX_SERVICES,
    Ask,
    Found,
    Kind,
    Locate,
    Naptr,
    Question,
    Record,
    Srv,
    Wanted,
    in_order,
    wanted,
)
from sofw.sip.message import SipError
from sofw.sip.uri import parse_uri

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
Zone = dict[str, Sequence[Record]]

#: The records of the example in RFC 3263 §4.1 and §4.2.
EXAMPLE: Zone = {
    "NAPTR example.com": [
        Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
        Naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.com"),
        Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
    ],
    "SRV _sip._tcp.example.com": [
        Srv(0, 1, 5060, "server1.example.com"),
        Srv(0, 2, 5060, "server2.example.com"),
    ],
    "SRV _sip._udp.example.com": [Srv(0, 0, 5070, "server3.example.com")],
    "SRV _sips._tcp.example.com": [Srv(0, 0, 5061, "server4.example.com")],
    "A server1.example.com": ["192.0.2.1"],
    "A server2.example.com": ["192.0.2.2"],
    "A server3.example.com": ["192.0.2.3"],
    "A server4.example.com": ["192.0.2.4"],
    "A example.com": ["192.0.2.9"],
}


def search(
    place: Wanted,
    zone: Zone,
    supported: Sequence[Transport] = (UDP, TCP),
    families: Sequence[Kind] = (Kind.A,),
    backwards: bool = False,
) -> tuple[list[list[str]], list[str]]:
    """The questions, turn by turn, and the destinations; chance always takes the lowest number."""
    locate = Locate(place, supported, families, lambda _most: 0)
    step: Ask | Found = locate.start()
    turns = []
    while isinstance(step, Ask):
        assert step.questions, "asks nothing and is not done"
        turns.append([f"{each.kind.value} {each.name}" for each in step.questions])
        for question in step.questions[:: -1 if backwards else 1]:
            assert step == Ask() or question in step.questions
            step = locate.answered(question, zone.get(f"{question.kind.value} {question.name}", ()))
    return turns, [f"{each.transport.value} {each.host} {each.port}" for each in step.destinations]


class WantedTests(SynchronousTestCase):
    """What a URI says itself."""

    def test_cases(self) -> None:
        """Host, port, transport and security, maddr in place of the host."""
        cases = [
            ("sip:a@example.com", Wanted("example.com")),
            ("sip:a@example.com:5070", Wanted("example.com", 5070)),
            ("sip:a@example.com;transport=TCP", Wanted("example.com", None, TCP)),
            ("sip:example.com;maddr=192.0.2.7", Wanted("192.0.2.7")),
            ("sip:[2001:db8::1]:5070", Wanted("2001:db8::1", 5070)),
            ("sips:a@example.com", Wanted("example.com", None, None, True)),
            ("sips:a@example.com;transport=tcp", Wanted("example.com", None, TLS, True)),
        ]
        for text, place in cases:
            with self.subTest(text):
                self.assertEqual(wanted(parse_uri(text)), place)

    def test_refused(self) -> None:
        """Other schemes and transports have no place we know."""
        for text, status in (("tel:+1", 416), ("mailto:a@b.c", 416), ("sip:a.b;transport=sctp", 501)):
            with self.subTest(text):
                error = self.assertRaises(SipError, wanted, parse_uri(text))
                self.assertEqual(error.status, status)


class Searches(SynchronousTestCase):
    """From a place to its destinations."""

    def check(
        self,
        name: str,
        uri: str,
        zone: Zone,
        turns: list[list[str]],
        places: list[str],
        supported: Sequence[Transport] = (UDP, TCP),
    ) -> None:
        """One search, its answers coming in either order."""
        for backwards in (False, True):
            with self.subTest(name, backwards=backwards):
                found = search(wanted(parse_uri(uri)), zone, supported, backwards=backwards)
                self.assertEqual(found, (turns, places))

    def test_nothing_to_ask(self) -> None:
        """A numeric host is its own destination (§4.1: UDP for sip, TLS for sips; §4.2: the port)."""
        cases = [
            ("sip:192.0.2.1", ["UDP 192.0.2.1 5060"]),
            ("sip:192.0.2.1:5080", ["UDP 192.0.2.1 5080"]),
            ("sip:192.0.2.1;transport=tcp", ["TCP 192.0.2.1 5060"]),
            ("sip:192.0.2.1;transport=tls", ["TLS 192.0.2.1 5061"]),
            ("sip:[2001:db8::1]", ["UDP 2001:db8::1 5060"]),
            ("sip:example.com;maddr=192.0.2.1", ["UDP 192.0.2.1 5060"]),
            ("sips:192.0.2.1", ["TLS 192.0.2.1 5061"]),
            ("sips:192.0.2.1:5062;transport=tcp", ["TLS 192.0.2.1 5062"]),
        ]
        for uri, places in cases:
            self.check(uri, uri, {}, [], places, (TCP, UDP, TLS))

    def test_transport_we_do_not_have(self) -> None:
        """Nothing is asked for what we could not send."""
        for uri in ("sips:example.com", "sip:example.com;transport=tls", "sips:192.0.2.1"):
            self.check(uri, uri, EXAMPLE, [], [])

    def test_only_tcp_here(self) -> None:
        """Without UDP of our own, what would go by UDP goes by what we have."""
        self.check("numeric", "sip:192.0.2.1", {}, [], ["TCP 192.0.2.1 5060"], (TCP,))

    def test_port_skips_srv(self) -> None:
        """An explicit port: addresses only (§4.2)."""
        turns = [["A example.com"]]
        for uri, transport in (
            ("sip:example.com:5080", "UDP"),
            ("sip:example.com:5080;transport=tcp", "TCP"),
            ("sips:example.com:5080", "TLS"),
        ):
            self.check(uri, uri, EXAMPLE, turns, [f"{transport} 192.0.2.9 5080"], (UDP, TCP, TLS))

    def test_transport_skips_naptr(self) -> None:
        """An explicit transport: its SRV (§4.1, §4.2)."""
        cases = [
            ("sip:example.com;transport=udp", "_sip._udp.example.com", "UDP 192.0.2.3 5070", "server3"),
            ("sip:example.com;transport=tls", "_sips._tcp.example.com", "TLS 192.0.2.4 5061", "server4"),
            ("sips:example.com;transport=tcp", "_sips._tcp.example.com", "TLS 192.0.2.4 5061", "server4"),
        ]
        for uri, name, place, server in cases:
            turns = [[f"SRV {name}"], [f"A {server}.example.com"]]
            self.check(uri, uri, EXAMPLE, turns, [place], (UDP, TCP, TLS))

    def test_naptr(self) -> None:
        """NAPTR decides among our transports by order; sips allows SIPS only (§4.1)."""
        tls = (["SRV _sips._tcp.example.com"], ["A server4.example.com"], ["TLS 192.0.2.4 5061"])
        tcp = (
            ["SRV _sip._tcp.example.com"],
            ["A server1.example.com", "A server2.example.com"],
            ["TCP 192.0.2.1 5060", "TCP 192.0.2.2 5060"],
        )
        udp = (["SRV _sip._udp.example.com"], ["A server3.example.com"], ["UDP 192.0.2.3 5070"])
        cases = [
            ("sip:example.com", (UDP, TCP, TLS), tls),
            ("sip:example.com", (UDP, TCP), tcp),
            ("sip:example.com", (UDP,), udp),
            ("sips:example.com", (UDP, TCP, TLS), tls),
        ]
        for uri, supported, (services, addresses, places) in cases:
            turns = [["NAPTR example.com"], services, addresses]
            self.check(f"{uri} {supported}", uri, EXAMPLE, turns, places, supported)

    def test_naptr_of_one_order(self) -> None:
        """Within an order by preference; a higher order is not looked at once one matched (RFC 3403 §4.1)."""
        zone: Zone = {
            "NAPTR x.org": [
                Naptr(20, 1, "s", "SIP+D2U", "never.x.org"),
                Naptr(10, 20, "S", "sip+d2u", "udp.x.org"),
                Naptr(10, 10, "s", "SIP+D2T", "tcp.x.org"),
            ],
            "SRV udp.x.org": [Srv(0, 0, 1, "a.x.org")],
            "SRV tcp.x.org": [Srv(9, 0, 2, "a.x.org")],
            "A a.x.org": ["192.0.2.1"],
        }
        turns = [["NAPTR x.org"], ["SRV tcp.x.org", "SRV udp.x.org"], ["A a.x.org"]]
        self.check("order", "sip:x.org", zone, turns, ["TCP 192.0.2.1 2", "UDP 192.0.2.1 1"])

    def test_naptr_of_no_use(self) -> None:
        """Records of other services or flags count as none: SRV for all our transports (§4.1)."""
        zone: Zone = {
            "NAPTR example.com": [
                Naptr(1, 1, "s", "SIP+D2S", "_sip._sctp.example.com"),
                Naptr(1, 1, "u", "E2U+sip", ""),
                Naptr(1, 1, "a", "SIP+D2U", "server1.example.com"),
            ],
            **{key: records for key, records in EXAMPLE.items() if not key.startswith("NAPTR")},
        }
        turns = [
            ["NAPTR example.com"],
            ["SRV _sip._udp.example.com", "SRV _sip._tcp.example.com"],
            ["A server3.example.com", "A server1.example.com", "A server2.example.com"],
        ]
        places = ["UDP 192.0.2.3 5070", "TCP 192.0.2.1 5060", "TCP 192.0.2.2 5060"]
        self.check("no use", "sip:example.com", zone, turns, places)

    def test_no_srv(self) -> None:
        """Neither NAPTR nor SRV: the host's addresses, default transport and port (§4.2)."""
        zone: Zone = {"A x.org": ["192.0.2.1", "192.0.2.2", "192.0.2.1"]}
        turns = [["NAPTR x.org"], ["SRV _sip._tcp.x.org", "SRV _sip._udp.x.org"], ["A x.org"]]
        places = ["UDP 192.0.2.1 5060", "UDP 192.0.2.2 5060"]
        self.check("sip", "sip:x.org", zone, turns, places, (TCP, UDP))
        turns = [["NAPTR x.org"], ["SRV _sips._tcp.x.org"], ["A x.org"]]
        places = ["TLS 192.0.2.1 5061", "TLS 192.0.2.2 5061"]
        self.check("sips", "sips:x.org", zone, turns, places, (UDP, TCP, TLS))

    def test_service_that_is_refused(self) -> None:
        """The target "." means: not here, and do not try the host either (RFC 2782)."""
        zone: Zone = {"SRV _sip._tcp.x.org": [Srv(0, 0, 0, ".")], "A x.org": ["192.0.2.1"]}
        self.check("refused", "sip:x.org;transport=tcp", zone, [["SRV _sip._tcp.x.org"]], [])

    def test_nothing_known(self) -> None:
        """A name the DNS has never heard of leads nowhere."""
        turns = [["NAPTR x.org"], ["SRV _sip._udp.x.org", "SRV _sip._tcp.x.org"], ["A x.org"]]
        self.check("nothing", "sip:x.org", {}, turns, [])

    def test_families(self) -> None:
        """Of each server the better family first; a family the leg cannot reach is not asked for."""
        zone: Zone = {"A x.org": ["192.0.2.1"], "AAAA x.org": ["2001:db8::1"]}
        place = Wanted("x.org", 5060)
        both = (["AAAA x.org", "A x.org"], ["UDP 2001:db8::1 5060", "UDP 192.0.2.1 5060"])
        for families, (turn, places) in (
            ((Kind.AAAA, Kind.A), both),
            ((Kind.A,), (["A x.org"], ["UDP 192.0.2.1 5060"])),
            ((Kind.AAAA,), (["AAAA x.org"], ["UDP 2001:db8::1 5060"])),
        ):
            self.assertEqual(search(place, zone, families=families), ([turn], places))

    def test_bounds(self) -> None:
        """However much the DNS answers, little is asked and tried."""
        servers = [Srv(0, 0, 5060, f"s{number}.x.org") for number in range(MAX_RECORDS + 1)]
        zone: Zone = {
            "NAPTR x.org": [Naptr(1, n, "s", "SIP+D2U", f"srv{n}.x.org") for n in range(MAX_RECORDS + 1)],
            **{f"SRV srv{n}.x.org": servers for n in range(MAX_SERVICES)},
            **{f"A s{n}.x.org": [f"192.0.2.{n}", f"198.51.100.{n}"] for n in range(MAX_RECORDS)},
        }
        turns, places = search(Wanted("x.org"), zone)
        counts = [len(turn) for turn in turns]
        self.assertEqual((counts, len(places)), ([1, MAX_SERVICES, MAX_SERVERS], MAX_DESTINATIONS))

    def test_answers_nobody_asked_for(self) -> None:
        """A foreign or repeated answer changes nothing."""
        locate = Locate(Wanted("x.org", 5060), (UDP,), (Kind.A, Kind.AAAA), lambda _most: 0)
        locate.start()
        self.assertEqual(locate.answered(Question(Kind.A, "y.org"), ["192.0.2.9"]), Ask())
        self.assertEqual(locate.answered(Question(Kind.A, "x.org"), ["192.0.2.1"]), Ask())
        self.assertEqual(locate.answered(Question(Kind.A, "x.org"), ["192.0.2.9"]), Ask())
        found = locate.answered(Question(Kind.AAAA, "x.org"), [])
        assert isinstance(found, Found)
        self.assertEqual([each.host for each in found.destinations], ["192.0.2.1"])


srvs = st.builds(Srv, st.integers(0, 3), st.integers(0, 65535), st.just(5060), st.sampled_from("abcdef"))


class Order(SynchronousTestCase):
    """SRV records in the order to try them (RFC 2782)."""

    @settings(deadline=None)
    @given(st.lists(srvs, max_size=12), st.randoms(use_true_random=False))
    def test_every_record_once_by_priority(self, records: list[Srv], random: object) -> None:
        """Nothing is lost, nothing doubled, priorities are never mixed, chance asked only within bounds."""
        ordered = in_order(records, lambda most: random.randint(0, most))  # type: ignore[attr-defined]
        self.assertEqual(Counter(ordered), Counter(records))
        self.assertEqual([r.priority for r in ordered], sorted(r.priority for r in records))

    def test_chance(self) -> None:
        """Each number chance may give, and whom it takes: shares as the weights say, and one for weight 0."""
        records = [Srv(0, 3, 1, "three"), Srv(0, 0, 1, "none"), Srv(0, 1, 1, "one")]
        first = [in_order(records, lambda most, n=n: min(n, most))[0].target for n in range(5)]  # type: ignore[misc]
        self.assertEqual(first, ["none", "one", "three", "three", "three"])

    def test_all_weights_zero(self) -> None:
        """Without weights the order is that of the answer."""
        records = [Srv(0, 0, 1, name) for name in "cab"]
        self.assertEqual([r.target for r in in_order(records, lambda most: most)], ["c", "a", "b"])
