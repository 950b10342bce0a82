"""Calls and their media: where an SDP crosses the wall, the RAT gets its rows and the SDP our address.

A call is one branch of an INVITE, later one dialog. Each SDP from one party sets that party's end of
the rows and leaves with the relay ports of the leg it goes to (papers 002 §3.3, 003 §3). Nothing here
knows whether an SDP is an offer or an answer: both are treated alike, wherever they stand.
"""

from __future__ import annotations

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
from sofw.sdp.session import SdpError, format_session, parse_session
from sofw.sip.message import Message, Request, Response, SipError

M = TypeVar("M", Request, Response)


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


@define(eq=False)
class Call:
    """One dialog, or what may become one."""

    call_id: str
    caller_tag: str
    caller: Party
    callee: Party
    since: float
    callee_tag: str = ""
    state: str = "calling"
    rows: dict[int, Row] = field(factory=dict)
    undo: list[tuple[End, Address | None, Address | None]] = field(factory=list)

    @property
    def relayed(self) -> bool:
        """Whether media goes through us: not between two phones that are both outside."""
        return not (self.caller.leg == OUTSIDE and self.callee.leg == OUTSIDE)

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

    def __len__(self) -> int:
        return sum(len(calls) for calls in self._calls.values())

    def all(self) -> list[Call]:
        """Every call, oldest first."""
        return sorted((c for calls in self._calls.values() for c in calls), key=lambda call: call.since)

    def begin(self, request: Request, caller: Party, callee: Party, now: float) -> tuple[Call, list[Action]]:
        """An INVITE goes to a target: a call that may come to be."""
        call = Call(request.call_id, request.from_.tag or "", caller, callee, now)
        first = {leg for leg in (caller.leg, callee.leg) if leg != OUTSIDE and not self._uses(leg)}
        self._calls.setdefault(call.call_id, []).append(call)
        return call, [Busy(leg, True) for leg in sorted(first)]

    def find(self, message: Message) -> tuple[Call, bool] | None:
        """The call a message within a dialog belongs to, and whether it comes from the caller."""
        tags = (message.from_.tag or "", message.to.tag or "")
        if not all(tags):
            return None
        for call in self._calls.get(message.call_id, ()):
            if tags == (call.caller_tag, call.callee_tag):
                return call, True
            if tags == (call.callee_tag, call.caller_tag):
                return call, False
        return None

    def answered(self, call: Call, response: Response, now: float) -> None:
        """A response of the callee: its tag makes the dialog, a 2xx makes the call (§12.1)."""
        tag = response.to.tag or ""
        if tag and response.status < 300:
            call.callee_tag = tag
            for row in call.rows.values():
                row.to_tag = tag
        if response.status >= 200 and call.state != "up":
            call.state, call.since = "up", now
            for row in call.rows.values():
                row.made = now  # silence counts from the answer: ringing is silent by nature
        elif 180 <= response.status < 200 and call.state == "calling":
            call.state = "ringing"

    def carry(self, call: Call, message: M, from_caller: bool, now: float) -> tuple[M, list[Action]]:
        """Take an SDP across: set the sender's end of the RAT, put our address in its place.

        Raises SdpError (488) when there is an SDP that cannot be read: it is not let through with
        private addresses in it; SipError (503) when no relay port is free.
        """
        content_type = message.headers.get("Content-Type") or ""
        sdp = find_sdp(content_type, message.body) if call.relayed else None
        if sdp is None:
            return message, []
        if message.headers.get("Content-Encoding"):
            raise SdpError("An encoded SDP cannot be relayed")
        session = parse_session(sdp)
        actions: list[Action] = []
        places = [
            self._stream(call, index, terminal, from_caller, now, actions)
            for index, terminal in enumerate(terminals(session))
        ]
        host = self._leg((call.callee if from_caller else call.caller).leg).host
        fresh = format_session(rewrite(session, places, host))
        return evolve(message, body=replace_sdp(content_type, message.body, fresh)), actions

    def keep(self, call: Call) -> None:
        """The change a re-INVITE or UPDATE asked for stands."""
        call.undo.clear()

    def revert(self, call: Call) -> None:
        """The change was refused: the session stays as it was (RFC 3261 §14.1)."""
        for end, rtp, rtcp in reversed(call.undo):
            self.table.set_terminal(end, rtp, rtcp)
        call.undo.clear()

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
        actions += [Busy(leg, False) for leg in legs if not self._uses(leg)]
        fields = (("call_id", call.call_id), ("why", why), ("seconds", round(now - call.since, 1)))
        return [*actions, Note("call.end", fields)]

    def sweep(self, now: float) -> list[Action]:
        """End the calls none of whose streams has been heard of for the silence limit (seconds)."""
        silent = {id(row) for row in self.table.silent(now, self._silence)}
        held = {id(row) for row in self.table.silent(now, self._held_silence)}
        over = [
            call
            for call in self.all()
            if call.state == "up" and call.rows and self._is_dead(call, silent, held)
        ]
        return [action for call in over for action in self.end(call, "silence", now)]

    def site_up(self, leg: str, media: MediaLeg) -> list[Action]:
        """A site's half (re)started: its ports of running calls are to be opened again.

        A port that its configuration no longer grants stays shut; that call ends by silence.
        """
        self._legs[leg] = media
        ports = tuple(filter(media.ports.claim_if_free, sorted(end.relay_port for end in self._ends(leg))))
        return [OpenPorts(leg, ports), Busy(leg, True)] if ports else []

    def site_gone(self, leg: str, now: float) -> list[Action]:
        """A site was deleted: its calls end."""
        over = [call for call in self.all() if leg in (call.caller.leg, call.callee.leg)]
        return [action for call in over for action in self.end(call, "site deleted", now)]

    def _is_dead(self, call: Call, silent: set[int], held: set[int]) -> bool:
        return all(id(row) in (held if row.held else silent) for row in call.rows.values())

    def _uses(self, leg: str) -> bool:
        return any(
            leg in (call.caller.leg, call.callee.leg) for calls in self._calls.values() for call in calls
        )

    def _ends(self, leg: str) -> Iterator[End]:
        return (end for row in self.table.rows() for end in (row.caller, row.callee) if end.leg == leg)

    def _leg(self, leg: str) -> MediaLeg:
        if leg not in self._legs:
            raise SipError("The site of the other party is not connected", 480)
        return self._legs[leg]

    def _stream(
        self, call: Call, index: int, terminal: Terminal, from_caller: bool, now: float, actions: list[Action]
    ) -> MediaAddress | None:
        """One m-line: None where there is nothing to relay (refused, or not UDP)."""
        if terminal.rejected or terminal.tcp:
            self._free(call, index, actions)
            return None
        row = call.rows.get(index) or self._open(call, index, terminal.kind, now, actions)
        sender, receiver = (row.caller, row.callee) if from_caller else (row.callee, row.caller)
        call.undo.append((sender, sender.terminal, sender.control))
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
