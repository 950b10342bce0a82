"""SIP flows by SIPp and sipsak: after each of them nothing is left behind in HRAS."""

from __future__ import annotations

import socket
from typing import ClassVar

from sofw.demo import network
from sofw.demo.capture import Capture
from sofw.demo.halves import Settings
from sofw.demo.network import Computer, entered, inside
from sofw.demo.process import run, until
from sofw.demo.stage import DOMAIN, OUTSIDE, PASSWORD, Stage
from tests.lab.case import LabCase
from tests.lab.flows import FLOWS, Flow, play
from tests.lab.sipp import (
    answer,
    answer_last,
    asked,
    first,
    got,
    pause,
    register,
    request,
    run_sipp,
    sdp,
    speak,
)

#: Seconds without media after which HRAS takes a call for gone; the least its configuration allows.
_SILENCE = 5

_TO_STRANGERS = f"""\
INVITE sip:bill@elsewhere.test SIP/2.0
Via: SIP/2.0/UDP {{host}}:5066;branch=z9hG4bK-relay
From: <sip:stranger@elsewhere.test>;tag=1
To: <sip:bill@elsewhere.test>
Call-ID: relay@{{host}}
CSeq: 1 INVITE
Contact: <sip:stranger@{{host}}:5066>
Max-Forwards: 70
Route: <sip:{network.HRAS};lr>
Content-Length: 0

""".replace("\n", "\r\n")


class Flows(LabCase):
    """A stranger outside calls a registered user inside, through proxy and tunnel."""

    # SIPp takes only the first challenge it sees, and can do MD5 alone.
    settings: ClassVar[Settings] = {"media": {"silence": _SILENCE}, "registrar": {"md5_agents": ["SIPp"]}}
    caller: ClassVar[Computer]
    callee: ClassVar[Computer]

    @classmethod
    def lay(cls, stage: Stage) -> None:
        stage.open_hras()
        stage.open_site("tokyo")
        stage.open_hrac("tokyo")
        cls.caller, cls.callee = stage.computer(OUTSIDE), stage.computer("tokyo")
        stage.add_user("inge")
        login = register(f"inge@{DOMAIN}", PASSWORD)
        sipp = run_sipp(login, stage.folder / "register", cls.callee, peer=network.HRAC, service="inge")
        if sipp.wait(10):
            raise AssertionError(f"SIPp could not register: {sipp.tail()}")

    def test_flows(self) -> None:
        """Every flow of the table runs to its end on both sides."""
        for name in FLOWS:
            self._play(name)
            self.assert_idle()

    def test_early_media_is_heard(self) -> None:
        """What the callee says before it answers reaches the caller."""
        speech = self.stage.spoken("tokyo")
        with Capture(self.caller) as capture:
            calls = (
                *(first("INVITE", sdp()), got(100, optional=True), got(183), got(200)),
                *(request("ACK", 1), request("BYE", 2), got(200)),
            )
            answers = (
                *(asked("INVITE"), answer(183, sdp()), pause(100), speak(speech), pause(1000)),
                *(answer(200, sdp()), asked("ACK"), asked("BYE"), answer_last()),
            )
            self._play("early media", (calls, answers))
            heard = [found for found in capture.take() if found.is_rtp and found.source[0] == network.HRAS]
        self.assertGreater(len(heard), 30)
        self.assert_idle()

    def test_silent_calls_are_cleared(self) -> None:
        """When both phones vanish without BYE, the call and its row go after the silence time."""
        calls = (first("INVITE", sdp()), got(100, optional=True), got(200), request("ACK", 1))
        self._play("vanished", (calls, (asked("INVITE"), answer(200, sdp()), asked("ACK"))))
        self.assertEqual(len(self.stage.hras.ask("rat")), 1)
        until(lambda: not self.stage.hras.ask("rat"), 3 * _SILENCE, "the silent row to go")
        self.assert_idle()

    def test_both_halves_answer_options(self) -> None:
        """sipsak finds both halves by OPTIONS."""
        for computer, server in ((self.caller, network.HRAS), (self.callee, network.HRAC)):
            output = run(*inside(computer.namespace), "sipsak", "-vv", "-s", f"sip:{server}")
            self.assertIn("SIP/2.0 200", output)

    def test_is_no_open_relay(self) -> None:
        """A stranger's call to a foreign domain is refused."""
        with entered(self.caller.namespace):
            phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with phone:
            phone.bind((self.caller.address, 5066))
            phone.settimeout(3)
            phone.sendto(_TO_STRANGERS.format(host=self.caller.address).encode(), (network.HRAS, 5060))
            status = b"100"
            while status == b"100":
                status = phone.recv(65535).split()[1]
        self.assertIn(status, {b"403", b"407"})
        self.assert_idle()

    def _play(self, name: str, flow: Flow | None = None) -> None:
        """Play a flow through SoFW to its end; both SIPp must be content."""
        folder = self.stage.folder / name.replace(" ", "-")
        complaints = play(name, folder, self.caller, self.callee, through=network.HRAS, flow=flow)
        self.assertEqual(complaints, "")
