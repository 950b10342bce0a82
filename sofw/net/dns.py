"""Asks the DNS what `sip/locate` wants to know (RFC 3263), and keeps the answers for their time to live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IResolutionReceiver
from twisted.logger import Logger
from twisted.names import client, dns
from twisted.names.error import DNSNameError
from twisted.names.hosts import searchFileForAll
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from zope.interface import implementer

from sofw.address import is_ip
from sofw.sip.locate import Ask, Destination, Found, Kind, Locate, Naptr, Question, Record, Srv

#: Seconds until a question counts as unanswered. A search asks three in a row at most, which leaves the
#: better part of a transaction's 32 seconds for trying what was found.
PATIENCE = 2.0
#: After how many seconds Twisted asks the next server, or the same one again.
_REPEATS = (1, 3)
#: For how many seconds an answer is kept at most, and for how many "there is none".
LONGEST = 86400
NEGATIVE = 30
#: Answers kept; the oldest go first.
MAX_KEPT = 2000
#: The longest name (RFC 1035 §2.3.4).
MAX_NAME = 253

Records = Sequence[Record]
Answered = Callable[[Records], None]
Located = Callable[[tuple[Destination, ...]], None]


@frozen
class _Type:
    """How a kind of record is asked for, and read from Twisted's."""

    code: int
    method: str
    read: Callable[[Any], Record]


def _text(raw: bytes) -> str:
    """What is no ASCII makes a name that cannot be asked for."""
    return raw.decode("ascii", "surrogateescape")


def _naptr(record: Any) -> Naptr:
    texts = (record.flags.string, record.service.string, record.replacement.name)
    return Naptr(record.order, record.preference, *map(_text, texts))


def _srv(record: Any) -> Srv:
    return Srv(record.priority, record.weight, record.port, _text(record.target.name))


def _address(record: Any) -> str:
    return str(ip_address(record.address))


_TYPES = {
    Kind.NAPTR: _Type(dns.NAPTR, "lookupNamingAuthorityPointer", _naptr),
    Kind.SRV: _Type(dns.SRV, "lookupService", _srv),
    Kind.A: _Type(dns.A, "lookupAddress", _address),
    Kind.AAAA: _Type(dns.AAAA, "lookupIPV6Address", _address),
}
_FAMILIES = {Kind.A: IPv4Address, Kind.AAAA: IPv6Address}


