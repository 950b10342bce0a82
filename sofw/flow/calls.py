"""Calls and their media: where an SDP crosses the wall, the RAT gets its rows and the SDP our address.

A call is one branch of an INVITE, later one dialog. Each SDP from one party sets that party's end of
the rows and leaves with the relay ports of the leg it goes to (papers 002 §3.3, 003 §3). Nothing here
knows whether an SDP is an offer or an answer: both are treated alike, wherever they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from attrs import define, evolve, field, frozen

from sofw.address import OUTSIDE, Address
from sofw.errors import RemoteError
from sofw.flow.actions import Action, Busy, ClosePorts, Note, OpenPorts
from sofw.rtp.ports import NoPorts, PortPairs
from sofw.rtp.table import End, Row, Table
from sofw.sdp.body import find_sdp, replace_sdp
from sofw.sdp.rewrite import MediaAddress, Terminal, rewrite, terminals
from sofw.sdp.session import SdpError, parse_session
from sofw.sip.message import Message, Request, Response, SipError

M = TypeVar("M", Request, Response)

#: Tags a callee may show before one of them answers: more phones than a fork behind us rings.
MAX_EARLY = 20
#: Seconds until a call of which we see no media, and so no silence, is forgotten.
LONGEST_UNSEEN = 12 * 3600.0


@frozen
class Party:
    """One side of a call: its leg and the host its signalling comes from."""

    leg: str
    host: str
    uri: str


@frozen
class MediaLeg:
    """A leg's address for media and its relay ports."""

    host: str
    ports: PortPairs


@define
class Change:
    """What one transaction changes in a call's streams, until it is agreed or refused (RFC 3261 §14.1).

    `before` is what the ends were, oldest first; `opened` and `refused` name m-lines.
    """

    before: list[tuple[Row, End, Address | None, Address | None, bool]] = field(factory=list)
    opened: set[int] = field(factory=set)
    refused: set[int] = field(factory=set)


@define(eq=False)
class Call:
    """One dialog, or what may become one; before the answer the callee may show several tags.

    `expires` is when its session ends unless it is refreshed (RFC 4028), None for never.
    """

    call_id: str
    caller_tag: str
    caller: Party
    callee: Party
    since: float
    callee_tag: str = ""
    early_tags: set[str] = field(factory=set)
    state: str = "calling"
    expires: float | None = None
    rows: dict[int, Row] = field(factory=dict)

    @property
    def relayed(self) -> bool:
        """Whether media goes through us: not between two phones that are both outside."""
        return not (self.caller.leg == OUTSIDE and self.callee.leg == OUTSIDE)

    def is_said_by_callee(self, tag: str) -> bool:
        """Whether a tag is the callee's, in this dialog or in another of the same fork."""
        return tag == self.callee_tag or tag in self.early_tags

    def is_settled_without(self, message: Message) -> bool:
        """Whether the call is up and the message belongs to another dialog of the same fork."""
        known = self.state == "up" and self.callee_tag != ""
        return known and self.callee_tag not in (message.from_.tag, message.to.tag)

    def describe(self, now: float) -> dict[str, object]:
        """The call as `sofw calls` shows it; seconds."""
        return {
            "call_id": self.call_id,
            "state": self.state,
            "caller": self.caller.uri,
            "caller_leg": self.caller.leg,
            "callee": self.callee.uri,
            "callee_leg": self.callee.leg,
            "seconds": round(now - self.since, 1),
            "streams": [row.kind for row in self.rows.values()],
        }


