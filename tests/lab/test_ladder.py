"""Real web proxies: for each the best rung is found in time, and a call over it sounds as it should."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sofw.demo import speech
from sofw.demo.audio import compare
from sofw.demo.halves import Half, hrac_settings, hras_settings
from sofw.demo.loopback import HTTP_PORT, PROXY_PORT, SmallPhone, address
from sofw.demo.process import until
from sofw.demo.squid import Squid
from sofw.demo.stage import DOMAIN, PASSWORD
from sofw.tunnel.probing import LIMIT
from tests.lab.case import ALIKE, SENTENCE
from tests.lab.proxies import APACHE, HAPROXY, NGINX, PRIVOXY, TINYPROXY, Kind, WebProxy

#: From the start of HRAC's process to the tunnel (seconds): the program itself, probing, and the lanes.
_TUNNEL_LIMIT = 3.0 + LIMIT
#: From dialling to the answer.
_CALL_LIMIT = 2.0


class LadderTests(SynchronousTestCase):
    """One HRAS, a phone outside; a proxy, an HRAC and a phone inside; all on loopback."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sofw-ladder-"))
        self.folder.chmod(0o755)
        self.stack = ExitStack()
        self.stack.callback(shutil.rmtree, self.folder)
        self.addCleanup(self.stack.close)
        for side, sentence in speech.SENTENCES.items():
            speech.speak(sentence, "en", self.folder / f"{side}.wav")
        settings = hras_settings(address(100), self.folder / "hras", http_port=HTTP_PORT)
        self.hras = self.half("hras", settings)
        self.outside = self.phone("olga", 120, 100, "outside")

    def test_squid(self) -> None:
        """Squid lets everything stream."""
        squid = Squid(self.folder / "squid", None, address(3), PROXY_PORT)
        self.stack.callback(squid.stop)
        self.call_over("streams", proxy=f"http://{address(3)}:{PROXY_PORT}")

    def test_tinyproxy(self) -> None:
        """Tinyproxy streams, and closes each connection after its request."""
        self.call_through(TINYPROXY, "streams")

    def test_apache(self) -> None:
        """Apache lets a body go when it has 16 KiB of it."""
        self.call_through(APACHE, "streams-16k")

    def test_privoxy(self) -> None:
        """Privoxy gathers a chunked body to its end, and lets one of known length stream."""
        self.call_through(PRIVOXY, "length")

    def test_nginx(self) -> None:
        """nginx gathers every body before it passes it on, and lets answers stream."""
        self.call_through(NGINX, "posts")

    def test_haproxy(self) -> None:
        """HAProxy delays all but the first piece of a body, both ways, by a fifth of a second."""
        self.call_through(HAPROXY, "held")

    def test_polls(self) -> None:
        """A rung that is remembered is taken at once, here the last; voice is whole on it too."""
        self.remember("polls", f"http://{address(100)}:{HTTP_PORT} by http://{address(3)}:{PROXY_PORT}")
        began = time.monotonic()
        self.call_through(TINYPROXY, "polls")
        self.assertLess(time.monotonic() - began, 15.0)

    def call_through(self, kind: Kind, rung: str) -> None:
        """A call through this proxy."""
        origin = f"{address(100)}:{HTTP_PORT}"
        proxy = WebProxy(kind, self.folder / kind.name, address(3), PROXY_PORT, origin)
        self.stack.callback(proxy.stop)
        if kind.reverse:
            self.call_over(rung, hras=proxy.url)
        else:
            self.call_over(rung, proxy=proxy.url)

    def call_over(self, rung: str, hras: str = "", proxy: str = "") -> None:
        """HRAC finds this rung in time; then both phones hear each other, and nothing is left."""
        secret = self.hras.ask("site add", site="office", domains=[])["secret"]
        hras = hras or f"http://{address(100)}:{HTTP_PORT}"
        settings = hrac_settings("office", secret, hras, address(2), proxy={"url": proxy} if proxy else None)
        began = time.monotonic()
        hrac = self.half("hrac", {**settings, "state": {"directory": str(self.folder / "state")}})
        until(lambda: self.tunnel(hrac)["state"] == "up", 10.0, "the tunnel")
        self.assertLess(time.monotonic() - began, _TUNNEL_LIMIT)
        self.assertEqual(self.tunnel(hrac)["rung"], rung)
        self.assert_heard(self.phone("alice", 10, 2, "inside"))
        tunnel = self.tunnel(hrac)
        self.assertEqual((tunnel["rung"], tunnel["reconnects"]), (rung, 0))
        self.assertEqual(list(self.remembered().values()), [rung])

    def assert_heard(self, inside: SmallPhone) -> None:
        """A call from inside; each phone hears what the other says, whole."""
        inside.dial(f"sip:olga@{DOMAIN}")
        inside.established(_CALL_LIMIT)
        self.outside.established()
        time.sleep(SENTENCE)
        inside.hang_up()
        inside.ended()
        self.outside.ended()
        for phone, side in ((inside, "outside"), (self.outside, "inside")):
            heard = compare(phone.heard(), self.folder / f"{side}.wav")
            self.assertGreater(heard.correlation, ALIKE, f"what {side} said: {heard}")
            self.assertEqual(heard.gaps, (), f"what {side} said: {heard}")

    def tunnel(self, hrac: Half) -> Any:
        """What HRAC says of its tunnel."""
        return hrac.ask("status")["tunnels"][0]

    def half(self, kind: str, settings: Any) -> Half:
        """A half that runs until the end of the test."""
        half = Half(kind, self.folder / kind, None, settings)
        self.stack.callback(half.stop)
        return half

    def phone(self, name: str, own: int, server: int, side: str) -> SmallPhone:
        """A phone that has registered, and says the sentence of its side."""
        self.hras.ask("user add", user=f"{name}@{DOMAIN}", password=PASSWORD)
        phone = SmallPhone(
            self.folder / name, name, address(own), address(server), self.folder / f"{side}.wav"
        )
        self.stack.callback(phone.process.stop)
        return phone

    def remember(self, rung: str, route: str) -> None:
        """Put into HRAC's state that this rung was good."""
        (self.folder / "state").mkdir()
        (self.folder / "state" / "rungs.json").write_text(json.dumps({route: rung}))

    def remembered(self) -> dict[str, str]:
        """What HRAC has noted."""
        noted: dict[str, str] = json.loads((self.folder / "state" / "rungs.json").read_text())
        return noted
