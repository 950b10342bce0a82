"""Where a URI leads (RFC 3263 §4): what to ask the DNS, and the destinations in the order to try them.

in:  a wanted place, then the records of each question
out: Ask (further questions, all at once), at last Found

NAPTR names services and transports, SRV names servers, A and AAAA their addresses; what the URI says
itself is not asked for: a numeric host, a port, a transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import accumulate, groupby

from attrs import define, field, frozen

from sofw.address import Transport, is_ip
from sofw.sip.proxy import destination, transport_of
from sofw.sip.uri import Uri

#: Records of one answer that are looked at: more than any domain has, few enough to sort at once.
MAX_RECORDS = 64
#: Services asked for: three transports, and room for a spare.
MAX_SERVICES = 6
#: Servers whose addresses are asked for, and destinations in the end: each may cost the caller seconds.
MAX_SERVERS = 8
MAX_DESTINATIONS = 8


class Kind(Enum):
    """The types of records, by their names in the DNS."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


@frozen
class Question:
    """What to ask the DNS."""

    kind: Kind
    name: str


@frozen
class Naptr:
    """The part of a NAPTR record that SIP uses (RFC 3403 §4.1); it has no use for the regexp."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@frozen
class Srv:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


#: For A and AAAA the record is the address itself.
Record = Naptr | Srv | str


@frozen
class Wanted:
    """The part of a URI that decides where it leads; None for what it leaves open."""

    host: str
    port: int | None = None
    transport: Transport | None = None
    secure: bool = False


@frozen
class Destination:
    """A place to send to: `host` is an IP address."""

    transport: Transport
    host: str
    port: int


@frozen
class Ask:
    """Ask these and tell each answer; none when others are still to come."""

    questions: tuple[Question, ...] = ()


@frozen
class Found:
    """The destinations, best first; none when there is no way."""

    destinations: tuple[Destination, ...] = ()


#: A whole number from 0 to n, both included, each as likely.
Pick = Callable[[int], int]

_SERVICES = {"SIP+D2U": Transport.UDP, "SIP+D2T": Transport.TCP, "SIPS+D2T": Transport.TLS}
_PREFIXES = {Transport.UDP: "_sip._udp.", Transport.TCP: "_sip._tcp.", Transport.TLS: "_sips._tcp."}


def wanted(uri: Uri) -> Wanted:
    """What a URI says about its place, with maddr honoured; raises SipError 416 or 501."""
    transport: Transport | None = transport_of(uri)
    if not uri.param("transport"):
        transport = None
    return Wanted(destination(uri)[0], uri.port or None, transport, uri.scheme == "sips")


def in_order(records: Iterable[Srv], pick: Pick) -> list[Srv]:
    """SRV records as they are to be tried: by priority, and within one by weighted chance (RFC 2782)."""
    ordered = []
    for _priority, group in groupby(sorted(records, key=_rank), lambda record: record.priority):
        left = list(group)
        while left:
            sums = list(accumulate(record.weight for record in left))
            number = pick(sums[-1])
            ordered.append(left.pop(next(i for i, total in enumerate(sums) if total >= number)))
    return ordered


def _rank(record: Srv) -> tuple[int, int]:
    """Within a priority, records of weight 0 stand first, or they would never be chosen (RFC 2782)."""
    return record.priority, record.weight


@frozen
class _Server:
    """A server whose addresses are to be found; `name` may be an SRV's target or the host itself."""

    transport: Transport
    name: str
    port: int


