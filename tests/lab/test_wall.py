"""The wall of the lab is real: without SoFW no call gets through it, and each profile blocks what it says."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import ClassVar

from sofw.demo import network
from sofw.demo.baresip import Phone
from sofw.demo.capture import Capture
from sofw.demo.network import Computer, Firewall, entered
from sofw.demo.squid import Squid
from sofw.demo.stage import LOGIN, OUTSIDE, Stage
from tests.lab.case import SENTENCE, LabCase
from tests.lab.flows import FLOWS, play

#: Long enough for a packet to cross three bridges, and for SIP's first repetition (T1, 0.5 s).
_A_WHILE = 1.0


class Wall(LabCase):
    """Phones and proxy as in the other tests, but neither HRAS nor HRAC."""

    alice: ClassVar[Phone]
    bob: ClassVar[Phone]
    olga: ClassVar[Phone]
    firewall: ClassVar[Firewall]
    squid: ClassVar[Squid]
    inside: ClassVar[Computer]
    hras: ClassVar[Computer]

    @classmethod
    def lay(cls, stage: Stage) -> None:
        site = stage.open_site("tokyo")
        assert site.squid is not None
        cls.firewall, cls.inside, cls.squid = site.firewall, site.computer, site.squid
        cls.hras = stage.network.outside("hras", network.HRAS)
        cls.alice = stage.phone("alice", "tokyo", registers=False)
        cls.bob = stage.phone("bob", "tokyo", registers=False)
        cls.olga = stage.phone("olga", OUTSIDE, registers=False)

    def test_phones_work_without_a_wall(self) -> None:
        """Two phones on one LAN call each other directly: what fails below fails because of the wall."""
        self.alice.dial(f"sip:bob@{self.bob.computer.address}")
        self.alice.established()
        self.bob.established()
        time.sleep(SENTENCE)
        self.hang_up(self.alice, self.bob)
        self.assert_heard(self.bob, "tokyo")
        self.assert_heard(self.alice, "tokyo")

    def test_flows_work_without_a_wall(self) -> None:
        """The flows that test_flows.py plays through SoFW are sound: they work between two computers."""
        caller, callee = self.stage.computer(OUTSIDE), self.stage.computer(OUTSIDE)
        for name in FLOWS:
            folder = self.stage.folder / name.replace(" ", "-")
            self.assertEqual(play(name, folder, caller, callee, through=callee.address), "")

    def test_no_call_crosses_the_wall(self) -> None:
        """Without SoFW a call between inside and outside reaches nobody, whatever the profile."""
        calls = ((self.alice, self.olga, self.olga.computer.address), (self.olga, self.alice, "203.0.113.1"))
        for profile in network.PROFILES:
            self.firewall.load(profile)
            for caller, callee, address in calls:
                with Capture(callee.computer) as capture:
                    caller.dial(f"sip:{callee.account.aor.partition('@')[0]}@{address}")
                    time.sleep(_A_WHILE)
                    caller.hang_up()
                    here = callee.computer.address
                    arrived = [found for found in capture.take() if found.is_sip and found.source[0] != here]
                    self.assertEqual(arrived, [], (profile, caller.account.aor))
            self.assertGreater(self.firewall.refused(), 0, profile)

    def test_profiles_pass_what_they_say(self) -> None:
        """Web passes ports 80 and 443 only, proxy the proxy's port only, wall nothing at all."""
        targets = [(network.HRAS, port) for port in (80, 443, 5060)] + [(network.PROXY, network.PROXY_PORT)]
        passed = {}
        with ExitStack() as servers:
            for _, port in targets[:3]:
                servers.enter_context(_listening(self.hras, port))
            for profile in network.PROFILES:
                self.firewall.load(profile)
                passed[profile] = [port for host, port in targets if _connects(self.inside, host, port)]
        self.assertEqual(passed, {"web": [80, 443], "proxy": [network.PROXY_PORT], "wall": []})

    def test_proxy_passes_http_to_those_who_log_in(self) -> None:
        """Squid fetches for its user, asks everybody else for a login, and refuses CONNECT."""
        self.firewall.load("proxy")
        get = f"GET http://{network.HRAS}/ HTTP/1.1\r\nHost: {network.HRAS}\r\n"
        connect = f"CONNECT {network.HRAS}:443 HTTP/1.1\r\nHost: {network.HRAS}:443\r\n"
        good, bad = _login(*LOGIN), _login("hrac", "guess")
        asked = [get + good, get + bad, get, connect + good]
        with _listening(self.hras, 80, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"):
            statuses = [self._ask_proxy(request) for request in asked]
        self.assertEqual(statuses, [200, 407, 407, 403])

    def _ask_proxy(self, request: str) -> int:
        with entered(self.inside.namespace):
            connection = socket.create_connection((network.PROXY, network.PROXY_PORT), 3)
        with connection:
            connection.sendall(request.encode() + b"Connection: close\r\n\r\n")
            return int(connection.makefile("rb").readline().split()[1])


def _login(user: str, password: str) -> str:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"Proxy-Authorization: Basic {token}\r\n"


@contextmanager
def _listening(computer: Computer, port: int, answer: bytes = b"") -> Iterator[None]:
    """A TCP server that takes connections; with an answer, the first request gets it."""
    with entered(computer.namespace):
        listener = socket.create_server((computer.address, port))
    with listener:
        if answer:
            Thread(target=_answer_once, args=(listener, answer), daemon=True).start()
        yield


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


def _connects(computer: Computer, host: str, port: int) -> bool:
    try:
        with entered(computer.namespace):
            connection = socket.create_connection((host, port), 0.5)
    except OSError:
        return False
    connection.close()
    return True
