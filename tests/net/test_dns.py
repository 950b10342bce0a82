"""Asking the DNS: with a resolver that plays back what it is told, and with a real server on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.interfaces import IResolutionReceiver
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.names import client, dns
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError, DNSServerError
from twisted.names.server import DNSServerFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from sofw.address import Transport
from sofw.net.dns import LONGEST, MAX_KEPT, NEGATIVE, PATIENCE, Dns
from sofw.sip.locate import Destination, Kind, Locate, Naptr, Question, Srv, Wanted

A, AAAA = Kind.A, Kind.AAAA


def header(record: Any, ttl: int = 300, name: str = "x.org") -> dns.RRHeader:
    """A record in an answer."""
    return dns.RRHeader(name, record.TYPE, dns.IN, ttl, record)


class Resolver:
    """As Twisted's: each look-up gives what `answers` holds for it, else a name error."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {}

    def __getattr__(self, method: str) -> Any:
        def look_up(name: str) -> Any:
            asked = f"{method.removeprefix('lookup')} {name}"
            self.asked.append(asked)
            answer = self.answers.get(asked, DNSNameError(dns.Message()))
            if isinstance(answer, Exception):
                return fail(answer)
            return answer if isinstance(answer, Deferred) else succeed((answer, [], []))

        return look_up


class System:
    """As a reactor's nameResolver; keeps who asked what."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.finds: list[Any] = []

    def resolveHostName(
        self, receiver: Any, host: str, portNumber: int = 0, addressTypes: Any = None
    ) -> None:
        """As Twisted's."""
        verifyObject(IResolutionReceiver, receiver)
        self.asked.append((host, addressTypes))
        receiver.resolutionBegan(None)
        for address in self.finds:
            receiver.addressResolved(address)
        receiver.resolutionComplete()


class DnsCase(SynchronousTestCase):
    """A Dns on a clock, its answers in a list."""

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.clock.nameResolver = self.system = System()
        self.resolver = Resolver()
        self.hosts = Path(self.mktemp())
        self.events: list[Any] = []
        self.answers: list[Any] = []
        log = Logger("test", observer=self.events.append)
        self.dns = Dns(self.clock, self.resolver, str(self.hosts), log=log)

    def ask(self, name: str, kind: Kind = A) -> Any:
        """All that is told at once."""
        told: list[Any] = []
        self.dns.ask(Question(kind, name), told.append)
        return [list(records) for records in told]


class Answers(DnsCase):
    """What is told for each kind of record."""

    def test_kinds(self) -> None:
        """Twisted's records as values; records of other types in an answer are left out."""
        alias = header(dns.Record_CNAME("y.org"))
        naptr = dns.Record_NAPTR(10, 20, b"S", b"SIP+D2U", b"", b"_sip._udp.x.org")
        cases: list[tuple[Kind, str, Any, Any]] = [
            (A, "Address", dns.Record_A("192.0.2.1"), "192.0.2.1"),
            (AAAA, "IPV6Address", dns.Record_AAAA("2001:db8::1"), "2001:db8::1"),
            (Kind.SRV, "Service", dns.Record_SRV(1, 2, 3, "s.x.org"), Srv(1, 2, 3, "s.x.org")),
            (
                Kind.NAPTR,
                "NamingAuthorityPointer",
                naptr,
                Naptr(10, 20, "S", "SIP+D2U", "_sip._udp.x.org"),
            ),
        ]
        for kind, method, record, value in cases:
            self.resolver.answers[f"{method} x.org"] = [alias, header(record)]
            with self.subTest(kind):
                self.assertEqual(self.ask("x.org", kind), [[value]])

    def test_no_answer_is_an_answer(self) -> None:
        """No such name, an empty answer, a server's failure: none of them raises."""
        for answer in (DNSNameError(dns.Message()), [], DNSServerError(dns.Message()), OSError()):
            self.setUp()
            self.resolver.answers["Address x.org"] = answer
            with self.subTest(repr(answer)):
                self.assertEqual(self.ask("x.org"), [[]])

    def test_failures_are_logged(self) -> None:
        """A name that does not exist is nobody's fault; a server that fails is told to the operator."""
        self.ask("nobody.org")
        self.resolver.answers["Address x.org"] = DNSServerError(dns.Message())
        self.ask("x.org")
        (event,) = self.events
        self.assertEqual(
            (event["log_format"], event["kind"], event["name"], event["why"]),
            ("dns.failed kind={kind} name={name} why={why}", "A", "x.org", "DNSServerError"),
        )

    def test_what_is_no_name_is_not_asked(self) -> None:
        """Nothing can be found under these, and Twisted would raise for some."""
        for name in ("", "a..b", "a" * 64 + ".org", "x\udcff.org", ".".join(["a" * 60] * 5)):
            with self.subTest(name.encode("ascii", "replace")):
                self.assertEqual(self.ask(name), [[]])
        self.assertEqual((self.resolver.asked, self.system.asked), ([], []))

    def test_bytes_that_are_no_name(self) -> None:
        """A target that no name can be is told, and leads nowhere."""
        self.resolver.answers["Service x.org"] = [header(dns.Record_SRV(0, 0, 1, b"\xff.org"))]
        ((record,),) = self.ask("x.org", Kind.SRV)
        self.assertEqual(self.ask(record.target), [[]])

    def test_hosts_file(self) -> None:
        """/etc/hosts goes before the DNS, for addresses of the family asked for."""
        self.hosts.write_text(
            "192.0.2.7 pbx.x.org pbx # comment\n2001:db8::7 pbx.x.org\n192.0.2.8 other.x.org\n"
        )
        self.assertEqual(self.ask("PBX.x.org"), [["192.0.2.7"]])
        self.assertEqual(self.ask("pbx.x.org", AAAA), [["2001:db8::7"]])
        self.assertEqual(self.ask("pbx"), [["192.0.2.7"]])
        self.assertEqual(self.resolver.asked, [])
        self.ask("other.x.org", AAAA)
        self.ask("pbx.x.org", Kind.SRV)
        self.assertEqual(self.resolver.asked, ["IPV6Address other.x.org", "Service pbx.x.org"])

    def test_local_names(self) -> None:
        """What no public DNS serves is the system's to find, each family by itself and once."""
        one = IPv4Address("TCP", "192.0.2.1", 0)
        self.system.finds = [one, one]
        for name in ("pbx", "pbx.local", "PBX.Local."):
            self.assertEqual(self.ask(name), [["192.0.2.1"]])
        self.ask("pbx", AAAA)
        self.assertEqual(self.system.asked[0], ("pbx", [IPv4Address]))
        self.assertEqual(self.system.asked[-1], ("pbx", [IPv6Address]))
        self.assertEqual((self.resolver.asked, self.clock.getDelayedCalls()), ([], []))
        self.ask("pbx", Kind.SRV)
        self.assertEqual(self.resolver.asked, ["Service pbx"])

    def test_no_system_resolver(self) -> None:
        """A reactor may have none."""
        self.clock.nameResolver = None
        self.assertEqual(self.ask("pbx"), [[]])


