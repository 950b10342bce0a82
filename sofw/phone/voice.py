"""What a call has agreed to say and hear, and the sockets that do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sofw.address import Address, is_ip
from sofw.phone.media import Media
from sofw.phone.negotiation import Negotiation
from sofw.sdp.body import find_sdp
from sofw.sip.message import Message

Take = Callable[[bytes], bytes | None]


class Voice:
    """Media, steered by what is negotiated."""

    def __init__(self, reactor: Any, host: str, speech: Sequence[int], repeats: bool) -> None:
        self.media = Media(reactor, host)
        self.media.say(speech, repeats)
        self.agreed = Negotiation(host, self.media.port)

    def read(self, message: Message, take: Take) -> bytes:
        """Let `take` have the message's SDP; what it answers, b"" when there is none. Raises SdpError."""
        sdp = find_sdp(message.headers.get("Content-Type") or "", message.body)
        answer = take(sdp) if sdp else None
        self.speak()
        return answer or b""

    def speak(self) -> None:
        """Speak to where the other phone wants it, if it does."""
        self.media.rtp, self.media.rtcp = usable(self.agreed.rtp), usable(self.agreed.rtcp)
        self.media.speaking = self.agreed.speaking
        if self.media.rtp is not None:
            self.media.start()


def usable(address: Address | None) -> Address | None:
    """The address if it is one a datagram can be sent to."""
    return address if address and is_ip(address.host) and address.port else None
