"""Everything of one run: networks, firewalls, proxies, HRAS, an HRAC per site, phones. A context manager."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from attrs import define, field

from sofw.demo import network, speech
from sofw.demo.baresip import Account, Phone
from sofw.demo.halves import Half, Settings, hrac_settings, hras_settings
from sofw.demo.network import Computer, Firewall, Network
from sofw.demo.process import until
from sofw.demo.squid import Squid

DOMAIN = "example.com"
OUTSIDE = "outside"
LOGIN = ("hrac", "sesame")
PASSWORD = "open-sesame"


@define
class Site:
    """A site of the stage: its firewall, its proxy when the profile has one, its HRAC."""

    name: str
    firewall: Firewall
    computer: Computer
    squid: Squid | None
    hrac: Half | None = None
    phones: int = 0


@define
class Stage:
    """The set. `profile` (a key of network.PROFILES) says what the sites' firewalls let through.

    `settings` are further tables of the configuration of HRAS; by `login_scheme` ("basic" or "digest") the
    proxies of later sites want the login.
    """

    folder: Path
    profile: str = "proxy"
    settings: Settings = field(factory=dict)
    login_scheme: str = "basic"
    network: Network = field(factory=Network)
    sites: dict[str, Site] = field(factory=dict)
    _hras: Half | None = None
    _phones_outside: int = 0
    _cleanup: ExitStack = field(factory=ExitStack)

    def __enter__(self) -> Stage:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Squid runs as a user of its own and must reach its folder.
        self.folder.chmod(0o755)
        # A SIGTERM must run the cleaning up; a Ctrl-C does so by itself.
        self._cleanup.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _end))
        self._cleanup.enter_context(self.network)
        for side, sentence in speech.SENTENCES.items():
            speech.speak(sentence, "en", self.spoken(side))
            speech.repeat(self.spoken(side), self.folder / f"{side}-loop.wav")
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @property
    def hras(self) -> Half:
        """The outside half."""
        assert self._hras is not None
        return self._hras

    def spoken(self, where: str) -> Path:
        """The sentence that a phone at this place speaks, once."""
        return self.folder / f"{'outside' if where == OUTSIDE else 'inside'}.wav"

    def open_hras(self) -> Half:
        """Start HRAS on the Internet."""
        computer = self.network.outside("hras", network.HRAS)
        folder = self.folder / "hras"
        settings = hras_settings(network.HRAS, folder, more=self.settings)
        self._hras = Half("hras", folder, computer.namespace, settings)
        self._cleanup.callback(self._hras.stop)
        return self._hras

    def open_site(self, name: str) -> Site:
        """Lay a site: firewall, proxy if the profile has one, a computer for the HRAC, nothing on it yet."""
        firewall = self.network.site(name, self.profile)
        computer = self.network.within(firewall, f"{name}-hrac", network.HRAC)
        squid = self._open_squid(name, firewall) if self.profile == "proxy" else None
        self.sites[name] = Site(name, firewall, computer, squid)
        return self.sites[name]

    def open_hrac(self, name: str) -> Half:
        """Join the site to HRAS and start its HRAC; returns when the tunnel is up."""
        site = self.sites[name]
        secret = self.hras.ask("site add", site=name, domains=[])["secret"]
        user, password = LOGIN
        proxy = {"url": f"http://{network.PROXY}:{network.PROXY_PORT}", "user": user, "password": password}
        settings = hrac_settings(
            name, secret, f"http://{network.HRAS}/", network.HRAC, proxy=proxy if site.squid else None
        )
        site.hrac = Half("hrac", self.folder / name / "hrac", site.computer.namespace, settings)
        self._cleanup.callback(site.hrac.stop)
        until(lambda: self.tunnel_up(name), 10.0, f"the tunnel of {name}")
        return site.hrac

    def tunnel_up(self, name: str) -> bool:
        """Whether HRAS has a tunnel to the site."""
        tunnels = self.hras.ask("status")["tunnels"]
        return any(tunnel["site"] == name and tunnel["state"] == "up" for tunnel in tunnels)

    def computer(self, where: str) -> Computer:
        """A new computer for a phone, outside or at a site."""
        if where == OUTSIDE:
            self._phones_outside += 1
            number = 19 + self._phones_outside
            return self.network.outside(f"outside-{number}", f"203.0.113.{number}")
        site = self.sites[where]
        site.phones += 1
        number = 9 + site.phones
        return self.network.within(site.firewall, f"{where}-{number}", f"192.168.1.{number}")

    def add_user(self, name: str) -> None:
        """A new user of HRAS, with the password of this stage."""
        self.hras.ask("user add", user=f"{name}@{DOMAIN}", password=PASSWORD)

    def phone(
        self, name: str, where: str, answering: str = "auto", registers: bool = True, transport: str = "udp"
    ) -> Phone:
        """A new baresip; with `registers` its user is made and it has registered when this returns."""
        server = network.HRAS if where == OUTSIDE else network.HRAC
        if registers:
            self.add_user(name)
        account = Account(f"{name}@{DOMAIN}", PASSWORD, server if registers else None, answering, transport)
        loop = self.spoken(where).with_name(f"{self.spoken(where).stem}-loop.wav")
        phone = Phone(self.folder / f"phone-{name}", self.computer(where), account, loop)
        self._cleanup.callback(phone.stop)
        if registers:
            phone.registered()
        return phone

    def _open_squid(self, name: str, firewall: Firewall) -> Squid:
        folder = self.folder / name / "squid"
        place = (network.PROXY, network.PROXY_PORT, LOGIN, self.login_scheme)
        squid = Squid(folder, firewall.namespace, *place)
        self._cleanup.callback(squid.stop)
        return squid


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)
