"""Offers and answers of the phone: one audio stream, G.711 µ-law (RFC 3264)."""

from __future__ import annotations

from secrets import randbits

from sofw.address import Address
from sofw.sdp.rewrite import terminals
from sofw.sdp.session import DIRECTIONS, Media, SdpError, Session, parse_session

#: The answerer's direction for each of the offerer's (RFC 3264 §6.1).
MIRROR = dict(zip(DIRECTIONS, ("sendrecv", "recvonly", "sendonly", "inactive"), strict=True))
_SENDS = ("sendrecv", "sendonly")


class Negotiation:
    """What the two phones have agreed on.

    `rtp` and `rtcp` are the other phone's addresses; `speaking` says whether it wants to hear us;
    `direction` is ours. `held` is true when the other phone has put us on hold.
    """

    def __init__(self, host: str, port: int) -> None:
        self.rtp: Address | None = None
        self.rtcp: Address | None = None
        self.direction = "sendrecv"
        self.held = False
        self._host = host
        self._port = port
        self._session = randbits(31)
        self._version = 0
        self._remote: Session | None = None

    @property
    def speaking(self) -> bool:
        """Whether our voice is to be sent."""
        return self.rtp is not None and self.direction in _SENDS

    def offer(self, direction: str = "sendrecv") -> bytes:
        """A new offer."""
        self.direction = direction
        return self._describe(self._audio(self._port))

    def take_answer(self, sdp: bytes) -> None:
        """The answer to our offer; raises SdpError."""
        self._take(parse_session(sdp), offered=self.direction)

    def take_offer(self, sdp: bytes) -> bytes:
        """An offer; returns our answer to it. Raises SdpError."""
        session = parse_session(sdp)
        self._take(session, offered="sendrecv")
        chosen = self._chosen(session)
        lines = (self._audio(self._port) if media is chosen else refusal(media) for media in session.media)
        return self._describe(*lines)

    def _take(self, session: Session, offered: str) -> None:
        chosen = self._chosen(session)
        terminal = terminals(session)[session.media.index(chosen)]
        self.rtp, self.rtcp = terminal.rtp, terminal.rtcp
        wanted = MIRROR[chosen.direction]
        sends = wanted in _SENDS and offered in _SENDS
        hears = wanted in ("sendrecv", "recvonly") and offered in ("sendrecv", "recvonly")
        self.direction = {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}.get(
            (sends, hears), "inactive"
        )
        self.held = terminal.held and offered == "sendrecv"

    def _chosen(self, session: Session) -> Media:
        for media in session.media:
            formats = media.lines[0].value.split()[3:]
            if media.kind == "audio" and not media.rejected and b"0" in formats and "SAVP" not in media.proto:
                return media
        raise SdpError("No audio stream in G.711 µ-law")

    def _audio(self, port: int) -> str:
        attributes = f"a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na={self.direction}\r\n"
        return f"m=audio {port} RTP/AVP 0\r\n{attributes}"

    def _describe(self, *streams: str) -> bytes:
        self._version += 1
        network = f"IN IP{6 if ':' in self._host else 4} {self._host}"
        head = f"v=0\r\no=- {self._session} {self._version} {network}\r\ns=-\r\nc={network}\r\nt=0 0\r\n"
        return (head + "".join(streams)).encode("utf-8", "surrogateescape")


def refusal(media: Media) -> str:
    """The m-line that refuses a stream (RFC 3264 §6)."""
    formats = media.lines[0].value.decode("utf-8", "surrogateescape").split(maxsplit=3)[3:]
    return " ".join((f"m={media.kind} 0 {media.proto}", *formats)) + "\r\n"