class Time(DnsCase):
    """How long answers are waited for, and kept."""

    def times_asked(self, seconds: float) -> int:
        """How often the resolver has been asked when the question comes again after so long."""
        self.clock.advance(seconds)
        self.ask("x.org")
        return len(self.resolver.asked)

    def test_kept_for_the_shortest_time_to_live(self) -> None:
        """Of several records the shortest time counts."""
        records = [header(dns.Record_A("192.0.2.1"), 60), header(dns.Record_A("192.0.2.2"), 20)]
        self.resolver.answers["Address x.org"] = records
        self.assertEqual(self.ask("x.org"), [["192.0.2.1", "192.0.2.2"]])
        self.assertEqual([self.times_asked(19), self.times_asked(1)], [1, 2])
        self.assertEqual(self.ask("x.org"), [["192.0.2.1", "192.0.2.2"]])

    def test_how_long(self) -> None:
        """Nothing with 0, not for ever with more; "there is none" for a short time; failures never."""
        address = dns.Record_A("192.0.2.1")
        cases: list[tuple[str, Any, float]] = [
            ("no time", [header(address, 0)], 0),
            ("too long", [header(address, 2**31 - 1)], LONGEST),
            ("no such name", DNSNameError(dns.Message()), NEGATIVE),
            ("no such record", [], NEGATIVE),
            ("failure", DNSServerError(dns.Message()), 0),
        ]
        for name, answer, kept in cases:
            self.setUp()
            self.resolver.answers["Address x.org"] = answer
            with self.subTest(name):
                self.ask("x.org")
                expected = [1, 2] if kept else [2, 3]
                self.assertEqual([self.times_asked(max(kept - 1, 0)), self.times_asked(1)], expected)

    def test_bounded(self) -> None:
        """The oldest answer makes room."""
        for number in range(MAX_KEPT + 1):
            self.ask(f"n{number}.org")
        self.resolver.asked.clear()
        self.ask("n1.org")
        self.ask(f"n{MAX_KEPT}.org")
        self.ask("n0.org")
        self.assertEqual(self.resolver.asked, ["Address n0.org"])
        self.assertEqual(len(self.dns._kept), MAX_KEPT)

    def test_no_answer_in_time(self) -> None:
        """Given up after a while; what comes later is told to nobody, yet kept."""
        late: Deferred[Any] = Deferred()
        self.resolver.answers["Address x.org"] = late
        told: list[Any] = []
        self.dns.ask(Question(A, "x.org"), told.append)
        self.clock.advance(PATIENCE - 0.1)
        self.assertEqual(told, [])
        self.clock.advance(0.1)
        self.assertEqual(told, [()])
        self.assertEqual(self.events[0]["why"], "no answer in time")
        late.callback(([header(dns.Record_A("192.0.2.1"))], [], []))
        self.assertEqual(told, [()])
        self.assertEqual(self.ask("x.org"), [["192.0.2.1"]])
        self.assertEqual(len(self.resolver.asked), 1)

    def test_stopped(self) -> None:
        """After the end nobody is told anything, and no timer is left."""
        self.resolver.answers["Address x.org"] = late = Deferred()
        told: list[Any] = []
        self.dns.ask(Question(A, "x.org"), told.append)
        self.dns.stop()
        late.callback(([], [], []))
        self.assertEqual((told, self.clock.getDelayedCalls()), ([], []))


