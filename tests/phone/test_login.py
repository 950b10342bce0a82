"""The phone registers and calls where it must say who it is."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks

from sofw.address import Address, Transport
from sofw.phone.line import Line
from sofw.phone.phone import Phone
from sofw.sip.digest import Challenger, Outcome, ha1
from sofw.sip.message import Request, response_to
from sofw.sip.timers import Timers
from tests.phone.test_phone import HOST, PhoneCase

REALM = "example.com"
PASSWORD = "sesame"


class Server:
    """Challenges everything by one algorithm, then refuses calls and accepts the rest; notes what it saw."""

    def __init__(self, algorithm: str, proxy: bool) -> None:
        self.line = Line(reactor, HOST, Transport.UDP, self.take, Timers())
        self.line.listen(0)
        self.seen: list[tuple[str, str, int]] = []
        self._challenger = Challenger(b"key", algorithms=(algorithm,))
        self._status = 407 if proxy else 401
        self._names = (
            ("Proxy-Authenticate", "Proxy-Authorization") if proxy else ("WWW-Authenticate", "Authorization")
        )

    def take(self, request: Request, key: object) -> None:
        """A request came in."""
        if key is None:
            return
        outcome = self._judge(request)
        self.seen.append((request.method, outcome.value, request.cseq.number))
        if outcome is Outcome.OK:
            self.line.answer(key, response_to(request, 486 if request.method == "INVITE" else 200))
            return
        challenges = self._challenger.challenge(REALM, 0.0)
        headers = tuple((self._names[0], value) for value in challenges)
        self.line.answer(key, response_to(request, self._status, headers=headers))

    def _judge(self, request: Request) -> Outcome:
        credentials = request.headers.get(self._names[1])
        if credentials is None:
            return Outcome.ABSENT
        verdict = self._challenger.check(credentials, request.method, request.body, _secret, 0.0, REALM)
        return verdict.outcome


def _secret(user: str, realm: str, algorithm: str) -> str | None:
    return ha1("alice", realm, PASSWORD, algorithm) if user == "alice" else None


class LoginTests(PhoneCase):
    """REGISTER, INVITE and MESSAGE with digest authentication."""

    def server(self, algorithm: str = "MD5", proxy: bool = False) -> Server:
        """A server that is put away after the test."""
        server = Server(algorithm, proxy)
        self.addCleanup(server.line.stop)
        return server

    def alice(self, server: Server, password: str = PASSWORD) -> Phone:
        """A phone that has this server for a registrar."""
        registrar = Address(HOST, server.line.port)
        return self.phone("alice", registrar=registrar, domain=REALM, password=password)

    @inlineCallbacks
    def test_register(self):
        """A challenge is answered with a higher CSeq, by either algorithm."""
        for algorithm in ("MD5", "SHA-256"):
            server = self.server(algorithm)
            phone = self.alice(server)
            response = yield phone.register()
            self.assertEqual(response.status, 200)
            self.assertEqual(server.seen, [("REGISTER", "absent", 1), ("REGISTER", "ok", 2)])
            self.assertEqual(phone.events, [("registered", "200")])

    @inlineCallbacks
    def test_wrong_password(self):
        """A wrong password is not tried for ever."""
        server = self.server()
        phone = self.alice(server, "wrong")
        response = yield phone.register()
        self.assertEqual(response.status, 401)
        self.assertLess(len(server.seen), 5)
        self.assertEqual(phone.events, [("not registered", "401")])

    @inlineCallbacks
    def test_proxy(self):
        """A proxy's challenge to a call and to a message is answered, without a registration."""
        server = self.server("SHA-256", proxy=True)
        phone = self.alice(server)
        self.assertEqual((yield phone.call(f"sip:bob@{REALM}").over), "486 Busy Here")
        response = yield phone.say(f"sip:bob@{REALM}", "hello")
        self.assertEqual(response.status, 200)
        self.assertEqual(
            server.seen,
            [("INVITE", "absent", 1), ("INVITE", "ok", 2), ("MESSAGE", "absent", 1), ("MESSAGE", "ok", 2)],
        )
