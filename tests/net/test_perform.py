"""Actions in, deeds out: the whole list of what was done, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.errors import LocalError, PortInUse
from sofw.flow.actions import (
    Action,
    Busy,
    ClosePorts,
    Key,
    Note,
    OpenPorts,
    Resolve,
    SaveBindings,
    SendFrame,
    SendSip,
    StartTimer,
    StopTimer,
)
from sofw.flow.carry import control_frame, ports_frame, sip_frame
from sofw.net.dns import Dns
from sofw.net.perform import Performer
from sofw.net.sip_stream import SipStreams
from sofw.net.sip_udp import SipUdp
from sofw.sip.locate import Destination, Kind, Question, Wanted
from sofw.tunnel.frame import Frame

UDP = Flow(OUTSIDE, Transport.UDP, Address("203.0.113.20", 5060), 5060)
TCP = Flow(OUTSIDE, Transport.TCP, Address("203.0.113.20", 5060), 5060)
TLS = Flow(OUTSIDE, Transport.TLS, Address("203.0.113.20", 5061), 5061)
INSIDE = Flow("tokyo", Transport.UDP, Address("192.168.1.10", 5060), 5060)


class Udp(SipUdp):
    """Sends nothing; refuses what it is told to."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events
        self.works = True

    def send(self, remote: Address, data: bytes) -> bool:
        """Recorded."""
        self.events.append(("udp", remote.host, data))
        return self.works


class Streams(SipStreams):
    """Opens nothing; keeps how to tell a failure."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events

    def send(self, remote: Address, data: bytes, failed: Callable[[], None], domain: str = "") -> None:
        """Recorded."""
        self.events.append(("tcp", domain or remote.host, data))
        self.failed = failed


class Recorder:
    """Media, tunnels, store, log and core in one: everything that is done to them, in one list."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.next: list[Action] = []
        self.taken: set[int] = set()

    def open(self, port: int) -> None:
        """As Media."""
        self.events.append(("open", port))
        if port in self.taken:
            raise PortInUse("udp", "0.0.0.0", port, "taken")

    def close(self, port: int) -> None:
        """As Media."""
        self.events.append(("close", port))

    def send(self, leg: str, frame: Frame) -> bool:
        """As Tunnels; what no frame can hold is an error there, and "nobody" has no session."""
        if len(frame.data) > 0xFFFF:
            raise LocalError("too long for a frame")
        self.events.append(("frame", leg, frame))
        return leg != "nobody"

    def set_busy(self, leg: str, busy: bool) -> None:
        """As Tunnels."""
        self.events.append(("busy", leg, busy))

    def timer(self, key: Key, now: float) -> list[Action]:
        """As Core."""
        return self._told("timer", key, now)

    def failed(self, key: Any, now: float) -> list[Action]:
        """As Core."""
        return self._told("failed", key, now)

    def resolved(self, key: Key, destinations: tuple[Destination, ...], now: float) -> list[Action]:
        """As Core."""
        return self._told("resolved", key, destinations, now)

    def _told(self, *event: Any) -> list[Action]:
        self.events.append(event)
        actions, self.next = self.next, []
        return actions

    def __call__(self, event: dict[str, Any]) -> None:
        """As a log observer."""
        values = {name: value for name, value in event.items() if not name.startswith("log_")}
        self.events.append((event["log_level"].name, event["log_format"], values))