class Calls:
    """All calls that pass through, the RAT and the relay ports of all legs."""

    def __init__(self, table: Table, outside: MediaLeg, silence: float, held_silence: float) -> None:
        """`silence`: seconds without a packet until a call counts as gone; held ones are silent by wish."""
        self.table = table
        self._legs: dict[str, MediaLeg] = {OUTSIDE: outside}
        self._silence = silence
        self._held_silence = held_silence
        self._calls: dict[str, list[Call]] = {}
        self._load: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(len(calls) for calls in self._calls.values())

    def all(self) -> list[Call]:
        """Every call, oldest first."""
        return sorted((c for calls in self._calls.values() for c in calls), key=lambda call: call.since)

    def begin(self, request: Request, caller: Party, callee: Party, now: float) -> tuple[Call, list[Action]]:
        """An INVITE goes to a target: a call that may come to be, or one that we had lost."""
        call = Call(request.call_id, request.from_.tag or "", caller, callee, now, request.to.tag or "")
        legs = sorted({caller.leg, callee.leg} - {OUTSIDE})
        first = [leg for leg in legs if not self._load[leg]]
        self._load.update(legs)
        self._calls.setdefault(call.call_id, []).append(call)
        return call, [Busy(leg, True) for leg in first]

    def move_callee(self, call: Call, host: str) -> None:
        """Another server of the callee is tried: media may be learned from that one instead."""
        call.callee = evolve(call.callee, host=host)
        for row in call.rows.values():
            row.callee.signalling_host = host

    def find(self, message: Message) -> tuple[Call, bool] | None:
        """The call a message within a dialog belongs to, and whether it comes from the caller."""
        near, far = message.from_.tag or "", message.to.tag or ""
        if not (near and far):
            return None
        for call in self._calls.get(message.call_id, ()):
            if near == call.caller_tag and call.is_said_by_callee(far):
                return call, True
            if far == call.caller_tag and call.is_said_by_callee(near):
                return call, False
        return None

    def answered(self, call: Call, response: Response, now: float) -> None:
        """A 1xx or 2xx of the callee: its tag makes a dialog, the first 2xx the call (§12.1)."""
        tag = response.to.tag or ""
        if tag and len(call.early_tags) < MAX_EARLY:
            call.early_tags.add(tag)
        if call.state in ("up", "over"):
            return
        call.callee_tag = tag or call.callee_tag
        for row in call.rows.values():
            row.to_tag = call.callee_tag
        if response.status >= 200:
            call.state, call.since = "up", now
            for row in call.rows.values():
                row.made = now  # silence counts from the answer: ringing is silent by nature
        elif 180 <= response.status < 200 and call.state == "calling":
            call.state = "ringing"

    def refreshed(self, call: Call, response: Response, seconds: int | None, now: float) -> None:
        """A 2xx to INVITE or UPDATE says how long the session lasts; None is for ever (RFC 4028 §8.2)."""
        if not call.is_settled_without(response):
            call.expires = None if seconds is None else now + seconds

    def carry(
        self, call: Call, message: M, from_caller: bool, change: Change, now: float
    ) -> tuple[M, list[Action]]:
        """Take an SDP across: set the sender's end of the RAT, put our address in its place.

        `change` notes what `keep` or `revert` is to settle. Raises SdpError (488) when there is an SDP
        that cannot be read: it is not let through with private addresses in it; SipError 503 when no
        relay port is free, 481 when the call is over.
        """
        content_type = message.headers.get("Content-Type") or ""
        sdp = find_sdp(content_type, message.body) if call.relayed else None
        if sdp is None:
            return message, []
        if call.state == "over":
            raise SipError("The call is over", 481)
        if message.headers.get("Content-Encoding"):
            raise SdpError("An encoded SDP cannot be relayed")
        session = parse_session(sdp)
        actions: list[Action] = []
        elsewhere = call.is_settled_without(message)
        noted = Change() if elsewhere else change
        places = [
            self._stream(call, index, terminal, from_caller, noted, now, actions)
            for index, terminal in enumerate(terminals(session))
        ]
        if elsewhere:
            self._restore(noted)
        host = self._leg((call.callee if from_caller else call.caller).leg).host
        fresh = replace_sdp(content_type, message.body, rewrite(session, places, host))
        return evolve(message, body=fresh), actions

    def keep(self, call: Call, change: Change) -> list[Action]:
        """What was offered and answered stands; streams that were refused are over."""
        actions: list[Action] = []
        for index in sorted(change.refused):
            self._free(call, index, actions)
        return actions

    def revert(self, call: Call, change: Change) -> list[Action]:
        """The change was refused: the session stays as it was (RFC 3261 §14.1)."""
        actions: list[Action] = []
        self._restore(change)
        for index in sorted(change.opened):
            self._free(call, index, actions)
        return actions

    def end(self, call: Call, why: str, now: float) -> list[Action]:
        """The call is over: its rows and ports are free again."""
        calls = self._calls.get(call.call_id, [])
        if call not in calls:
            return []
        calls.remove(call)
        call.state = "over"
        if not calls:
            del self._calls[call.call_id]
        actions: list[Action] = []
        for index in list(call.rows):
            self._free(call, index, actions)
        legs = sorted({call.caller.leg, call.callee.leg} - {OUTSIDE})
        self._load.subtract(legs)
        self._load += Counter()  # forgets the legs at 0
        actions += [Busy(leg, False) for leg in legs if not self._load[leg]]
        fields = (("call_id", call.call_id), ("why", why), ("seconds", round(now - call.since, 1)))
        return [*actions, Note("call.end", fields)]

    def sweep(self, now: float) -> list[Action]:
        """End the calls that were not refreshed in time, or not heard of for the silence limit (seconds)."""
        silent = {id(row) for row in self.table.silent(now, self._silence)}
        held = {id(row) for row in self.table.silent(now, self._held_silence)}
        actions: list[Action] = []
        for call in self.all():
            if call.expires is not None and call.expires <= now:
                actions += self.end(call, "session expired", now)
            elif call.state == "up" and self._is_dead(call, silent, held, now):
                actions += self.end(call, "silence", now)
        return actions

    def site_up(self, leg: str, media: MediaLeg) -> list[Action]:
        """A site's half (re)started: its ports of running calls are to be opened again.

        A port that its configuration no longer grants stays shut; that call ends by silence.
        """
        self._legs[leg] = media
        ports = tuple(filter(media.ports.claim_if_free, sorted(end.relay_port for end in self._ends(leg))))
        return [OpenPorts(leg, ports), Busy(leg, True)] if ports else []

    def site_gone(self, leg: str, now: float, why: str = "site deleted") -> list[Action]:
        """A site is gone for good: its calls end."""
        over = [call for call in self.all() if leg in (call.caller.leg, call.callee.leg)]
        actions = [action for call in over for action in self.end(call, why, now)]
        self._legs.pop(leg, None)
        return actions

    def _is_dead(self, call: Call, silent: set[int], held: set[int], now: float) -> bool:
        if not call.rows:
            return now - call.since > LONGEST_UNSEEN
        return all(id(row) in (held if row.held else silent) for row in call.rows.values())

    def _restore(self, change: Change) -> None:
        for row, end, rtp, rtcp, held in reversed(change.before):
            self.table.set_terminal(end, rtp, rtcp)
            row.held = held
        change.before.clear()

    def _ends(self, leg: str) -> Iterator[End]:
        return (end for row in self.table.rows() for end in (row.caller, row.callee) if end.leg == leg)

    def _leg(self, leg: str) -> MediaLeg:
        if leg not in self._legs:
            raise SipError("The site of the other party is not connected", 480)
        return self._legs[leg]

    def _stream(
        self,
        call: Call,
        index: int,
        terminal: Terminal,
        from_caller: bool,
        change: Change,
        now: float,
        actions: list[Action],
    ) -> MediaAddress | None:
        """One m-line: None where there is nothing to relay (refused, or not UDP)."""
        if terminal.rejected or terminal.tcp:
            # Until both agree, the stream may still be wanted: by another fork, or after a refusal.
            change.refused.add(index)
            return None
        change.refused.discard(index)
        row = call.rows.get(index)
        if row is None:
            row = self._open(call, index, terminal.kind, now, actions)
            change.opened.add(index)
        sender, receiver = (row.caller, row.callee) if from_caller else (row.callee, row.caller)
        change.before.append((row, sender, sender.terminal, sender.control, row.held))
        self.table.set_terminal(sender, terminal.rtp, terminal.rtcp)
        row.held = terminal.held
        return MediaAddress(self._leg(receiver.leg).host, receiver.relay_port, receiver.relay_port + 1)

    def _open(self, call: Call, index: int, kind: str, now: float, actions: list[Action]) -> Row:
        near = self._take(call.caller, actions)
        try:
            far = self._take(call.callee, actions)
        except RemoteError:
            self._leg(call.caller.leg).ports.give_back(near.relay_port)
            raise
        row = Row(call.call_id, call.caller_tag, call.callee_tag, index, kind, near, far, now, now)
        self.table.add(row)
        call.rows[index] = row
        return row

    def _take(self, party: Party, actions: list[Action]) -> End:
        try:
            port = self._leg(party.leg).ports.take()
        except NoPorts as error:
            raise SipError(str(error), error.status) from error
        actions.append(OpenPorts(party.leg, (port,)))
        return End(party.leg, port, party.host)

    def _free(self, call: Call, index: int, actions: list[Action]) -> None:
        row = call.rows.pop(index, None)
        if row is None:
            return
        self.table.remove(row)
        for end in (row.caller, row.callee):
            self._leg(end.leg).ports.give_back(end.relay_port)
            actions.append(ClosePorts(end.leg, (end.relay_port,)))
