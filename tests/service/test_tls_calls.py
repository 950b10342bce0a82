"""Both halves as twistd runs them, and real phones, on loopback: calls and messages over TLS."""

from __future__ import annotations

import os
import signal
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sofw.address import Address, Flow, Transport
from sofw.demo.halves import Half, hrac_settings, hras_settings
from sofw.demo.process import until
from sofw.net.sip_stream import SipStreams
from sofw.net.tls import Tls, TlsFiles
from sofw.phone.phone import Phone
from sofw.sip.message import Request, format_message, parse_message, response_to
from tests.net.certificates import Authority

PASSWORD = "open sesame"
HTTP_PORT = 8080
#: Each test has addresses of its own, so that a port just closed is never in the way.
_NETWORKS = count()


class TlsCalls(TestCase):
    """HRAS and HRAC with TLS; alice is inside, bob and partner.example are outside."""

    timeout = 20

    def setUp(self) -> None:
        # Not below trial's own folder: the path of a Unix socket has no more than 107 bytes.
        folder = TemporaryDirectory(prefix="sofw-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.net = f"127.{1 + os.getpid() // 250 % 250}.{1 + os.getpid() % 250}.{10 * next(_NETWORKS)}"
        self.authority = Authority(self.folder)
        self.hras = self.start("hras", self.outside())
        self.hrac = self.start("hrac", self.inside())
        until(lambda: self.hrac.ask("status")["tunnels"][0]["state"] == "up", 10.0, "the tunnel")

    def at(self, number: int) -> str:
        """An address of this test."""
        net, _dot, first = self.net.rpartition(".")
        return f"{net}.{int(first) + number}"

    def outside(self) -> dict[str, Any]:
        """The configuration of HRAS."""
        settings = self.with_tls(hras_settings(self.at(1), self.folder, http_port=HTTP_PORT), "hras")
        settings["routes"] = {'"partner.example"': f"sip:{self.at(5)};transport=tls"}
        return settings

    def inside(self) -> dict[str, Any]:
        """The configuration of HRAC, whose site is told to HRAS; so are the users."""
        for user in ("alice", "bob"):
            self.hras.ask("user add", user=f"{user}@example.com", password=PASSWORD)
        secret = self.hras.ask("site add", site="office", domains=[])["secret"]
        hras = f"http://{self.at(1)}:{HTTP_PORT}"
        return self.with_tls(hrac_settings("office", secret, hras, self.at(2)), "hrac")

    def with_tls(self, settings: dict[str, Any], name: str) -> dict[str, Any]:
        """The settings with a certificate for example.com."""
        pair = self.authority.pair(name, "example.com")
        settings["sip"]["transports"] = ["udp", "tls"]
        settings["tls"] = {
            "certificate": pair.certificate,
            "key": pair.key,
            "ca_file": self.authority.file,
        }
        return settings

    def start(self, kind: str, settings: dict[str, Any]) -> Half:
        """A running half."""
        half = Half(kind, self.folder / kind, None, settings)
        self.addCleanup(half.stop)
        return half

    def phone(self, user: str, number: int, server: int, transport: Transport) -> Phone:
        """A phone that is known to the server there."""
        port = 5061 if transport is Transport.TLS else 5060
        phone = Phone(
            reactor,
            self.at(number),
            5060,
            transport,
            Address(self.at(server), port),
            user,
            "example.com",
            PASSWORD,
            ca_file=self.authority.file,
        )
        self.addCleanup(phone.stop)
        return phone

    @inlineCallbacks
    def call(self, caller: Phone, callee: Phone) -> Any:
        """Both register, one calls the other, and the other hangs up."""
        for phone in (caller, callee):
            response = yield phone.register()
            self.assertEqual(response.status, 200)
        call = caller.call(f"sip:{callee.user}@example.com")
        yield caller.expect("up")
        yield callee.expect("up")
        yield seconds(0.2)
        self.assertGreater(len(call.media.heard), 0)
        callee.calls[0].hang_up()
        self.assertEqual((yield caller.expect("over")), "hung up there")
        while self.hras.ask("rat"):  # until the answer to the BYE has come through
            yield seconds(0.05)

    @inlineCallbacks
    def test_from_tls_to_udp(self) -> Any:
        """Alice inside on TLS calls bob outside on UDP, who hangs up."""
        alice = self.phone("alice", 3, 2, Transport.TLS)
        yield self.call(alice, self.phone("bob", 4, 1, Transport.UDP))
        shown = {row["aor"]: row["transport"] for row in self.hras.ask("registrations")}
        self.assertEqual(shown, {"alice@example.com": "TLS", "bob@example.com": "UDP"})

    @inlineCallbacks
    def test_from_tls_to_tls(self) -> Any:
        """Bob outside on TLS calls alice inside on TLS, over the connection that she has opened."""
        bob = self.phone("bob", 4, 1, Transport.TLS)
        yield self.call(bob, self.phone("alice", 3, 2, Transport.TLS))
        status = self.hras.ask("status")
        self.assertEqual((status["tls_refused"], status["unframed"]), (0, 0))

    @inlineCallbacks
    def test_renewed(self) -> Any:
        """SIGHUP takes renewed certificates into use: here one that does not suit alice any more."""
        self.authority.pair("hrac", "example.org")
        response = yield self.phone("alice", 3, 2, Transport.TLS).register()
        self.assertEqual(response.status, 200)
        os.kill(self.hrac.process.pid, signal.SIGHUP)
        self.hrac.process.expect("hrac.reload the file is correct")
        response = yield self.phone("alice", 4, 2, Transport.TLS).register()
        self.assertEqual(response.status, 503)

    @inlineCallbacks
    def test_another_domain(self) -> Any:
        """A message for another domain goes to its server by TLS, if that has a certificate for it."""
        alice = self.phone("alice", 3, 2, Transport.TLS)
        heard: list[Flow] = []
        for names, status in ((("partner.example",), 200), (("example.com", self.at(5)), 500)):
            partner = self.partner(heard, *names)
            response = yield alice.say("sip:joe@partner.example", "hello")
            self.assertEqual(response.status, status)
            yield partner.stop()
        self.assertEqual([flow.transport for flow in heard], [Transport.TLS])

    def partner(self, heard: list[Flow], *names: str) -> SipStreams:
        """A server with a certificate for these names; it welcomes everything."""

        def welcome(flow: Flow, data: bytes) -> None:
            heard.append(flow)
            request = parse_message(data)
            assert isinstance(request, Request)
            server.send(flow.remote, format_message(response_to(request, 200)), self.fail)

        tls = Tls(TlsFiles((self.authority.pair("partner", *names),)))
        server = SipStreams(reactor, "partner", welcome, lambda flow: None, tls)
        server.listen(self.at(5), 5061)
        self.addCleanup(server.stop)
        return server


def seconds(duration: float) -> Deferred[None]:
    """Fires after so many seconds."""
    return deferLater(reactor, duration, lambda: None)
