"""The torture messages of RFC 4475 and, for IPv6, of RFC 5118, given to a whole proxy and registrar."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sofw.address import OUTSIDE, Address, Flow, Transport
from sofw.flow.actions import Action, Resolve
from sofw.flow.admission import Admission
from sofw.sip import proxy
from sofw.sip.locate import Destination
from sofw.sip.message import Headers, Message, Request, Response, SipError, parse_message
from sofw.sip.proxy import Interface
from sofw.sip.registrar import Binding
from sofw.sip.uri import parse_uri
from tests.flow.world import ALICE, HRAC, HRAS, World, reply, request, sdp, sent, summary

DATA = Path(__file__).resolve().parents[1] / "data"
CONTACT = "sip:phone@host.invalid;x=1"
KUMIKO = "<sip:kumiko@example.org>"
OURS6, SOURCE6, PHONE6, PARTNER6 = (f"2001:db8::{part}" for part in ("10", "99", "bb", "cc"))

#: What a proxy and registrar of example.com does with each message of RFC 4475:
#:     phone               forwarded to the phone that is registered under the Request-URI
#:     partner HOST        that host was looked up; forwarded there, the Request-URI as it was
#:     registered CONTACT  … bound as contacts
#:     STATUS reason       refused
#:     dropped             counted, nothing sent
#: Every sender counts as logged in, but for regaut01. Where the RFC leaves a choice between refusing and
#: repairing, what would be passed on unrepaired is refused.
OUTCOMES = {
    # §3.1.1 valid messages
    "wsinv": "partner services.example.com",
    "intmeth": "phone",
    "esc01": "partner example.net",  # an escaped user part does not make it a request for example.com
    "escnull": "registered sip:%00@host5.example.com, sip:%00%00@host5.example.com",
    "esc02": "partner registrar.example.com",  # an escaped method is no REGISTER
    "lwsdisp": "phone",
    "longreq": "phone",
    "dblreq": "registered sip:j.user@host.example.com",
    "semiuri": "phone",
    "transports": "phone",
    "mpart01": "partner 127.0.0.1",
    "unreason": "dropped",  # belongs to nothing; Live shows it within a call
    "noreason": "dropped",
    # §3.1.2 invalid messages
    "badinv01": "400 Malformed Via parameter",
    "clerr": "400 Body is shorter than Content-Length",
    "ncl": "400 Content-Length is not a number",
    "scalar02": "400 CSeq number is greater than 4294967295",
    "scalarlg": "dropped",
    "quotbal": "400 Display name must be quoted and closed",
    "ltgtruri": "400 URI has no scheme",
    "lwsruri": "400 Malformed request line",
    "lwsstart": "400 Malformed request line",
    "trws": "phone",
    "escruri": "400 Request-URI has headers",
    "baddate": "phone",
    "regbadct": "400 URI must be in angle brackets",
    "badaspec": "400 URI has no scheme",
    "baddn": "400 No empty line after the headers",
    "badvers": "505 Only SIP/2.0 is supported",
    "mismatch01": "400 CSeq method differs from request method",
    "mismatch02": "400 CSeq method differs from request method",
    "bigcode": "dropped",
    # §3.2 transaction layer
    "badbranch": "400 Via branch has no transaction identifier",
    # §3.3 application layer
    "insuf": "400 Missing From",
    "unkscm": "416 Cannot route the URI scheme nobodyknowsthisscheme",
    "novelsc": "416 Cannot route the URI scheme soap.beep",
    "unksm2": "400 An address-of-record must be a SIP URI",
    "bext01": "420 Bad Extension",
    "invut": "phone",
    "regaut01": "401 Unauthorized",
    "multi01": "400 More than one From",
    "mcl01": "400 More than one Content-Length",
    "bcast": "dropped",
    "zeromf": "200 OK",  # §16.3 step 3: an OPTIONS may be answered by the one at whom its hops end
    "cparam01": "registered sip:+19725552222@gw1.example.net",
    "cparam02": "registered sip:+19725552222@gw1.example.net;unknownparam",
    "regescrt": "registered sip:user@example.com?Route=%3Csip:sip.example.com%3E",
    "sdp01": "phone",
    # §3.4 backward compatibility
    "inv2543": "phone",
}

#: The same for RFC 5118, the proxy being at 2001:db8::10.
OUTCOMES6 = {
    "ipv6-good": "registered sip:caller@[2001:db8::1]",
    "ipv6-bad": "400 Malformed SIP URI",
    "port-ambiguous": "partner 2001:db8::10:5070",
    "port-unambiguous": "registered sip:caller@[2001:db8::1]",
    "via-received-param-with-delim": "404 No such user here",
    "via-received-param-no-delim": "200 OK",
    "ipv6-in-sdp": "phone",
    "mult-ip-in-header": "partner host.example.net",
    "mult-ip-in-sdp": "phone",
    "ipv4-mapped-ipv6": "phone",
    "ipv6-bug-abnf-3-colons": "partner 2001:db8::192.0.2.1",
}
#: What a proxy changes in a request.
_HOP_BY_HOP = ("Via", "Max-Forwards", "Max-Breadth", "Record-Route", "Route", "Content-Length")


class Trusting(Admission):
    """Takes everyone for who they say they are."""

    def registrant(self, request: Request, interface: Interface, now: float) -> str:
        """The user in To, as if the credentials were right."""
        try:
            return super().registrant(request, interface, now)
        except proxy.Refusal:
            return request.to.uri.aor()

    def sender(self, request: Request, interface: Interface, now: float) -> str | None:
        """The user in From, as if the credentials were right."""
        return request.from_.uri.aor()


class Run:
    """One message and all that came of it, the look-ups answered."""

    def __init__(self, name: str, folder: str, inside: bool = False) -> None:
        self.data = (DATA / folder / f"{name}.dat").read_bytes()
        six = folder == "torture6"
        self.source = outside(SOURCE6 if six else "192.0.2.99")
        self.phone = ALICE if inside else outside(PHONE6 if six else "192.0.2.200")
        self.partner = outside(PARTNER6 if six else "192.0.2.201")
        admission = Admission if name == "regaut01" else Trusting
        self.world = World(host=OURS6 if six else HRAS, admission=admission)
        self.asked: list[str] = []
        self.register_phone()
        self.actions = self.answered(self.world.say(self.source, self.data))

    def register_phone(self) -> None:
        """A phone under the user of the Request-URI, if that is one of ours."""
        try:
            user = parse_uri(self.request.uri).aor().partition("@")[0]
        except SipError:
            return
        if parse_uri(self.request.uri).user and self.request.method != "REGISTER":
            binding = Binding(CONTACT, 1e9, "r", 1, 1.0, self.phone)
            self.world.registrar._keep(f"{user}@example.com", (binding,))

    def answered(self, actions: list[Action]) -> list[Action]:
        """With every place found at the partner."""
        found = (Destination(Transport.UDP, self.partner.remote.host, 5060),)
        for action in list(actions):
            if isinstance(action, Resolve):
                self.asked.append(action.place.host)
                actions += self.world.noted(self.world.core.resolved(action.key, found, self.world.now))
        return actions

    @property
    def request(self) -> Request:
        """The message as it came in."""
        message = parse_message(self.data)
        if not isinstance(message, Request):
            raise SipError("no request")
        return message

    @property
    def sent(self) -> list[tuple[Flow, Message]]:
        """What was sent, but for 100."""
        return [(f, m) for f, m in sent(self.actions) if not (isinstance(m, Response) and m.status == 100)]

    @property
    def outcome(self) -> str:
        """What became of it, in the words of OUTCOMES."""
        if not self.sent:
            return "dropped" if self.world.core.counts else "lost"
        ((flow, message),) = self.sent
        if isinstance(message, Request):
            uri = {self.phone: CONTACT}.get(flow, message.uri)
            where = {self.phone: "phone", self.partner: " ".join(["partner", *self.asked])}[flow]
            return where if message.uri == uri else f"{where} as {message.uri}"
        bound = [binding.contact for _, binding in self.world.registrar.all(self.world.now)]
        if message.status == 200 and bound and CONTACT not in bound:
            return "registered " + ", ".join(bound)
        return f"{message.status} {message.reason}"

    @property
    def forwarded(self) -> Request:
        """The request that went on."""
        ((_, message),) = self.sent
        assert isinstance(message, Request)
        return message


def outside(host: str) -> Flow:
    """A flow of the outside."""
    return Flow(OUTSIDE, Transport.UDP, Address(host, 5060), 5060)


def kept(headers: Headers) -> list[tuple[str, str]]:
    """The headers a proxy leaves alone."""
    return [field for field in headers.fields if field[0] not in _HOP_BY_HOP]


def runs(*outcomes: str) -> list[tuple[str, Run]]:
    """All messages whose outcome begins so."""
    tables = (("torture", OUTCOMES), ("torture6", OUTCOMES6))
    return [
        (name, Run(name, folder))
        for folder, table in tables
        for name, outcome in table.items()
        if outcome.startswith(outcomes)
    ]


class Outcomes(SynchronousTestCase):
    """What becomes of each."""

    maxDiff = None

    def test_none_left_out(self) -> None:
        """Every file is in its table, every name of a table is a file."""
        for folder, table, count in (("torture", OUTCOMES, 49), ("torture6", OUTCOMES6, 11)):
            self.assertEqual(sorted(path.stem for path in (DATA / folder).iterdir()), sorted(table))
            self.assertEqual(len(table), count)

    def test_rfc_4475(self) -> None:
        """Each is forwarded, registered, refused or dropped as the table says."""
        self.assertEqual({name: Run(name, "torture").outcome for name in OUTCOMES}, OUTCOMES)

    def test_rfc_5118(self) -> None:
        """The same for IPv6."""
        self.assertEqual({name: Run(name, "torture6").outcome for name in OUTCOMES6}, OUTCOMES6)


class Forwarded(SynchronousTestCase):
    """What a proxy must leave as it is, and what it must change (RFC 3261 §16.6)."""

    def test_transparent(self) -> None:
        """Method, body and all headers but those of a hop go on as they came, between two outside."""
        for name, run in runs("phone", "partner"):
            came, went = run.request, run.forwarded
            with self.subTest(name):
                self.assertEqual(kept(went.headers), kept(came.headers))
                self.assertEqual((went.method, went.body), (came.method, came.body))

    def test_hops(self) -> None:
        """Our Via on top of theirs, where the request came from in their first; a hop less to go."""
        for name, run in runs("phone", "partner"):
            came, went = run.request, run.forwarded
            hops = 71 if came.max_forwards is None else came.max_forwards
            with self.subTest(name):
                self.assertEqual(went.max_forwards, hops - 1)
                self.assertEqual(went.via.host, run.world.core._interfaces[OUTSIDE].host)
                self.assertEqual(went.headers.all("Via")[2:], came.headers.all("Via")[1:])
                self.assertEqual(went.vias[1].received, run.source.remote.host)
                old = [p for p in came.via.params if p[0] not in ("received", "rport")]
                self.assertEqual([p for p in went.vias[1].params if p[0] not in ("received", "rport")], old)

    def test_recorded(self) -> None:
        """Only what begins a dialog takes our route (§16.6 step 4)."""
        recorded = {name for name, run in runs("phone", "partner") if run.forwarded.record_routes}
        asked = {name: run.request for name, run in runs("phone", "partner")}
        invites = {name for name, came in asked.items() if came.method == "INVITE" and not came.to.tag}
        self.assertEqual(recorded, invites)

    def test_routes(self) -> None:
        """wsinv's loose route stays; mpart01's strict router becomes the Request-URI (§16.6 step 6)."""
        loose = Run("wsinv", "torture").forwarded
        self.assertEqual([route.uri.host for route in loose.routes], ["services.example.com"])
        strict = Run("mpart01", "torture").forwarded
        self.assertEqual((strict.uri, strict.headers.all("Route")), ("sip:127.0.0.1:5080", (KUMIKO,)))

    def test_one_message_in_a_datagram(self) -> None:
        """What follows dblreq's REGISTER is not taken for another request (§18.3)."""
        self.assertEqual(len(Run("dblreq", "torture").sent), 1)


