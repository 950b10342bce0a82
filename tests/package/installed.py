"""The Debian package at work; runs inside a container that systemd has booted (tools/package-boot).

The phones are written by hand from RFC 3261 and RFC 2617, without a line of SoFW, to judge it from outside.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from hashlib import md5

from twisted.trial.unittest import SynchronousTestCase

DOMAIN = "example.com"
PASSWORD = "correct horse"
OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.3"  # HRAS and HRAC, as phones reach them
HALVES = ("sofw-hras", "sofw-hrac")
SDP = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\n"
RTP = bytes([0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4]) + bytes(160)


def run(*command: str, status: int = 0, text: str = "") -> str:
    """What a command prints, on both its outputs; its status must be as said."""
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, input=text, text=True, timeout=60, check=False, **both)
    if done.returncode != status:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def shown(unit: str, name: str) -> str:
    """A property of a unit."""
    return run("systemctl", "show", "--value", "--property", name, unit).strip()


def eventually(holds: Callable[[], bool], what: str, found: Callable[[], str] = str) -> None:
    """Wait until something holds; `found` tells what was there instead."""
    end = time.monotonic() + 15
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}\n{found()}")
        time.sleep(0.1)


def journal(unit: str) -> str:
    """What a unit has logged."""
    return run("journalctl", "-b", "--no-pager", "-u", unit)


def configure() -> None:
    """Set up both halves on this machine, join the site, add the users, and start all."""
    write("hras", f'domains = ["{DOMAIN}"]\n[sip]\naddress = "{OUTSIDE}"\n[media]\nlast_port = 20099\n')
    run("systemctl", "restart", "sofw-hras")
    eventually(lambda: os.path.exists("/run/sofw/hras.sock"), "the control socket of HRAS")
    lines = json.loads(run("sofw", "site", "add", "--json", "office"))["lines"]
    for user in ("alice", "bob", "carol"):
        run("sofw", "user", "add", f"{user}@{DOMAIN}", "--password-stdin", text=PASSWORD)
    media = "first_port = 30000\nlast_port = 30099\n"
    write("hrac", "\n".join(lines) + f'\n[sip]\naddress = "{INSIDE}"\n[media]\n{media}')
    run("systemctl", "restart", "sofw-hrac")


def write(half: str, text: str) -> None:
    """Replace the text of a configuration file, and keep its owner and mode."""
    with open(f"/etc/sofw/{half}.toml", "r+", encoding="utf-8") as file:
        file.truncate()
        file.write(text)


class Phone:
    """A SIP phone and its voice, on UDP, that does one thing at a time."""

    def __init__(self, user: str, host: str, proxy: str) -> None:
        self.user, self.host, self.proxy = user, host, proxy
        self.sip = self._bind(5060)
        self.voice = self._bind(40000)
        self.sdp = SDP.format(host, 40000)

    def _bind(self, port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind((self.host, port))
        bound.settimeout(3)
        return bound

    def close(self) -> None:
        """Hang up for good."""
        self.sip.close()
        self.voice.close()

    def hear(self, start: str) -> str:
        """The next message that starts like this; repetitions of others are passed over."""
        while True:
            message = self.sip.recv(65535).decode()
            if message.startswith(start):
                return message

    def ask(self, method: str, uri: str, call: Call, extra: str = "", body: str = "") -> None:
        """Send a request; it must be challenged, and is sent again with the login."""
        self.send(method, uri, call, extra, body)
        answer = self.answer(call)
        if method == "INVITE":
            self.send("ACK", uri, call)
        challenge = re.search(r"(?im)^(?:www|proxy)-authenticate: (Digest .*algorithm=\"?MD5\b.*)$", answer)
        if challenge is None:
            raise AssertionError(f"not challenged: {answer}")
        name = "Proxy-Authorization" if answer.startswith("SIP/2.0 407") else "Authorization"
        login = digest(challenge[1], self.user, method, uri)
        self.send(method, uri, call, f"{extra}{name}: {login}\r\n", body)

    def send(self, method: str, uri: str, call: Call, extra: str = "", body: str = "") -> None:
        """Send a request; an ACK is taken to be for the request before it (RFC 3261 §17.1.1.3)."""
        if method != "ACK":
            call.number += 1
            call.branch = f"z9hG4bK{secrets.token_hex(8)}"
        call.cseq = f"{call.number} {method}"
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.host}:5060;rport;branch={call.branch}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{self.user}@{DOMAIN}>;tag={call.tag}\r\nTo: {call.to}\r\n"
            f"Call-ID: {call.name}\r\nCSeq: {call.cseq}\r\nContact: <sip:{self.user}@{self.host}:5060>\r\n"
            f"{extra}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.sip.sendto(text.encode(), (self.proxy, 5060))

    def answer(self, call: Call) -> str:
        """The final answer to the last request of a call."""
        while True:
            answer = self.hear("SIP/2.0 ")
            if not answer.startswith("SIP/2.0 1") and f"CSeq: {call.cseq}\r\n" in answer:
                return answer

    def accept(self, request: str, body: str = "") -> None:
        """Answer a request with 200."""
        kept = re.findall(r"(?m)^(?:Via|Record-Route|From|Call-ID|CSeq): .*\r\n", request)
        to = headers(request, "To")[0]
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"SIP/2.0 200 OK\r\n{''.join(kept)}To: {to}{'' if ';tag=' in to else ';tag=callee'}\r\n"
            f"Contact: <sip:{self.user}@{self.host}:5060>\r\n{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.sip.sendto(text.encode(), (self.proxy, 5060))

    def register(self) -> str:
        """Log on; the status line of the answer."""
        call = Call(f"<sip:{self.user}@{DOMAIN}>")
        self.ask("REGISTER", f"sip:{DOMAIN}", call, "Expires: 600\r\n")
        return self.answer(call).split("\r\n", 1)[0]


class Call:
    """What stays the same during a call (a dialog) or a registration."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.tag, self.name = secrets.token_hex(4), secrets.token_hex(8)
        self.number = 0
        self.branch = self.cseq = ""


