"""Computers in network namespaces: sites behind a firewall with NAT, and the Internet between them.

Every computer has its own namespace, because phones bind to any address. A firewall is the switch of its
site (a bridge, 192.168.1.1) with a leg on the Internet. All sites use the same private addresses on purpose.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field, frozen

from sofw.demo.process import run
from sofw.errors import LocalError

#: Documentation addresses outside (RFC 5737), private ones inside (RFC 1918).
HRAS = "203.0.113.10"
HRAC = "192.168.1.2"
PROXY = "192.168.1.3"
PROXY_PORT = 3128
GATEWAY = "192.168.1.1"

#: The Ethernet address of every switch, locally administered.
_SWITCH = "02:00:00:00:00:01"
_CLONE_NEWNET = 0x40000000
_NAMESPACES = Path("/run/netns")
_OURS = re.compile(r"sofw(\d+)-")

#: What a profile lets through beside the answers: rules of the chains forward, input and output.
PROFILES: dict[str, tuple[str, str, str]] = {
    "web": ('iifname "lan" oifname "wan" tcp dport { 80, 443 } accept', "", ""),
    "proxy": ("", f'iifname "lan" ip daddr {PROXY} tcp dport {PROXY_PORT} accept', "tcp dport 80 accept"),
    "wall": ("", "", ""),
}

_RULES = """
flush ruleset
table inet wall {{
  counter refused {{ }}
  chain forward {{ type filter hook forward priority filter; policy drop
    {answers}
    {forward}
    counter name refused
  }}
  chain input {{ type filter hook input priority filter; policy drop
    iifname "lo" accept
    {answers}
    {input}
    counter name refused
  }}
  chain output {{ type filter hook output priority filter; policy drop
    oifname "lo" accept
    {answers}
    {output}
  }}
}}
table ip nat {{
  chain out {{ type nat hook postrouting priority srcnat; policy accept
    oifname "wan" masquerade
  }}
}}
"""


#: Forward packets; and let frames between two computers of the LAN pass the bridge without asking the wall.
_ROUTER = """
echo 1 > /proc/sys/net/ipv4/ip_forward
for file in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ -e "$file" ] && echo 0 > "$file"; done; true
"""


@frozen
class Computer:
    """A host in a namespace of its own, with one address."""

    namespace: str
    address: str


@frozen
class Firewall:
    """The router of a site: NAT, and a profile that says what may pass (a key of PROFILES)."""

    namespace: str
    address: str

    def load(self, profile: str) -> None:
        """Let through what the profile says, from now on."""
        self._rules(*PROFILES[profile], answers="ct state established,related accept")

    def sever(self) -> None:
        """Let nothing through any more, running connections included, without telling anybody."""
        self._rules("", "", "", answers="")

    def refused(self) -> int:
        """How many packets were dropped since the profile was loaded."""
        counter = run(*inside(self.namespace), "nft", "list", "counter", "inet", "wall", "refused")
        found = re.search(r"packets (\d+)", counter)
        assert found is not None
        return int(found[1])

    def _rules(self, forward: str, into: str, output: str, answers: str) -> None:
        text = _RULES.format(forward=forward, input=into, output=output, answers=answers)
        run(*inside(self.namespace), "nft", "-f", "-", text=text)


@define
class Network:
    """The Internet, and any number of sites. A context manager: all is removed at the end."""

    _prefix: str = field(factory=lambda: f"sofw{os.getpid()}-")
    _namespaces: list[str] = field(factory=list)
    _sites: int = 0

    def __enter__(self) -> Network:
        sweep()
        self._switch("internet", "net")
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in reversed(self._namespaces):
            remove(namespace)
        self._namespaces.clear()

    def outside(self, name: str, address: str) -> Computer:
        """A new computer on the Internet. It has no route to private addresses, as in life."""
        namespace = self._namespace(name)
        self._plug(namespace, "eth0", address, self._prefix + "internet", "net")
        return Computer(namespace, address)

    def site(self, name: str, profile: str) -> Firewall:
        """A new site: its firewall and empty LAN."""
        self._sites += 1
        namespace = self._switch(name, "lan")
        address = f"203.0.113.{self._sites}"
        _ip(namespace, f"address add {GATEWAY}/24 dev lan", f"address add {PROXY}/24 dev lan")
        self._plug(namespace, "wan", address, self._prefix + "internet", "net")
        run(*inside(namespace), "sh", "-c", _ROUTER)
        firewall = Firewall(namespace, address)
        firewall.load(profile)
        return firewall

    def within(self, site: Firewall, name: str, address: str) -> Computer:
        """A new computer on the LAN of a site."""
        namespace = self._namespace(name)
        self._plug(namespace, "eth0", address, site.namespace, "lan")
        _ip(namespace, f"route add default via {GATEWAY}")
        return Computer(namespace, address)

    def _namespace(self, name: str) -> str:
        namespace = self._prefix + name
        run("ip", "netns", "add", namespace)
        self._namespaces.append(namespace)
        _ip(namespace, "link set lo up")
        return namespace

    def _switch(self, name: str, bridge: str) -> str:
        namespace = self._namespace(name)
        # Without an address of its own a bridge changes it with each computer plugged in, and who knew the
        # old one talks to nobody for a while.
        _ip(namespace, f"link add {bridge} address {_SWITCH} type bridge", f"link set {bridge} up")
        return namespace

    def _plug(self, namespace: str, card: str, address: str, switch: str, bridge: str) -> None:
        port = namespace.removeprefix(self._prefix)[:15]
        cable = f"link add {card} type veth peer name {port} netns {switch}"
        _ip(namespace, cable, f"address add {address}/24 dev {card}", f"link set {card} up")
        _ip(switch, f"link set dev {port} master {bridge} up")


def inside(namespace: str) -> tuple[str, ...]:
    """What to put in front of a command so that it runs in the namespace."""
    return ("ip", "netns", "exec", namespace)


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Be in the namespace for a moment: sockets made now stay there for good. For this thread only."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        _enter(_NAMESPACES / namespace)
        yield
    finally:
        _enter(Path(f"/proc/self/fd/{home}"))
        os.close(home)


def sweep() -> None:
    """Remove the namespaces that a killed run left behind: those named after a pid that is no more."""
    for path in _NAMESPACES.glob("sofw*"):
        ours = _OURS.match(path.name)
        if ours and not Path(f"/proc/{ours[1]}").exists():
            remove(path.name)


def remove(namespace: str) -> None:
    """End what still runs in the namespace, by pid, and delete it."""
    with suppress(LocalError):
        for pid in run("ip", "netns", "pids", namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        run("ip", "netns", "delete", namespace)


def _ip(namespace: str, *commands: str) -> None:
    run("ip", "-netns", namespace, "-batch", "-", text="\n".join(commands) + "\n")


def _enter(path: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open() as handle:
        if libc.setns(handle.fileno(), _CLONE_NEWNET):
            raise LocalError(f"cannot enter the network namespace {path}: {os.strerror(ctypes.get_errno())}")