class Answered(SynchronousTestCase):
    """How what is refused is refused (RFC 3261 §8.2.6)."""

    def test_as_they_came(self) -> None:
        """Call-ID, CSeq, From and Vias of the request, a To tag; to the host it came from."""
        for name, run in runs("2", "4", "5"):
            ((flow, answer),) = run.sent
            with self.subTest(name):
                self.assertEqual(flow.remote.host, run.source.remote.host)
                self.assertTrue(isinstance(answer, Response) and answer.headers.get("Via"))
                for field in ("Call-ID", "CSeq", "From"):
                    line = next((v for n, v in kept(answer.headers) if n == field), None)
                    self.assertTrue(name in ("insuf",) or line is not None, field)
                self.assertTrue(name == "insuf" or ";tag=" in (answer.headers.get("To") or ""))

    def test_at_the_port_of_the_via(self) -> None:
        """quotbal's Via says 5050 and asks for no rport (§18.2.2); unreadable ones leave the source's."""
        ports = {name: Run(name, "torture").sent[0][0].remote.port for name in ("quotbal", "badinv01")}
        self.assertEqual(ports, {"quotbal": 5050, "badinv01": 5060})

    def test_what_is_not_supported(self) -> None:
        """420 names what the proxy was required to know, not what the callee is (§16.3 step 5)."""
        answer = Run("bext01", "torture").sent[0][1]
        self.assertEqual(
            answer.headers.get("Unsupported"), "noProxiesSupportThis, norDoAnyProxiesSupportThis"
        )


