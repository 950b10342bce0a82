"""One end of a tunnel at work: a link, the lanes it has at the moment, and its timer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.logger import Logger

from sofw.errors import LocalError
from sofw.tunnel.bucket import Bucket
from sofw.tunnel.exchange import Hello
from sofw.tunnel.frame import Decoder, Frame, FrameError
from sofw.tunnel.link import Deliver, Down, DropLanes, Link, Output, State, TunnelListener, Up

#: Bytes of a chunk: what a proxy forwards in one go (perf: chunks of up to 64 KiB cost the least).
CHUNK = 65536
#: The same below a ceiling of bytes per second: voice must not wait long behind one write.
SMALL_CHUNK = 2048
#: Seconds an ack waits for a frame to go with: without one it would cost both halves a turn of its own.
#: Until then the peer keeps what it may have to send again, of which it has room for seconds.
ACK_DELAY = 0.05


class Sender(Protocol):
    """What an end writes to. Its rung calls `pump` when it has become writable."""

    @property
    def writable(self) -> bool:
        """Whether a write would leave at once."""

    def write(self, data: bytes) -> None:
        """Send whole frames, not empty."""


class Metered:
    """A sender below a ceiling of bytes per second."""

    def __init__(self, sender: Sender, ceiling: Bucket, seconds: Callable[[], float]) -> None:
        self._sender = sender
        self._ceiling = ceiling
        self._seconds = seconds

    @property
    def writable(self) -> bool:
        """Whether a write would leave at once, and may."""
        return self._sender.writable and not self._ceiling.wait(self._seconds())

    def write(self, data: bytes) -> None:
        """Send whole frames, not empty."""
        self._ceiling.spend(len(data), self._seconds())
        self._sender.write(data)


class TunnelEnd:
    """Performs what the link says: tells the listener, writes to the lane, keeps the time.

    `drop_lanes(reason)` must close both lanes' connections; nothing of them may come in afterwards.
    """

    log = Logger("sofw")

    def __init__(
        self,
        reactor: Any,
        link: Link,
        leg: str,
        hello: Hello,
        listener: TunnelListener,
        drop_lanes: Callable[[str], None],
    ) -> None:
        self.hello = hello
        self._reactor = reactor
        self._link = link
        self._leg = leg
        self._listener = listener
        self._drop_lanes = drop_lanes
        self._media = partial(listener.media, leg)
        self._lane: Sender | None = None
        rate = hello.bytes_per_second
        self._ceiling = Bucket(rate, rate / 4) if rate else None
        self._decoder = Decoder()
        self._timer: Any = None
        self._leaving: Any = None
        #: Whether the session ended because somebody else has opened one for the same site.
        self.replaced = False
        #: Whether the listener has heard that the session is over; what came before is still handed over.
        self._over = False
        self._since = reactor.seconds()
        self._bytes_in = self._bytes_out = self._unknown = self._faults = 0
        self._arm()

    @property
    def busy(self) -> bool:
        """Whether calls are up."""
        return self._link.busy

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        return self._link.state is State.CLOSED

    def opening_lanes(self) -> None:
        """HRAC begins to open lanes."""
        self._link.opening_lanes(self._reactor.seconds())
        self._arm()

    def sending_opened(self, lane: Sender) -> None:
        """The lane to send on is there."""
        self._lane = lane if self._ceiling is None else Metered(lane, self._ceiling, self._reactor.seconds)
        self._perform(self._link.sending_opened(self._reactor.seconds()))

    def receiving_opened(self) -> None:
        """The lane to receive on is there."""
        self._unknown += self._decoder.unknown
        self._decoder = Decoder()
        self._link.receiving_opened()

    def received(self, data: bytes) -> None:
        """Bytes came on the receiving lane."""
        self._bytes_in += len(data)
        try:
            frames = self._feed(data)
        except FrameError as error:
            self.lost(str(error))
            return
        if frames:
            self._carry_out(self._link.received(frames, self._reactor.seconds()))
            self._leave(ACK_DELAY if self._link.outbox.patient else 0)
        self._listener.media_end(self._leg)

    def decode(self, data: bytes) -> list[Frame]:
        """The frames of a part, which are whole. Its media is handed over at once, whatever is yet to come.

        A part that cannot be is a lost lane.
        """
        self._bytes_in += len(data)
        # Of a part nothing is left over, so the next one finds the decoder as good as new.
        decoder = self._decoder = Decoder()
        try:
            frames = self._feed(data)
        except FrameError as error:
            self.lost(str(error))
            return []
        self._unknown, decoder.unknown = self._unknown + decoder.unknown, 0
        self._listener.media_end(self._leg)
        if not decoder.whole:
            self.lost("A part ended within a frame")
            return []
        return frames

    def deliver(self, frames: list[Frame]) -> None:
        """The frames of a part whose turn has come."""
        self._perform(self._link.received(frames, self._reactor.seconds()))

    def lost(self, reason: str) -> None:
        """A lane is lost."""
        self._perform(self._link.lost(reason, self._reactor.seconds()))

    def close(self, reason: str) -> None:
        """The session is over."""
        self._perform(self._link.end(reason, self._reactor.seconds()))

    def say_goodbye(self) -> bool:
        """Let the other half end the session, as this one is about to stop; whether it can be told."""
        # What was said before goes first: the other half listens no longer than that.
        self.pump()
        told = self._link.say_goodbye()
        self.pump()
        return told

    def abandon(self) -> None:
        """This half stops: close everything and tell nobody."""
        self._link.end("", self._reactor.seconds())
        self._over, self._lane = True, None
        self._stop_leaving()
        self._arm()
        self._drop_lanes("stopped")

    def set_busy(self, busy: bool) -> None:
        """Calls are up, or none any more."""
        self._link.set_busy(busy, self._reactor.seconds())
        self._arm()

    def send(self, frame: Frame) -> bool:
        """Send a sure frame, once and in order; false after the end of the session."""
        if self.closed:
            return False
        try:
            outputs = self._link.send(frame, self._reactor.seconds())
        except LocalError as error:
            self.log.error("tunnel.unsendable leg={leg} reason={reason}", leg=self._leg, reason=str(error))
            return False
        self._carry_out(outputs)
        self._leave(0)
        return True

    def send_media(self, batch: bytes, packets: int) -> None:
        """Send media frames at once, or drop them when that is not possible in time."""
        lane, outbox = self._lane, self._link.outbox
        # While the lane is writable only frames of this very turn wait in the outbox.
        if lane is not None and lane.writable and outbox.ready:
            self._bytes_out += len(batch)
            lane.write(batch)
        else:
            outbox.put_media(batch, packets, self._reactor.seconds())
            if self._ceiling is not None:
                self.pump()

    def pump(self) -> None:
        """Write what may leave, while the lane takes it."""
        self._stop_leaving()
        outbox = self._link.outbox
        while self._lane is not None and self._lane.writable and not outbox.empty:
            data = outbox.take(self._reactor.seconds(), CHUNK if self._ceiling is None else SMALL_CHUNK)
            if data:
                self._bytes_out += len(data)
                self._lane.write(data)
        if self._ceiling is not None and not outbox.empty:
            wait = self._ceiling.wait(self._reactor.seconds())
            if wait > 0:
                self._leave(wait)

    def status(self, rung: str, lanes: int) -> dict[str, object]:
        """The state of this tunnel for the operator; `since` is when the session began."""
        link, outbox = self._link, self._link.outbox
        return {
            "site": self.hello.site,
            "state": link.state.value,
            "rung": rung,
            "since": self._since,
            "lanes": lanes,
            "rtt_ms": None if link.round_trip is None else round(link.round_trip * 1000, 2),
            "sure_queued": outbox.queued,
            "sure_unacked": outbox.unacked,
            "sure_acked": outbox.acked,
            "sure_refused": outbox.refused,
            "bytes_in": self._bytes_in,
            "bytes_out": self._bytes_out,
            "media_dropped": outbox.media_dropped,
            "unknown_frames": self._unknown + self._decoder.unknown,
            "media_faults": self._faults,
            "reconnects": max(0, link.joined - 1),
        }

    def _feed(self, data: bytes) -> list[Frame]:
        """A fault in handling media must not cost the lane: what this read brought is read once more,
        without its media."""
        decoder = self._decoder
        try:
            return decoder.feed(data, self._media)
        except FrameError:
            raise
        except Exception:
            if self._faults == 0:
                self.log.failure("tunnel.media_failed leg={leg}", leg=self._leg)
            self._faults += 1
            # The decoder takes its note of what is left at the end: it has not moved.
            return decoder.feed(data, _no_media)

    def _perform(self, outputs: list[Output]) -> None:
        self._carry_out(outputs)
        self.pump()

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            self._one(output)
        self._arm()

    def _leave(self, within: float) -> None:
        """Write within so many seconds; 0 is the end of this turn, so that all it sends is one write."""
        if self._lane is None:
            return  # the next one begins with what waits
        if self._leaving is not None:
            if within or self._leaving.getTime() <= self._reactor.seconds():
                return
            self._leaving.cancel()
        self._leaving = self._reactor.callLater(within, self.pump)

    def _stop_leaving(self) -> None:
        if self._leaving is not None and self._leaving.active():
            self._leaving.cancel()
        self._leaving = None

    def _one(self, output: Output) -> None:
        if isinstance(output, Deliver):
            self._deliver(output.frame)
        elif isinstance(output, Up):
            self.log.info("tunnel.up leg={leg} resumed={resumed}", leg=self._leg, resumed=output.resumed)
            self._listener.tunnel_up(self._leg, self.hello, output.resumed)
        elif isinstance(output, DropLanes):
            self._lane = None
            self._stop_leaving()
            self._drop_lanes(output.reason)
        elif isinstance(output, Down):
            self._over = True
            self.log.info("tunnel.down leg={leg} reason={reason}", leg=self._leg, reason=output.reason)
            self._listener.tunnel_down(self._leg)

    def _deliver(self, frame: Frame) -> None:
        """A fault in handling one frame must not cost the lane, or the frame would come back for ever."""
        if self._over:
            return
        try:
            self._listener.frame(self._leg, frame)
        except Exception:
            self.log.failure("tunnel.frame_failed leg={leg} type={type}", leg=self._leg, type=int(frame.type))

    def _arm(self) -> None:
        """See to it that the link is asked when it is due; a timer that rings too early does no harm."""
        due = self._link.due
        ringing = self._timer is not None and self._timer.active()
        if due is None:
            if ringing:
                self._timer.cancel()
            return
        delay = max(0.0, due - self._reactor.seconds())
        if not ringing:
            self._timer = self._reactor.callLater(delay, self._ring)
        elif due < self._timer.getTime():
            self._timer.reset(delay)

    def _ring(self) -> None:
        self._perform(self._link.tick(self._reactor.seconds()))


def _no_media(_head: bytes, _relay_port: int, _payload: bytes) -> None:
    """Media that is dropped."""
