"""The SIP flows of the lab, each as (what the caller does, what the callee does)."""

from __future__ import annotations

from pathlib import Path

from sofw.demo.network import Computer
from tests.lab.sipp import (
    ack_refusal,
    answer,
    answer_last,
    asked,
    asked_again,
    first,
    got,
    pause,
    request,
    run_sipp,
    scenario,
    sdp,
)

#: The steps of the caller, the steps of the callee.
Flow = tuple[tuple[str, ...], tuple[str, ...]]

_RELIABLE = "Require: 100rel\nRSeq: 17\n"
_RINGS = (got(100, optional=True), got(180, optional=True), got(183, optional=True))
_HANGS_UP = (pause(200), request("BYE", 9), got(200))
_IS_HUNG_UP_ON = (asked("BYE"), answer_last())

FLOWS: dict[str, Flow] = {
    "plain call": (
        (first("INVITE", sdp()), *_RINGS, got(200), request("ACK", 1), *_HANGS_UP),
        (asked("INVITE"), answer(180), answer(200, sdp()), asked("ACK"), *_IS_HUNG_UP_ON),
    ),
    "cancel": (
        (
            *(first("INVITE", sdp()), got(100, optional=True), got(180)),
            *(first("CANCEL"), got(200), got(487), ack_refusal()),
        ),
        (asked("INVITE"), answer(180), asked("CANCEL"), answer_last(), answer(487), asked("ACK")),
    ),
    "busy": (
        (first("INVITE", sdp()), got(100, optional=True), got(486), ack_refusal()),
        (asked("INVITE"), answer(486), asked("ACK")),
    ),
    "no answer": (
        (first("INVITE", sdp()), got(100, optional=True), got(180), got(480), ack_refusal()),
        (asked("INVITE"), answer(180), pause(1500), answer(480), asked("ACK")),
    ),
    "hold by re-INVITE": (
        (
            *(first("INVITE", sdp()), *_RINGS, got(200), request("ACK", 1)),
            *(request("INVITE", 2, sdp("sendonly", 2)), got(100, optional=True), got(200), request("ACK", 2)),
            *(request("INVITE", 3, sdp("sendrecv", 3)), got(100, optional=True), got(200), request("ACK", 3)),
            *_HANGS_UP,
        ),
        (
            *(asked("INVITE"), answer(200, sdp()), asked("ACK")),
            *(asked_again(), answer_last(sdp("recvonly", 2)), asked("ACK")),
            *(asked_again(), answer_last(sdp("sendrecv", 3)), asked("ACK")),
            *_IS_HUNG_UP_ON,
        ),
    ),
    "UPDATE in the call": (
        (
            *(first("INVITE", sdp()), *_RINGS, got(200), request("ACK", 1)),
            *(request("UPDATE", 2, sdp("sendonly", 2)), got(200)),
            *_HANGS_UP,
        ),
        (
            *(asked("INVITE"), answer(200, sdp()), asked("ACK")),
            *(asked("UPDATE"), answer_last(sdp("recvonly", 2)), *_IS_HUNG_UP_ON),
        ),
    ),
    "PRACK and early media": (
        (
            *(first("INVITE", sdp(), "Supported: 100rel\n"), got(100, optional=True), got(183)),
            *(request("PRACK", 2, extra="RAck: 17 1 INVITE\n"), got(200)),
            *(got(200), request("ACK", 1), *_HANGS_UP),
        ),
        (
            *(asked("INVITE"), answer(183, sdp(), _RELIABLE), asked("PRACK"), answer_last()),
            *(pause(300), answer(200), asked("ACK"), *_IS_HUNG_UP_ON),
        ),
    ),
    "UPDATE before the answer": (
        (
            *(first("INVITE", sdp(), "Supported: 100rel\n"), got(100, optional=True), got(183)),
            *(request("PRACK", 2, extra="RAck: 17 1 INVITE\n"), got(200)),
            *(request("UPDATE", 3, sdp(version=2)), got(200)),
            *(got(200), request("ACK", 1), *_HANGS_UP),
        ),
        (
            *(asked("INVITE"), answer(183, sdp(), _RELIABLE), asked("PRACK"), answer_last()),
            *(asked("UPDATE"), answer_last(sdp(version=2))),
            *(pause(300), answer(200), asked("ACK"), *_IS_HUNG_UP_ON),
        ),
    ),
    "delayed offer": (
        (first("INVITE"), *_RINGS, got(200), request("ACK", 1, sdp()), *_HANGS_UP),
        (asked("INVITE"), answer(180), answer(200, sdp()), asked("ACK"), *_IS_HUNG_UP_ON),
    ),
}


def play(
    name: str, folder: Path, caller: Computer, callee: Computer, *, through: str, flow: Flow | None = None
) -> str:
    """Play a flow (by default that of FLOWS) to its end; "" when both are content, else their complaints.

    `through` is the SIP server that the caller sends to.
    """
    calls, answers = flow or FLOWS[name]
    waiting = run_sipp(scenario(name, answers), folder / "callee", callee)
    calling = run_sipp(scenario(name, calls), folder / "caller", caller, peer=through, service="inge")
    try:
        if (calling.wait(20), waiting.wait(5)) == (0, 0):
            return ""
    finally:
        calling.stop()
        waiting.stop()
    return f"{name}:\n" + "\n".join(path.read_text() for path in folder.glob("*/errors.log"))