def headers(message: str, name: str) -> list[str]:
    """The values of a header."""
    return re.findall(rf"(?m)^{name}: (.*)\r$", message)


def digest(challenge: str, user: str, method: str, uri: str) -> str:
    """The answer to a digest challenge (RFC 2617 §3.2.2)."""
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    who, what = _md5(f"{user}:{given['realm']}:{PASSWORD}"), _md5(f"{method}:{uri}")
    response = _md5(f"{who}:{given['nonce']}:00000001:cafe:auth:{what}")
    return (
        f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}",'
        f' response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="cafe"'
    )


def _md5(text: str) -> str:
    return md5(text.encode()).hexdigest()


def media_address(message: str) -> tuple[str, int]:
    """Where the SDP of a message wants voice."""
    host, port = re.search(r"c=IN IP4 (\S+)", message), re.search(r"m=audio (\d+)", message)
    assert host and port, message
    return host[1], int(port[1])


class InstallTests(SynchronousTestCase):
    """What apt has put on the machine."""

    def test_twistd(self) -> None:
        """The literal commands of the manual work."""
        for half in HALVES:
            self.assertIn("--config=", run("twistd", half, "--help"))

    def test_not_enabled(self) -> None:
        """Neither half starts by itself before an administrator wants it."""
        for half in HALVES:
            self.assertEqual(shown(half, "UnitFileState"), "disabled")

    def test_units(self) -> None:
        """systemd finds no fault with the units, and thinks them well shut in."""
        for half in HALVES:
            unit = f"/lib/systemd/system/{half}.service"
            self.assertNotIn(half, run("systemd-analyze", "verify", "--man=no", unit))
            self.assertIn("OK", run("systemd-analyze", "security", "--threshold=35", half))

    def test_configuration_is_private(self) -> None:
        """The files that hold secrets are for root and the halves only."""
        for half in ("hras", "hrac"):
            found = os.stat(f"/etc/sofw/{half}.toml")
            owner = (pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name)
            self.assertEqual((owner, stat.S_IMODE(found.st_mode)), (("root", "sofw"), 0o640))

    def test_manual(self) -> None:
        """`sofw` tells its release, which is the package's."""
        release = run("dpkg-query", "-W", "-f", "${Version}", "sofw")
        self.assertEqual(run("sofw", "--version"), f"sofw {release}\n")


class UnconfiguredTests(SynchronousTestCase):
    """A half that nobody has configured."""

    def test_says_what_is_missing(self) -> None:
        """It names the file and the option in its log, and tries again."""
        run("systemctl", "stop", *HALVES)
        for half, key in (("hras", "domains"), ("hrac", "site")):
            write(half, "# nothing here\n")
            unit = f"sofw-{half}"
            run("systemctl", "start", unit)
            eventually(lambda unit=unit: int(shown(unit, "NRestarts") or 0) > 0, f"{unit} is started again")
            run("systemctl", "stop", unit)
            self.assertRegex(journal(unit), rf"{unit}: /etc/sofw/{half}\.toml: {key}: ")
            self.assertNotIn("Traceback", journal(unit))