class NameServers(SynchronousTestCase):
    """Where the servers come from."""

    def test_resolv_conf(self) -> None:
        """Its servers are used, also after it changed; without any, this machine."""
        path = Path(self.mktemp())
        names = Dns(Clock(), resolv_conf=str(path))
        cases = [
            (None, [("127.0.0.1", 53)]),
            ("nameserver 192.0.2.1\nsearch x.org\nnameserver 2001:db8::1 # x\nnameserver\nnameserver x\n",
             [("192.0.2.1", 53), ("2001:db8::1", 53)]),
            ("", [("127.0.0.1", 53)]),
        ]  # fmt: skip
        for text, servers in cases:
            if text is not None:
                path.write_text(text)
            with self.subTest(text):
                self.assertEqual(names._current().servers, servers)
                self.assertIs(names._current(), names._current())


class Zone(ResolverBase):
    """What a server of ours knows."""

    def __init__(self, records: dict[str, list[Any]]) -> None:
        super().__init__()
        self._records = records

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Any) -> Any:
        host = name.decode().lower()
        if host not in self._records:
            return fail(DNSNameError(dns.Message()))
        found = [header(each, 300, host) for each in self._records[host] if type == each.TYPE]
        return succeed((found, [], []))


class ShortDatagrams(dns.DNSDatagramProtocol):
    """Cuts off what is longer than RFC 1035 §2.3.4 allows."""

    def writeMessage(self, message: dns.Message, address: Any) -> None:
        """As Twisted's."""
        message.maxSize = 512
        super().writeMessage(message, address)


class Loopback(TestCase):
    """The whole way, over real datagrams."""

    def setUp(self) -> None:
        zone = Zone(
            {
                "example.test": [
                    dns.Record_NAPTR(2, 0, b"s", b"SIP+D2U", b"", b"_sip._udp.example.test"),
                    dns.Record_NAPTR(1, 0, b"s", b"SIP+D2T", b"", b"_sip._tcp.example.test"),
                ],
                "_sip._tcp.example.test": [
                    dns.Record_SRV(20, 0, 5060, b"b.example.test"),
                    dns.Record_SRV(10, 0, 5070, b"a.example.test"),
                ],
                "a.example.test": [dns.Record_A("192.0.2.1"), dns.Record_AAAA("2001:db8::1")],
                "b.example.test": [dns.Record_A("192.0.2.2")],
                # More than a datagram holds: asked again over TCP.
                "_sip._udp.big.test": [
                    dns.Record_SRV(10, 0, 5060, f"server-with-a-long-name-{n}.big.test".encode())
                    for n in range(40)
                ],
            }
        )
        factory = DNSServerFactory(clients=[zone])
        factory.noisy = False
        any_reactor: Any = reactor
        self.tcp = any_reactor.listenTCP(0, factory, interface="127.0.0.1")
        port = self.tcp.getHost().port
        self.udp = any_reactor.listenUDP(port, ShortDatagrams(factory), interface="127.0.0.1")
        self.resolver = client.Resolver(servers=[("127.0.0.1", port)], timeout=(1, 1), reactor=reactor)
        self.dns = Dns(reactor, self.resolver, hosts="/nonexistent")

    def tearDown(self) -> Any:
        self.dns.stop()
        return gatherResults([self.udp.stopListening(), self.tcp.stopListening()])

    def locate(self, place: Wanted, *families: Kind) -> Deferred[Any]:
        """The destinations of a place."""
        found: Deferred[Any] = Deferred()
        search = Locate(place, (Transport.UDP, Transport.TCP), families, lambda _most: 0)
        self.dns.locate(search, found.callback)
        return found

    def test_naptr_to_addresses(self) -> Any:
        """NAPTR, SRV, A and AAAA, one after the other."""

        def check(found: Any) -> None:
            self.assertEqual(
                found,
                (
                    Destination(Transport.TCP, "2001:db8::1", 5070),
                    Destination(Transport.TCP, "192.0.2.1", 5070),
                    Destination(Transport.TCP, "192.0.2.2", 5060),
                ),
            )

        return self.locate(Wanted("example.test"), AAAA, A).addCallback(check)

    def test_unknown_domain(self) -> Any:
        """Each question is answered by "no such name"."""
        return self.locate(Wanted("unknown.test"), A).addCallback(self.assertEqual, ())

    def test_long_answer(self) -> Any:
        """An answer that is cut off is asked for again over TCP."""
        told: Deferred[Any] = Deferred()
        self.dns.ask(Question(Kind.SRV, "_sip._udp.big.test"), told.callback)

        def check(records: Any) -> Any:
            self.assertEqual(len(records), 40)
            (connection,) = self.resolver.connections
            closed: Deferred[Any] = Deferred()
            self.patch(self.resolver, "connectionLost", closed.callback)
            connection.transport.loseConnection()
            return closed

        return told.addCallback(check)