@define(eq=False)
class Locate:
    """One search, from `start` to `Found`.

    `supported` are our transports, the one we like best first; `families` are A or AAAA or both, as the
    leg can reach them, the better one first.
    """

    wanted: Wanted
    supported: Sequence[Transport]
    families: Sequence[Kind]
    pick: Pick
    _answers: dict[Question, Sequence[Record] | None] = field(factory=dict, init=False)
    _services: list[tuple[Transport, str]] = field(factory=list, init=False)
    _servers: list[_Server] = field(factory=list, init=False)

    def start(self) -> Ask | Found:
        """The first questions, or the destination when nothing need be asked."""
        place = self.wanted
        if not self._usable():
            return Found()
        if is_ip(place.host):
            server = self._itself()
            return Found((Destination(server.transport, server.name, server.port),))
        if place.port:
            # §4.2: who names a port has no use for SRV.
            return self._ask_addresses([self._itself()])
        if place.transport:
            return self._ask_servers(self._usual_services())
        return self._ask([Question(Kind.NAPTR, place.host)])

    def answered(self, question: Question, records: Sequence[Record]) -> Ask | Found:
        """The records of a question that was asked; none when there are none, or nobody answered."""
        if self._answers.get(question, ()) is not None:
            return Ask()
        self._answers[question] = records[:MAX_RECORDS]
        if None in self._answers.values():
            return Ask()
        return _AFTER[question.kind](self)

    def _usable(self) -> list[Transport]:
        """The transports that we have and the URI allows, best first (§4.1)."""
        if self.wanted.secure:
            allowed: tuple[Transport, ...] = (Transport.TLS,)
        elif self.wanted.transport:
            allowed = (self.wanted.transport,)
        else:
            allowed = tuple(Transport)
        return [transport for transport in self.supported if transport in allowed]

    def _usual_services(self) -> list[tuple[Transport, str]]:
        return [(each, _PREFIXES[each] + self.wanted.host) for each in self._usable()]

    def _itself(self) -> _Server:
        """The host without any SRV: by UDP if the URI leaves it open and we have it (§4.1)."""
        usable = self._usable()
        transport = Transport.UDP if Transport.UDP in usable else usable[0]
        default = 5061 if transport is Transport.TLS else 5060
        return _Server(transport, self.wanted.host, self.wanted.port or default)

    def _ask(self, questions: Iterable[Question]) -> Ask | Found:
        asked = tuple(dict.fromkeys(questions))
        self._answers.update(dict.fromkeys(asked))
        return Ask(asked) if asked else Found()

    def _ask_servers(self, services: list[tuple[Transport, str]]) -> Ask | Found:
        self._services = services
        return self._ask(Question(Kind.SRV, name) for _transport, name in services)

    def _ask_addresses(self, servers: list[_Server]) -> Ask | Found:
        self._servers = servers[:MAX_SERVERS]
        return self._ask(Question(kind, server.name) for server in self._servers for kind in self.families)

    def _after_naptr(self) -> Ask | Found:
        """The services of the lowest order that has one for us; without any, all we have (§4.1)."""
        usable = self._usable()
        found = [
            record
            for record in self._records(Kind.NAPTR, self.wanted.host)
            if isinstance(record, Naptr)
            and record.flags.upper() == "S"
            and _SERVICES.get(record.service.upper()) in usable
        ]
        if not found:
            return self._ask_servers(self._usual_services())
        lowest = min(record.order for record in found)
        best = [record for record in found if record.order == lowest]
        best.sort(key=lambda record: record.preference)
        return self._ask_servers(
            [(_SERVICES[each.service.upper()], each.replacement) for each in best[:MAX_SERVICES]]
        )

    def _after_srv(self) -> Ask | Found:
        """The servers of all services; without any record, the host itself (§4.2)."""
        servers, records = list[_Server](), 0
        for transport, name in self._services:
            found = [each for each in self._records(Kind.SRV, name) if isinstance(each, Srv)]
            records += len(found)
            # RFC 2782: the target "." says that there is decidedly no such service.
            named = [each for each in found if each.target.strip(".") and each.port]
            servers += [_Server(transport, each.target, each.port) for each in in_order(named, self.pick)]
        if not records:
            servers = [self._itself()]
        return self._ask_addresses(servers)

    def _after_addresses(self) -> Ask | Found:
        places = (
            Destination(server.transport, address, server.port)
            for server in self._servers
            for kind in self.families
            for address in self._records(kind, server.name)
            if isinstance(address, str)
        )
        return Found(tuple(dict.fromkeys(places))[:MAX_DESTINATIONS])

    def _records(self, kind: Kind, name: str) -> Sequence[Record]:
        return self._answers.get(Question(kind, name)) or ()


_AFTER: dict[Kind, Callable[[Locate], Ask | Found]] = {
    Kind.NAPTR: Locate._after_naptr,
    Kind.SRV: Locate._after_srv,
    Kind.A: Locate._after_addresses,
    Kind.AAAA: Locate._after_addresses,
}