class Dns:
    """The names of the world, as this machine sees them: its hosts file, the DNS, or whatever it has."""

    def __init__(
        self,
        reactor: Any,
        resolver: Any = None,
        hosts: str = "/etc/hosts",
        resolv_conf: str = "/etc/resolv.conf",
        log: Logger = Logger("sofw"),  # noqa: B008
    ) -> None:
        """`resolver` is asked instead of the name servers of this machine, when it is given."""
        self._reactor = reactor
        self._resolver = resolver
        self._hosts = FilePath(hosts)
        self._resolv_conf = FilePath(resolv_conf)
        self._log = log
        self._servers: list[tuple[str, int]] = []
        self._own: Any = None
        self._kept: dict[Question, tuple[float, Records]] = {}
        self._waiting: set[Any] = set()

    def locate(self, search: Locate, located: Located) -> None:
        """Run a search to its end and tell the destinations, once; none when there are none."""

        def go_on(step: Ask | Found) -> None:
            if isinstance(step, Found):
                located(step.destinations)
                return
            for question in step.questions:
                self.ask(question, partial(answered, question))

        def answered(question: Question, records: Records) -> None:
            go_on(search.answered(question, records))

        go_on(search.start())

    def ask(self, question: Question, answered: Answered) -> None:
        """Tell `answered` the records of a question, once; none when there are none or nobody knows."""
        known = self._known(question)
        if known is not None:
            answered(known)
        elif question.kind in _FAMILIES and _is_local(question.name):
            self._ask_system(question, self._within_time(question, answered))
        else:
            self._ask_servers(question, self._within_time(question, answered))

    def stop(self) -> None:
        """Wait for no answer any more."""
        for call in self._waiting:
            call.cancel()
        self._waiting.clear()

    def _known(self, question: Question) -> Records | None:
        """What can be told without asking, None when it must be asked."""
        if not _is_name(question.name):
            return ()
        expires, records = self._kept.get(question, (0.0, ()))
        if expires > self._reactor.seconds():
            return records
        if question.kind in _FAMILIES:
            return self._from_hosts(question) or None
        return None

    def _from_hosts(self, question: Question) -> list[str]:
        family = 6 if question.kind is Kind.AAAA else 4
        addresses = searchFileForAll(self._hosts, question.name.encode("idna"))
        return [each for each in addresses if is_ip(each) and ip_address(each).version == family]

    def _within_time(self, question: Question, answered: Answered) -> Answered:
        """The one to tell, who hears that there is nothing when it takes too long."""

        def give_up() -> None:
            self._waiting.discard(call)
            self._note("dns.failed", question, "no answer in time")
            answered(())

        def in_time(records: Records) -> None:
            if call in self._waiting:
                self._waiting.discard(call)
                call.cancel()
                answered(records)

        call = self._reactor.callLater(PATIENCE, give_up)
        self._waiting.add(call)
        return in_time

    def _ask_system(self, question: Question, answered: Answered) -> None:
        """Names that no public DNS serves: what the system resolver makes of them."""
        if self._reactor.nameResolver is None:
            answered(())
            return
        receiver = _Receiver(answered)
        self._reactor.nameResolver.resolveHostName(
            receiver, question.name, addressTypes=[_FAMILIES[question.kind]]
        )

    def _ask_servers(self, question: Question, answered: Answered) -> None:
        """Ask; an answer that comes too late for `answered` is still kept for the next one."""
        kind = _TYPES[question.kind]

        def came(result: tuple[list[Any], list[Any], list[Any]]) -> Records:
            answers = [each for each in result[0] if each.type == kind.code]
            records = [kind.read(each.payload) for each in answers]
            self._keep(question, records, min((each.ttl for each in answers), default=NEGATIVE))
            return records

        lookup = maybeDeferred(lambda: getattr(self._current(), kind.method)(question.name))
        lookup.addCallback(came).addErrback(self._failed, question).addCallback(answered)

    def _failed(self, reason: Failure, question: Question) -> Records:
        """There is no such name, which is an answer, or there is none."""
        if reason.check(DNSNameError):
            self._keep(question, (), NEGATIVE)
        else:
            self._note("dns.failed", question, type(reason.value).__name__)
        return ()

    def _note(self, event: str, question: Question, why: str) -> None:
        kind, name = question.kind.value, question.name
        self._log.info(f"{event} kind={{kind}} name={{name}} why={{why}}", kind=kind, name=name, why=why)

    def _current(self) -> Any:
        """A resolver for the name servers of this machine, which may change while we run."""
        if self._resolver is not None:
            return self._resolver
        servers = list(_name_servers(self._resolv_conf)) or [("127.0.0.1", dns.PORT)]
        if servers != self._servers:
            self._servers = servers
            self._own = client.Resolver(servers=servers, timeout=_REPEATS, reactor=self._reactor)
        return self._own

    def _keep(self, question: Question, records: Records, seconds: float) -> None:
        self._kept.pop(question, None)
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[question] = (self._reactor.seconds() + min(seconds, LONGEST), records)


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects the addresses of one look-up of the system resolver."""

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._hosts: list[str] = []

    def resolutionBegan(self, resolutionInProgress: object) -> None:
        """Twisted: the look-up began."""

    def addressResolved(self, address: Any) -> None:
        """Twisted: one address."""
        self._hosts.append(address.host)

    def resolutionComplete(self) -> None:
        """Twisted: that was all."""
        self._answered(list(dict.fromkeys(self._hosts)))


def _name_servers(resolv_conf: FilePath[str]) -> Iterator[tuple[str, int]]:
    """The name servers in a resolv.conf(5); none when it cannot be read."""
    try:
        lines = resolv_conf.getContent().decode("utf-8", "replace").splitlines()
    except OSError:
        return
    for words in map(str.split, lines):
        if len(words) > 1 and words[0] == "nameserver" and is_ip(words[1]):
            yield words[1], dns.PORT


def _is_local(name: str) -> bool:
    """Whether a name belongs to this network (RFC 6762 §3) or needs a search list."""
    return "." not in name.rstrip(".") or name.rstrip(".").lower().endswith(".local")


def _is_name(host: str) -> bool:
    """Whether this can be a host name; Twisted never answers for one that Python cannot encode."""
    try:
        return 0 < len(host.encode("idna")) <= MAX_NAME
    except UnicodeError:
        return False
