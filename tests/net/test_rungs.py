"""Tests of every rung from end to end on loopback."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from sofw.net.tunnel_client import TunnelClient
from sofw.tunnel.frame import DataType, Frame, encode
from sofw.tunnel.rungs import LADDER, Rung
from tests.net.tunnels import PASSWORD, PHONE, SITE, USER, TinyProxy, TunnelCase, awaited, sip

VOICE = encode(Frame(DataType.MEDIA, PHONE, 20000, b"voice"))


def frames(words: list[str]) -> list[str]:
    """The words that frames said."""
    return [word for word in words if word not in ("up", "down", "resumed", "voice")]


class RungCase(TunnelCase):
    """What each rung must do; the classes below name the rung."""

    rung: Rung

    def setUp(self) -> None:
        super().setUp()
        self.proxy = TinyProxy(self.port)
        listening = reactor.listenTCP(0, self.proxy, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.addCleanup(self.proxy.cut)
        self.proxy_url = f"http://127.0.0.1:{listening.getHost().port}"

    def start(self, rung: Rung) -> TunnelClient:
        """An HRAC on this rung, behind a proxy."""
        return self.start_client(proxy=self.proxy_url, proxy_user=USER, proxy_password=PASSWORD, rung=rung)

    async def both_ways(self, rung: Rung) -> None:
        """Frames of any size and media go both ways."""
        client = self.start(rung)
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        said = [str(number) for number in range(100)]
        long = Frame(DataType.CONTROL, None, 0, b"x" * 60000)
        for number in said:
            client.send(sip(number))
            self.server.send(SITE, sip(number))
        client.send(long)
        self.server.send(SITE, long)
        for recorder in (self.hras, self.hrac):
            await recorder.when(lambda recorder=recorder: len(recorder.events) == 102)
            words = frames(recorder.words())
            words.remove(long.data.decode())
            self.assertEqual(words, said, rung.name)
        await self.voice(client)
        for status in (*client.status(), *self.server.status()):
            self.assertEqual((status["state"], status["reconnects"]), ("up", 0), rung.name)
        self.assertEqual(client.status()[0]["rung"], rung.name)

    async def voice(self, client: TunnelClient) -> None:
        """Media goes both ways."""
        client.send_media(VOICE, 1)
        self.server.send_media(SITE, VOICE * 2, 2)
        await gatherResults(
            [
                self.hras.when(lambda: self.hras.words().count("voice") == 1),
                self.hrac.when(lambda: self.hrac.words().count("voice") == 2),
            ]
        )

    async def cut(self, rung: Rung) -> None:
        """Whatever is cut, and when: sure frames arrive once and in order."""
        client = self.start(rung)
        await gatherResults([self.hras.until("up"), self.hrac.until("up")])
        said = []
        for round_ in range(4):
            for number in range(30):
                said.append(f"{round_}.{number}")
                client.send(sip(said[-1]))
                self.server.send(SITE, sip(said[-1]))
                if number == 5 * round_:
                    self.proxy.cut()
                if number % 7 == 0:
                    await deferLater(reactor, 0)
            for recorder in (self.hras, self.hrac):
                await recorder.when(lambda recorder=recorder: frames(recorder.words()) == said)
        self.assertNotIn("down", self.hras.words() + self.hrac.words())


def _tests_of(rung: Rung) -> type[RungCase]:
    """The tests of one rung, named after it."""

    @awaited
    async def test_both_ways(self: RungCase) -> None:
        await self.both_ways(rung)

    @awaited
    async def test_cut(self: RungCase) -> None:
        await self.cut(rung)

    test_both_ways.__doc__ = RungCase.both_ways.__doc__
    test_cut.__doc__ = RungCase.cut.__doc__
    name = "".join(word.capitalize() for word in rung.name.split("-")) + "Tests"
    return type(
        name, (RungCase,), {"test_both_ways": test_both_ways, "test_cut": test_cut, "__module__": __name__}
    )


globals().update({case.__name__: case for case in map(_tests_of, LADDER)})
