"""Both halves as in life, on loopback and on one CPU, with a phone on each side."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from phone import DOMAIN, PASSWORD, Phone
from sip_load import Pair

from sofw.demo.halves import Half
from sofw.demo.process import until

#: The addresses of the four, as a site would have them on two networks.
INSIDE, OUTSIDE, HRAC, HRAS = "127.0.1.1", "127.0.2.1", "127.0.3.1", "127.0.4.1"
SIP_PORT, HTTP_PORT = 5060, 8080
#: Which CPU the halves share, and which the phones have.
HALVES_CPU, PHONES_CPU = 0, 1


class Lab:
    """HRAS and HRAC joined by a tunnel; alice is inside, bob outside, both registered."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        state = folder / "hras"
        self.hras = Half("hras", state, None, _hras(state))
        self.halves = {"HRAS": self.hras}
        try:
            self._join(folder)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both halves."""
        for half in reversed(self.halves.values()):
            half.stop()

    def pids(self) -> dict[str, int]:
        """The process of each half."""
        return {name: half.process.pid for name, half in self.halves.items()}

    def cpu(self) -> dict[str, float]:
        """The CPU seconds each half has used so far, all threads, user and system."""
        return {name: cpu_of(pid) for name, pid in self.pids().items()}

    def _join(self, folder: Path) -> None:
        for user in ("alice", "bob"):
            self.hras.ask("user add", user=f"{user}@{DOMAIN}", password=PASSWORD)
        site = self.hras.ask("site add", site="bench", domains=[])
        hrac = self.halves["HRAC"] = Half("hrac", folder / "hrac", None, _hrac(site["secret"]))
        for pid in self.pids().values():
            os.sched_setaffinity(pid, {HALVES_CPU})
        until(lambda: _is_up(hrac.ask("status")), 15.0, "the tunnel")
        alice = Phone("alice", (INSIDE, 5070), (HRAC, SIP_PORT))
        bob = Phone("bob", (OUTSIDE, 5070), (HRAS, SIP_PORT))
        alice.register()
        bob.register()
        self.pair = Pair(alice, bob, bob.aor)


def direct_pair() -> Pair:
    """The same phones without anything between them."""
    alice = Phone("alice", (INSIDE, 5071), (OUTSIDE, 5071))
    bob = Phone("bob", (OUTSIDE, 5071), (INSIDE, 5071))
    return Pair(alice, bob, bob.contact)


def cpu_of(pid: int) -> float:
    """The CPU seconds a process has used so far, all threads, user and system."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _hras(folder: Path) -> dict[str, Any]:
    """As shipped, but for the places; calls may be silent while another number of them is measured."""
    return {
        "domains": [DOMAIN],
        "sip": {"address": HRAS, "port": SIP_PORT},
        "http": {"address": HRAS, "port": HTTP_PORT},
        "media": {"silence": 3600},
        "state": {"directory": str(folder / "state")},
    }


def _hrac(secret: str) -> dict[str, Any]:
    """As shipped, but for the places."""
    return {
        "site": "bench",
        "secret": secret,
        "hras": f"http://{HRAS}:{HTTP_PORT}",
        "sip": {"address": HRAC, "port": SIP_PORT},
    }


def _is_up(status: dict[str, Any]) -> bool:
    tunnels = status["tunnels"]
    return bool(tunnels) and all(tunnel["state"] == "up" for tunnel in tunnels)
