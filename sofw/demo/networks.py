"""The set for root: an office behind a firewall and a web proxy, the Internet, and two real phones."""

from __future__ import annotations

import shutil
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from attrs import define, field

from sofw.demo import network
from sofw.demo.baresip import Phone
from sofw.demo.capture import Capture, Datagram
from sofw.demo.halves import Half
from sofw.demo.measure import Passage
from sofw.demo.network import entered
from sofw.demo.squid import SQUID
from sofw.demo.stage import LOGIN, OUTSIDE, Stage
from sofw.errors import LocalError

SITE = "office"
_PROGRAMS = ("ip", "nft", "baresip", "espeak-ng", "sox")


@define
class Networks:
    """The set; a context manager."""

    folder: Path
    way: str = f"through the web proxy {network.PROXY}:{network.PROXY_PORT}, as its user {LOGIN[0]}"
    hras: Half = field(init=False)
    hrac: Half = field(init=False)
    phones: dict[str, Phone] = field(factory=dict)
    _stage: Stage = field(init=False)
    _captures: dict[str, Capture] = field(factory=dict)
    _cleanup: ExitStack = field(factory=ExitStack)

    def __enter__(self) -> Networks:
        self._stage = self._cleanup.enter_context(Stage(self.folder))
        try:
            self._open()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def spoken(self, side: str) -> Path:
        """What the phone on this side says: "inside" or "outside"."""
        return self._stage.spoken(side)

    def picture(self) -> list[str]:
        """The set in a few lines, and a proof that the wall is one."""
        alice, olga = (self.phones[name].computer.address for name in ("alice", "olga"))
        office = f"alice {alice} -> HRAC {network.HRAC} -> Squid {network.PROXY}"
        return [
            f"  {'office, 192.168.1.0/24':{len(office)}}   |   Internet, 203.0.113.0/24",
            f"  {office} ==|==> HRAS {network.HRAS} <- olga {olga}",
            "  The firewall lets nobody out but Squid, to port 80; Squid wants a login and refuses CONNECT.",
            f"  Straight from alice's computer to olga's, of 2 SIP messages {self._arriving()} arrive.",
        ]

    def listen(self) -> None:
        """Forget what has passed: a new call begins."""
        for capture in self._captures.values():
            capture.take()

    def passages(self) -> dict[str, tuple[list[Passage], list[Passage]]]:
        """Per phone the packets that it sent and heard in this call."""
        found = {}
        for name, capture in self._captures.items():
            own = self.phones[name].computer.address
            voice = [datagram for datagram in capture.take() if datagram.is_rtp]
            sent = [_passage(datagram) for datagram in voice if datagram.source[0] == own]
            heard = [_passage(datagram) for datagram in voice if datagram.destination[0] == own]
            found[name] = (sent, heard)
        return found

    def _open(self) -> None:
        self.hras = self._stage.open_hras()
        self._stage.open_site(SITE)
        self.hrac = self._stage.open_hrac(SITE)
        for name, where in (("alice", SITE), ("olga", OUTSIDE)):
            phone = self.phones[name] = self._stage.phone(name, where)
            self._captures[name] = self._cleanup.enter_context(Capture(phone.computer))

    def _arriving(self) -> int:
        """How many of two SIP messages cross the wall by themselves."""
        near, far = self.phones["alice"].computer, self.phones["olga"].computer
        self.listen()
        with entered(near.namespace):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sender:
            for _ in range(2):
                sender.sendto(f"OPTIONS sip:{far.address} SIP/2.0\r\n\r\n".encode(), (far.address, 5060))
                time.sleep(0.2)
        return sum(
            found.is_sip and found.destination[0] == far.address for found in self._captures["olga"].take()
        )


def obstacle() -> str:
    """Why this set cannot be built here; "" when it can."""
    missing = [name for name in _PROGRAMS if not shutil.which(name)] + ([] if SQUID else ["squid"])
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        with network.Network():
            return ""
    except LocalError as error:
        return f"network namespaces are refused: {error}"


def _passage(datagram: Datagram) -> Passage:
    """By the RTP header (RFC 3550 §5.1)."""
    ssrc, sequence = datagram.payload[8:12], datagram.payload[2:4]
    return int.from_bytes(ssrc, "big"), int.from_bytes(sequence, "big"), datagram.time