class GatewayTests(SynchronousTestCase):
    """Both halves at work on one machine, with a phone on either side."""

    def setUp(self) -> None:
        """Both halves fresh, both phones registered."""
        run("systemctl", "stop", *HALVES)
        shutil.rmtree("/var/lib/sofw", ignore_errors=True)
        configure()
        self.alice = self.phone("alice", "127.0.0.11", INSIDE)
        self.bob = self.phone("bob", "127.0.0.12", OUTSIDE)

    def phone(self, user: str, host: str, proxy: str) -> Phone:
        """A phone that has registered, as soon as the way was there."""
        phone = Phone(user, host, proxy)
        self.addCleanup(phone.close)
        answers = []

        def registered() -> bool:
            try:
                answers.append(phone.register())
            except (OSError, AssertionError) as error:
                answers.append(repr(error))
            return answers[-1] == "SIP/2.0 200 OK"

        phone.sip.settimeout(0.5)
        eventually(registered, f"{user} registers", lambda: f"{answers}\n{run('journalctl', '-n', '40')}")
        phone.sip.settimeout(3)
        return phone

    def call(self, caller: Phone, callee: Phone) -> None:
        """A whole call: INVITE, 200, ACK, a voice packet each way, BYE."""
        call = Call(f"<sip:{callee.user}@{DOMAIN}>")
        caller.ask("INVITE", f"sip:{callee.user}@{DOMAIN}", call, body=caller.sdp)
        invite = callee.hear("INVITE ")
        callee.accept(invite, callee.sdp)
        answer = caller.answer(call)
        self.assertIn("SIP/2.0 200", answer)
        self.assertEqual(media_address(invite)[0], callee.proxy)
        self.assertEqual(media_address(answer)[0], caller.proxy)
        target = headers(answer, "Contact")[0].split("<")[1].split(">")[0]
        routes = "".join(f"Route: {route}\r\n" for route in reversed(headers(answer, "Record-Route")))
        call.to = headers(answer, "To")[0]
        caller.send("ACK", target, call, routes)
        callee.hear("ACK ")
        self.talk(caller, media_address(answer), callee, media_address(invite))
        self.talk(callee, media_address(invite), caller, media_address(answer))
        caller.send("BYE", target, call, routes)
        callee.accept(callee.hear("BYE "))
        self.assertIn("SIP/2.0 200", caller.answer(call))
        eventually(lambda: json.loads(run("sofw", "calls", "--json")) == [], "no call is left")

    def talk(self, talker: Phone, to: tuple[str, int], listener: Phone, by: tuple[str, int]) -> None:
        """One voice packet: it arrives unchanged, and from where the listener sends its own."""
        talker.voice.sendto(RTP, to)
        self.assertEqual(listener.voice.recvfrom(2000), (RTP, by))

    def test_calls_both_ways(self) -> None:
        """A phone inside calls one outside, and the other way round, with voice both ways."""
        self.call(self.alice, self.bob)
        self.call(self.bob, self.alice)

    def test_restart_keeps_registrations(self) -> None:
        """After a restart of either half calls go through without a new REGISTER."""
        for half in HALVES:
            run("systemctl", "restart", half)
        self.wait_for_tunnel()
        self.call(self.bob, self.alice)

    def test_killed_comes_back(self) -> None:
        """A half that is killed is there again within seconds."""
        for half in HALVES:
            before = shown(half, "MainPID")
            run("systemctl", "kill", "--signal=KILL", half)
            eventually(lambda half=half, before=before: shown(half, "MainPID") not in ("0", before), half)
        self.wait_for_tunnel()
        self.call(self.alice, self.bob)

    def test_reload(self) -> None:
        """A reload tells what the file is worth, right or wrong, and disturbs nothing."""
        for half in HALVES:
            before, name = shown(half, "MainPID"), half.removeprefix("sofw-")
            with open(f"/etc/sofw/{name}.toml", encoding="utf-8") as file:
                right = file.read()
            for text, word in ((right, "correct"), (right + "nonsense = 1\n", "wrong"), (right, "correct")):
                write(name, text)
                told = journal(half).count(f"{name}.reload the file is {word}")
                run("systemctl", "reload", half)
                said = f"{name}.reload the file is {word}"
                eventually(lambda h=half, s=said, n=told: journal(h).count(s) == n + 1, said)
            self.assertEqual(shown(half, "MainPID"), before)
        self.call(self.alice, self.bob)

    def test_stop(self) -> None:
        """Stopping is quick and clean, and frees every port and socket."""
        began = time.monotonic()
        run("systemctl", "stop", *HALVES)
        self.assertLess(time.monotonic() - began, 10)
        for half in HALVES:
            self.assertEqual((shown(half, "Result"), shown(half, "ActiveState")), ("success", "inactive"))
            self.assertFalse(os.path.exists(f"/run/sofw/{half.removeprefix('sofw-')}.sock"))
            self.assertNotIn("Traceback", journal(half))

    def wait_for_tunnel(self) -> None:
        """Until a third phone can register from inside."""
        self.phone("carol", "127.0.0.13", INSIDE)
