"""A real SIP phone: baresip without sound card, speaking from a file and recording what it hears."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from sofw.demo.network import Computer
from sofw.demo.process import Process, until

MODULES = Path("/usr/lib/baresip/modules")

_SETTINGS = """\
poll_method epoll
sip_listen {address}:5060
call_local_timeout {ringing}
call_max_calls 4
audio_source aufile,{speech}
audio_player aubridge,ear
audio_alert aubridge,bell
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtcp_mux no
jitter_buffer_delay 2-10
statmode_default off
snd_path {folder}
module_path {modules}
module stdio.so
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app contact.so
module_app menu.so
"""


@frozen
class Account:
    """Who a phone is. With a registrar (host of the SIP server it is told to use) it registers there."""

    aor: str
    password: str = ""
    registrar: str | None = None
    #: "auto" answers at once, "manual" rings until `answer` is called.
    answering: str = "auto"
    transport: str = "udp"

    def line(self) -> str:
        """The account as a line of baresip's file."""
        options = f";answermode={self.answering};audio_codecs=PCMU"
        if self.registrar is None:
            return f"<sip:{self.aor}>;regint=0{options}\n"
        server = f'"sip:{self.registrar};transport={self.transport}"'
        return f"<sip:{self.aor}>;auth_pass={self.password};outbound={server};regint=60{options}\n"


class Phone:
    """One baresip on a computer of its own; commands go in as typed, news is read from what it prints."""

    def __init__(
        self, folder: Path, computer: Computer, account: Account, speech: Path, ringing: int = 60
    ) -> None:
        self.account = account
        self.computer = computer
        self.folder = folder
        self._last_end = 0
        folder.mkdir(parents=True)
        settings = _SETTINGS.format(
            address=computer.address, speech=speech, folder=folder, modules=MODULES, ringing=ringing
        )
        (folder / "config").write_text(settings)
        (folder / "accounts").write_text(account.line())
        (folder / "contacts").write_text("")
        command = ("baresip", "-f", str(folder))
        self.process = Process(account.aor, command, folder / "log", computer.namespace)
        self.process.expect("baresip is ready")

    def registered(self, seconds: float = 10.0) -> None:
        """Wait until the registrar has said 200."""
        self.process.expect(r"200 OK.*\[\d+ binding", seconds)

    def dial(self, uri: str) -> None:
        """Call a SIP URI."""
        self.process.say(f"/dial {uri}")

    def ringing(self, seconds: float = 10.0) -> None:
        """Wait for an incoming call."""
        self.process.expect("Incoming call from", seconds)

    def answer(self) -> None:
        """Take the ringing call."""
        self.process.say("/accept")

    def established(self, seconds: float = 10.0) -> None:
        """Wait until the call is up."""
        self.process.expect("Call established", seconds)

    def hears(self, seconds: float = 10.0) -> None:
        """Wait until the first RTP packet of this call has come in; it may overtake the answer."""
        heard = r"incoming rtp for 'audio' established"
        until(lambda: self.process.seen(heard, self._last_end), seconds, f"RTP at {self.account.aor}")

    def hold(self) -> None:
        """Put the call on hold (a re-INVITE)."""
        self.process.say("/hold")

    def resume(self) -> None:
        """Take the call off hold (a re-INVITE)."""
        self.process.say("/resume")

    def hang_up(self) -> None:
        """End the call."""
        self.process.say("/hangup")

    def ended(self, seconds: float = 10.0) -> str:
        """Wait until the call is over or has been refused; what the phone says of it.

        Of a call of less than a second that it ends itself baresip says nothing.
        """
        over = self.process.expect(r"session closed: \d{3} .*|Call with .* terminated.*", seconds)[0]
        self._last_end = self.process.read
        return over

    def heard(self) -> Path:
        """The recording of what came in during the last call that had sound."""
        return self._recording("dec")

    def spoken(self) -> Path:
        """The recording of what went out during the last call that had sound."""
        return self._recording("enc")

    def stop(self) -> None:
        """End the phone; without taking leave of the registrar."""
        self.process.kill()

    def _recording(self, side: str) -> Path:
        def latest() -> Path | None:
            return max(self.folder.glob(f"dump-*-{side}.wav"), default=None)

        return until(latest, 2.0, f"a recording of {self.account.aor}")
