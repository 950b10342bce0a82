"""The web proxy wants a Digest login: a real Squid, a right password and a wrong one."""

from __future__ import annotations

import time

from sofw.demo import network
from sofw.demo.halves import Half, hrac_settings
from sofw.demo.process import until
from sofw.demo.squid import Squid
from sofw.demo.stage import LOGIN, OUTSIDE, Stage
from tests.lab.case import SENTENCE, LabCase

#: Seconds in which a wrong password would be said again and again, if it were.
_A_WHILE = 8.0
_NAME_FIELD = 7


class ProxyLogin(LabCase):
    """Two sites behind proxies that know Digest alone, and let a nonce pass five times."""

    @classmethod
    def lay(cls, stage: Stage) -> None:
        stage.login_scheme = "digest"
        stage.open_hras()
        for name in ("tokyo", "osaka"):
            stage.open_site(name)

    def test_call(self) -> None:
        """The tunnel comes up by Digest; a call goes through it, and on when its connections are lost."""
        tokyo = self.stage.open_hrac("tokyo")
        self.assertEqual(tokyo.ask("status")["tunnels"][0]["proxy_login"], "Digest")
        alice, olga = self.stage.phone("alice", "tokyo"), self.stage.phone("olga", OUTSIDE)
        self.talk(alice, olga, SENTENCE)
        squid = self.squid("tokyo")
        for _ in range(2):
            squid.restart()
            until(lambda: self.stage.tunnel_up("tokyo"), 10.0, "the tunnel to come back")
        self.hang_up(alice, olga)
        self.assert_idle()
        # A Squid that starts again knows none of its nonces: they are stale, and no password is refused.
        tunnel = tokyo.ask("status")["tunnels"][0]
        self.assertEqual((tunnel["state"], tunnel["reconnects"]), ("up", 2))

    def test_wrong_password(self) -> None:
        """A wrong password is said once, and the status tells; the right one in the file is used soon."""
        site, squid = self.stage.sites["osaka"], self.squid("osaka")
        held = self.stage.folder / "osaka" / "password"
        held.touch(mode=0o600)
        held.write_text("guess\n")
        secret = self.stage.hras.ask("site add", site="osaka", domains=[])["secret"]
        proxy = {
            "url": f"http://{network.PROXY}:{network.PROXY_PORT}",
            "user": LOGIN[0],
            "password_file": str(held),
        }
        settings = hrac_settings("osaka", secret, f"http://{network.HRAS}/", network.HRAC, proxy=proxy)
        site.hrac = Half("hrac", self.stage.folder / "osaka" / "hrac", site.computer.namespace, settings)
        self.addCleanup(site.hrac.stop)
        until(lambda: self.problem(site.hrac), 5.0, "the refusal")
        self.assertIn(f"refuses the login of {LOGIN[0]}", self.problem(site.hrac))
        time.sleep(_A_WHILE)
        self.assertEqual([line.split()[3] for line in squid.log() if self.said(line)], ["TCP_DENIED/407"])
        self.assertEqual(len(squid.log()), 2)
        held.write_text(f"{LOGIN[1]}\n")
        until(lambda: self.stage.tunnel_up("osaka"), 10.0, "the tunnel")

    def squid(self, name: str) -> Squid:
        """The proxy of a site."""
        squid = self.stage.sites[name].squid
        assert squid is not None
        return squid

    @staticmethod
    def problem(half: Half | None) -> str:
        """Why there is no tunnel, as the status tells."""
        assert half is not None
        return str(half.ask("status")["tunnels"][0].get("problem", ""))

    @staticmethod
    def said(line: str) -> bool:
        """Whether a request in Squid's log carried a login."""
        return line.split()[_NAME_FIELD] == LOGIN[0]