class Names(Dns):
    """Finds one address for every name; keeps what was asked."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events

    def ask(self, question: Question, answered: Any) -> None:
        """Recorded."""
        self.events.append(("ask", question.kind.value, question.name))
        found = {Kind.A: ["198.51.100.7"], Kind.AAAA: ["2001:db8::7"]}
        answered(found.get(question.kind, []))

    def stop(self) -> None:
        """Recorded."""
        self.events.append("no more names")


class Performing(SynchronousTestCase):
    """HRAS's performer."""

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.seen = Recorder()
        self.udp, self.tcp = Udp(self.seen.events), Streams(self.seen.events)
        sockets: dict[Transport, SipUdp | SipStreams] = {Transport.UDP: self.udp, Transport.TCP: self.tcp}
        log = Logger("test", observer=self.seen)
        save = self.seen.events.append
        self.performer = Performer(
            self.clock, OUTSIDE, sockets, self.seen, self.seen, self.seen, save, log, Names(self.seen.events)
        )

    def events(self) -> list[Any]:
        """What has been done since the last look."""
        events = list(self.seen.events)
        self.seen.events.clear()
        return events

    def test_each_action(self) -> None:
        """What every kind of action does, on our own leg and on a site's."""
        frame, saved = control_frame("hello"), SaveBindings("alice@example.com", ())
        cases: list[tuple[Action, list[Any]]] = [
            (SendSip(UDP, b"x"), [("udp", "203.0.113.20", b"x")]),
            (SendSip(TCP, b"x"), [("tcp", "203.0.113.20", b"x")]),
            (SendSip(INSIDE, b"x"), [("frame", "tokyo", sip_frame(INSIDE, b"x"))]),
            (SendFrame("tokyo", frame), [("frame", "tokyo", frame)]),
            (OpenPorts(OUTSIDE, (20000, 20002)), [("open", 20000), ("open", 20002)]),
            (OpenPorts("tokyo", (30000, 30002)), [("frame", "tokyo", ports_frame("open", (30000, 30002)))]),
            (ClosePorts(OUTSIDE, (20000,)), [("close", 20000)]),
            (ClosePorts("tokyo", (30000,)), [("frame", "tokyo", ports_frame("close", (30000,)))]),
            (saved, [saved]),
            (
                Busy("tokyo", True),
                [("busy", "tokyo", True), ("frame", "tokyo", control_frame("busy", busy=True))],
            ),
            (Note("call.end", (("why", "BYE"),)), [("info", "call.end why={why}", {"why": "BYE"})]),
            (Resolve(("way", 1), Wanted("x.org", secure=True)), [("resolved", ("way", 1), (), 0.0)]),
            (
                Resolve(("way", 1), Wanted("192.0.2.1")),
                [("resolved", ("way", 1), (Destination(Transport.UDP, "192.0.2.1", 5060),), 0.0)],
            ),
            (
                Resolve(("way", 1), Wanted("x.org", 5070)),
                [
                    ("ask", "A", "x.org"),
                    ("resolved", ("way", 1), (Destination(Transport.UDP, "198.51.100.7", 5070),), 0.0),
                ],
            ),
            (
                Resolve(("way", 1), Wanted("x.org", transport=Transport.TCP), ipv6=True),
                [
                    ("ask", "SRV", "_sip._tcp.x.org"),
                    ("ask", "AAAA", "x.org"),
                    ("resolved", ("way", 1), (Destination(Transport.TCP, "2001:db8::7", 5060),), 0.0),
                ],
            ),
        ]
        for action, events in cases:
            with self.subTest(action):
                self.performer.perform([action])
                self.assertEqual(self.events(), events)

    def test_no_session(self) -> None:
        """SIP for a site without a session has failed at once; the core hears of it."""
        there = Flow("nobody", Transport.UDP, Address("192.168.1.10", 5060), 5060)
        self.performer.perform([SendSip(there, b"x", "key")])
        events = self.events()
        self.assertEqual(events[0], ("frame", "nobody", sip_frame(there, b"x")))
        self.assertEqual(events[1][1], "sip.unreachable flow={flow}")
        self.assertEqual(events[2:], [("failed", "key", 0.0)])

    def test_order(self) -> None:
        """The port opens before the message that names it leaves."""
        self.performer.perform(iter([OpenPorts(OUTSIDE, (20000,)), SendSip(UDP, b"x")]))
        self.assertEqual(self.events(), [("open", 20000), ("udp", "203.0.113.20", b"x")])

    def test_what_follows_waits_its_turn(self) -> None:
        """The core is never entered twice: what a failure leads to comes after the list under way."""
        self.udp.works = False
        self.seen.next = [SendSip(TCP, b"y")]
        self.performer.perform([SendSip(UDP, b"x", "key"), OpenPorts(OUTSIDE, (20000,))])
        self.assertEqual(
            self.events(),
            [
                ("udp", "203.0.113.20", b"x"),
                ("info", "sip.unreachable flow={flow}", {"flow": UDP}),
                ("failed", "key", 0.0),
                ("open", 20000),
                ("tcp", "203.0.113.20", b"y"),
            ],
        )

    def test_every_way_to_fail(self) -> None:
        """No such socket, a socket that cannot, a connection that fails later, too long for a frame."""
        self.udp.works = False
        for flow, data in ((TLS, b"x"), (UDP, b"x"), (TCP, b"x"), (INSIDE, b"x" * 0x10000)):
            with self.subTest(flow):
                self.performer.perform([SendSip(flow, data, "key")])
                if flow is TCP:
                    self.tcp.failed()
                self.assertEqual(self.events()[-1], ("failed", "key", 0.0))

    def test_failure_nobody_waits_for(self) -> None:
        """An answer sent without a transaction has nobody to tell."""
        self.udp.works = False
        self.performer.perform([SendSip(UDP, b"x")])
        self.assertEqual([event[0] for event in self.events()], ["udp", "info"])

    def test_timers(self) -> None:
        """Started, replaced, stopped; each runs out once."""
        self.performer.perform([StartTimer(("a",), 5), StartTimer(("b",), 5), StartTimer(("a",), 7)])
        self.performer.perform([StopTimer(("b",)), StopTimer(("never",))])
        self.clock.pump([1] * 6)
        self.assertEqual(self.events(), [])
        self.seen.next = [StartTimer(("c",), 1)]
        self.clock.pump([1] * 3)
        self.assertEqual(self.events(), [("timer", ("a",), 7.0), ("timer", ("c",), 8.0)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_forgets_the_timers(self) -> None:
        """Nothing runs out after the end, and no name is found."""
        self.performer.perform([StartTimer(("a",), 5)])
        self.performer.stop()
        self.assertEqual(self.events(), ["no more names"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_port_in_use_is_logged_and_the_others_open(self) -> None:
        """One port that is taken stops nothing else."""
        self.seen.taken = {20000}
        self.performer.perform([OpenPorts(OUTSIDE, (20000, 20002))])
        problem = {"problem": "cannot listen on udp 0.0.0.0:20000: taken"}
        self.assertEqual(
            self.events(),
            [("open", 20000), ("error", "media.port_in_use {problem}", problem), ("open", 20002)],
        )

    def test_error_in_the_middle(self) -> None:
        """After an error of ours what was left is done with the next list, and nothing hangs."""
        broken = SendFrame("tokyo", Frame(1, None, 0, b"x" * 0x10000))
        with self.assertRaises(LocalError):
            self.performer.perform([broken, OpenPorts(OUTSIDE, (20000,))])
        self.performer.perform([OpenPorts(OUTSIDE, (20002,))])
        self.assertEqual(self.events(), [("open", 20000), ("open", 20002)])

    def test_half_without_a_core(self) -> None:
        """HRAC obeys and decides nothing: nobody is told, and `busy` is not sent back."""
        sockets: dict[Transport, SipUdp | SipStreams] = {Transport.UDP: self.udp}
        performer = Performer(self.clock, "inside", sockets, self.seen, self.seen)
        self.udp.works = False
        flow = Flow("inside", Transport.UDP, Address("192.168.1.10", 5060), 5060)
        performer.perform([SendSip(flow, b"x", "key"), Busy("tunnel", True), Resolve((), Wanted("x.org"))])
        performer.perform([StartTimer(("a",), 1)])
        self.clock.advance(2)
        self.assertEqual(self.events(), [("udp", "192.168.1.10", b"x"), ("busy", "tunnel", True)])
