"""The set for everybody: both halves, a web proxy and the built-in phones on addresses of loopback.

There is no firewall here, so nothing is proven about one; all else is as in life.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from attrs import define, field

from sofw.demo import speech
from sofw.demo.halves import Half, Settings, environment, hrac_settings, hras_settings
from sofw.demo.measure import Passage
from sofw.demo.process import Process, until
from sofw.demo.squid import SQUID, Squid
from sofw.demo.stage import DOMAIN, LOGIN, PASSWORD

#: An ordinary user may not listen on port 80.
HTTP_PORT = 8080
PROXY_PORT = 3128


class SmallPhone:
    """One of SoFW's own phones, in a process of its own."""

    def __init__(self, folder: Path, user: str, address: str, server: str, speech: Path) -> None:
        self.address = address
        self.folder = folder
        folder.mkdir(parents=True)
        command = (sys.executable, "-m", "sofw.phone", "--host", address, "--user", user, "--domain", DOMAIN)
        options = ("--password", PASSWORD, "--registrar", f"{server}:5060", "--speech", str(speech))
        self.process = Process(user, (*command, *options), folder / "log", None, environment())
        self.process.expect("ready")
        self.process.say("register")
        self.process.expect("registered 200")

    def dial(self, uri: str) -> None:
        """Call a SIP URI."""
        self.process.say(f"call {uri}")

    def established(self, seconds: float = 10.0) -> None:
        """Wait until the call is up."""
        self.process.expect(r"(?m)^up\b", seconds)

    def hang_up(self) -> None:
        """End the call."""
        self.process.say("hang-up")

    def ended(self, seconds: float = 10.0) -> str:
        """Wait until the call is over; why."""
        return self.process.expect(r"(?m)^over.*", seconds)[0]

    def heard(self) -> Path:
        """The recording of what came in during the last call."""
        path = self.folder / "heard.wav"
        self.process.say(f"record {path}")
        self.process.expect("recorded")
        return path

    def passages(self) -> tuple[list[Passage], list[Passage]]:
        """The packets that it sent and heard in the last call."""
        path = self.folder / "delays.json"
        self.process.say(f"delays {path}")
        self.process.expect("written")
        found = json.loads(path.read_text())
        sent, heard = ([(ssrc, number, at) for ssrc, number, at in found[way]] for way in ("sent", "heard"))
        return sent, heard


@define
class Loopback:
    """The set; a context manager. Runs of different processes do not meet: each has a network of its own."""

    folder: Path
    hras: Half = field(init=False)
    hrac: Half = field(init=False)
    phones: dict[str, SmallPhone] = field(factory=dict)
    _cleanup: ExitStack = field(factory=ExitStack)

    def __enter__(self) -> Loopback:
        # Started by root, Squid runs as a user of its own and must reach its folder.
        self.folder.chmod(0o755)
        try:
            for number, side in enumerate(speech.SENTENCES):
                _say(side, number, self.spoken(side))
            self._open()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def spoken(self, side: str) -> Path:
        """What the phone on this side says: "inside" or "outside"."""
        return self.folder / f"{side}.wav"

    def picture(self) -> list[str]:
        """The set in a few lines."""
        inside = f"alice {address(10)} -> HRAC {address(2)}"
        proxy = f"Squid {address(3)}" if SQUID else "(no Squid here)"
        return [f"  {inside} -> {proxy} ==> HRAS {address(100)} <- olga {address(120)}"]

    @property
    def way(self) -> str:
        """How HRAC reaches HRAS."""
        return (
            f"through the web proxy {address(3)}:{PROXY_PORT}, as its user {LOGIN[0]}"
            if SQUID
            else "straight"
        )

    def listen(self) -> None:
        """Forget what has passed: a new call begins."""

    def passages(self) -> dict[str, tuple[list[Passage], list[Passage]]]:
        """Per phone the packets that it sent and heard in this call."""
        return {name: phone.passages() for name, phone in self.phones.items()}

    def _open(self) -> None:
        folder = self.folder / "hras"
        self.hras = self._half("hras", hras_settings(address(100), folder, http_port=HTTP_PORT))
        secret = self.hras.ask("site add", site="office", domains=[])["secret"]
        settings = hrac_settings(
            "office", secret, f"http://{address(100)}:{HTTP_PORT}", address(2), proxy=self._proxy()
        )
        self.hrac = self._half("hrac", settings)
        until(lambda: self.hrac.ask("status")["tunnels"][0]["state"] == "up", 10.0, "the tunnel")
        for name, own, server, side in (("alice", 10, 2, "inside"), ("olga", 120, 100, "outside")):
            self.hras.ask("user add", user=f"{name}@{DOMAIN}", password=PASSWORD)
            phone = SmallPhone(self.folder / name, name, address(own), address(server), self.spoken(side))
            self._cleanup.callback(phone.process.stop)
            self.phones[name] = phone

    def _half(self, kind: str, settings: Settings) -> Half:
        half = Half(kind, self.folder / kind, None, settings)
        self._cleanup.callback(half.stop)
        return half

    def _proxy(self) -> dict[str, str] | None:
        if not SQUID:
            return None
        squid = Squid(self.folder / "squid", None, address(3), PROXY_PORT, LOGIN)
        self._cleanup.callback(squid.stop)
        return {"url": f"http://{address(3)}:{PROXY_PORT}", "user": LOGIN[0], "password": LOGIN[1]}


def address(number: int) -> str:
    """An address in this process's own corner of 127.0.0.0/8."""
    return f"127.{1 + os.getpid() // 250 % 250}.{1 + os.getpid() % 250}.{number}"


def _say(side: str, number: int, path: Path) -> None:
    if shutil.which("espeak-ng") and shutil.which("sox"):
        speech.speak(speech.SENTENCES[side], "en", path)
    else:
        speech.write(path, speech.RATE, speech.hum(2.5, number))