class Inside(SynchronousTestCase):
    """The calls among them, to a phone behind the wall: their SDP is carried across, or refused."""

    def test_media(self) -> None:
        """Each stream is to come to our half inside, IPv4 and IPv6 alike; nothing else of it changes."""
        names = {name for name, run in runs("phone") if run.request.content_type == "application/sdp"}
        self.assertEqual(len(names), 7)
        for name in names:
            run = Run(name, "torture6" if name in OUTCOMES6 else "torture", inside=True)
            with self.subTest(name):
                came, went = (message.body.decode().splitlines() for message in (run.request, run.forwarded))
                ports = [line.split()[1] for line in went if line.startswith("m=")]
                self.assertEqual({line for line in went if line[:2] == "c="}, {f"c=IN IP4 {HRAC}"})
                self.assertEqual(ports, [str(30000 + 2 * number) for number in range(len(ports))])
                self.assertEqual(
                    [line for line in went if line[0] not in "ocm"],
                    [line for line in came if line[0] not in "ocm"],
                )

    def test_unknown_body(self) -> None:
        """A body that is no SDP passes unchanged (invut)."""
        run = Run("invut", "torture", inside=True)
        self.assertEqual((run.outcome, run.forwarded.body), ("phone", run.request.body))


class Live(SynchronousTestCase):
    """The responses among them, on a request that is under way."""

    def waiting(self, name: str) -> tuple[World, Request, bytes]:
        """A world in which exactly the request was sent that the response is for."""
        data = (DATA / "torture" / f"{name}.dat").read_bytes()
        branch = parse_message(data).via.branch
        self.patch(proxy, "new_branch", lambda *_: branch)
        world = World(admission=Trusting)
        world.registrar._keep("user@example.com", (Binding(CONTACT, 1e9, "r", 1, 1.0, outside("192.0.2.2")),))
        caller = outside("192.0.2.99")
        body = sdp(caller)
        asked = request("INVITE", "sip:user@example.com", caller, "user", cseq=35, body=body)
        return world, sent(world.say(caller, asked))[-1][1], data

    def test_reason_phrases(self) -> None:
        """Any reason phrase passes unchanged, and an empty one is no fault; 100 stops here."""
        world, _, data = self.waiting("unreason")
        ((flow, answer),) = sent(world.say(outside("192.0.2.2"), data))
        came = parse_message(data)
        self.assertEqual((answer.status, answer.reason), (200, came.reason))
        self.assertEqual(flow, outside("192.0.2.99"))
        world, _, data = self.waiting("noreason")
        self.assertEqual(summary(world.say(outside("192.0.2.2"), data)), [])

    def test_broadcast(self) -> None:
        """bcast's second Via leads nowhere: the answer goes where the request came from."""
        world, _, data = self.waiting("bcast")
        ((flow, answer),) = sent(world.say(outside("192.0.2.2"), data))
        self.assertEqual(flow, outside("192.0.2.99"))
        self.assertEqual([via.host for via in answer.vias], ["192.0.2.99"])

    def test_numbers_too_large(self) -> None:
        """scalarlg and bigcode are dropped, and the request goes on waiting for an answer."""
        for name in ("scalarlg", "bigcode"):
            data = (DATA / "torture" / f"{name}.dat").read_bytes()
            self.patch(proxy, "new_branch", lambda *_: "z9hG4bK2398ndaoe")
            world, asked, _ = self.waiting("unreason")
            self.assertEqual(world.say(outside("192.0.2.2"), data), [])
            answer = reply(asked, 486, outside("192.0.2.2"), "user")
            self.assertIn("486 -> outside 192.0.2.99:5060", summary(world.say(outside("192.0.2.2"), answer)))


class Bound(SynchronousTestCase):
    """What is registered is used as a Request-URI may be used."""

    def test_contact_with_headers(self) -> None:
        """regescrt's contact keeps its headers, a request for it does not get them (§16.6 step 2)."""
        run = Run("regescrt", "torture")
        caller = outside("192.0.2.50")
        actions = run.world.say(caller, request("OPTIONS", "sip:user@example.com", caller, "joe"))
        self.assertEqual([message.uri for _, message in sent(actions)], ["sip:user@example.com"])

    def test_second_registration(self) -> None:
        """The same REGISTER once more, in another transaction, is out of order (§10.3 step 7)."""
        run = Run("cparam02", "torture")
        again = run.data.replace(b"z9hG4bKkdjuw", b"z9hG4bKother")
        self.assertEqual(summary(run.world.say(run.source, again)), ["500 -> outside 192.0.2.99:5060"])

    def test_escaped_user(self) -> None:
        """semiuri's user is one user, semicolon and escaped @ included."""
        run = Run("semiuri", "torture")
        self.assertEqual(evolve(run.forwarded, uri="").headers.get("To"), "sip:j_user@example.com")
        self.assertEqual(len(run.world.registrar.lookup("user;par=u@example.net@example.com", 0)), 0)
