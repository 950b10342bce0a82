"""The tables as docs/performance.md has them."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from compare import AT_ONCE, Compared
from media import Media
from signalling import Signalling

import twisted

_TEXT = """\
# Performance

The numbers of the first two parts were measured by `{command}`, which wrote them here.
{machine}

Both halves run as in life: started by twistd from configuration files, joined by their HTTP tunnel
(one streamed GET, one chunked POST, no proxy between), calls set up by SIP with digest. Everything is
on loopback of one machine. **The two halves share one CPU**; the phones have another one.

## Media

Each call is two RTP streams of 172 bytes (G.711, 20 ms), so 100 packets a second. Loss is of the
packets sent; delay is one way, from the phone's send to the kernel's receive stamp at the other phone;
CPU time is user and system, divided by the packets that arrived. Medians of {runs} runs of {seconds:g} s.
"Direct" is the same streams from phone to phone: what the machine does by itself.

{media}

What `tick` in `[media]` does:

- The cost is for waking up, not for packets. While few packets come each is passed on at once; from
  about four packets in a tick they are gathered, and one turn reads and sends them all. That is why a
  packet costs less when there are more calls, and why the delay grows to about one tick (2 ms as
  shipped): a tenth of the time a packet of voice lasts.
- `tick = 0` passes everything on at once. A longer tick saves CPU time and costs delay.
- When a half cannot keep up, voice that has waited for more than 100 ms is dropped but for the newest
  packet of each port: late voice is lost voice, and a queue would make all of it late.
- A relayed call needs two sockets (RTP and RTCP) in each half; both halves raise their limit of open
  files to what the system allows them.

## Signalling

A call is INVITE, 407, ACK, INVITE with digest, 100, 180, 200, ACK, BYE, 200, with SDP rewritten both
ways and relay ports opened and closed in both halves. "Directly" is the same load from phone to phone,
without digest. Set-up is from the first INVITE to the 200. Medians of {runs} runs of {seconds:g} s.

{signalling}

What it costs, and why:

- Both halves write once per turn of the reactor what the turn has to say, and an ack waits up to 50 ms for
  company. That is why a call costs less when there are more of them.
- Header values, URIs, tokens and addresses are remembered with what they were read as: a message is asked
  for them some five times, and the next message of the call repeats them.
- Python's garbage collector searches all memory when no call is up, else once an hour. Left to itself it
  takes, with thousands of transactions, a fifth of the CPU time and a third of a second at once, in which
  nobody's voice goes on.
- A call leaves five transactions of some 6 kB, three of them for 32 s (RFC 3261 §17, RFC 6026). HRAS has room
  for 50000: about 470 calls a second without end. Beyond it refuses what is new with 503.
"""

_COMPARED_HEAD = "## Beside other SIP servers"
_COMPARED = """\
{head}

Measured by `{command}`, which wrote this part. {machine}

The same calls by SIPp (`bench/uac.xml`, `bench/uas.xml`) through each server in turn on this machine,
{at_once} under way at any time: INVITE with SDP, 100, 180, 200, ACK, BYE, 200, over UDP on loopback, no
digest. Medians of {runs} rounds. All servers share one CPU, SIPp's two phones have another one.

{table}

- Kamailio (Debian's, in C) runs `bench/kamailio.cfg`: stateful (tm), Record-Route, one UDP worker, no
  registrar look-up and no database. SIPp does not bring it to its limit: its calls/s times its CPU per call
  are far from one CPU, where the others' are one.
- Sippy B2BUA (PyPI's, in Python) is its `b2bua_simple`: it ends both dialogs itself, and logs nothing.
- HRAS alone: caller and callee are outside, so the SDP passes as it is; the callee is looked up in the
  registrar.
- HRAC and HRAS: the caller is inside, so each message passes both halves and the tunnel, the SDP is
  rewritten both ways, and each call opens and closes two relay sockets in each half. Both halves count.
"""


def write(
    path: Path, command: str, media: Sequence[Media], calls: Sequence[Signalling], runs: int, seconds: float
) -> None:
    """Write the document."""
    path.parent.mkdir(exist_ok=True)
    text = _TEXT.format(
        command=command,
        machine=machine(),
        runs=runs,
        seconds=seconds,
        media=media_table(media),
        signalling=signalling_table(calls),
    )
    path.write_text("\n".join(part for part in (text, _parts(path)[1]) if part))


def write_compared(path: Path, command: str, rows: Sequence[Compared], runs: int) -> None:
    """Write the part about other servers; the rest of the document stays."""
    text = _COMPARED.format(
        head=_COMPARED_HEAD,
        command=command,
        machine=machine(),
        at_once=AT_ONCE,
        runs=runs,
        table=compared_table(rows),
    )
    path.write_text("\n".join(part for part in (_parts(path)[0], text) if part))


def _parts(path: Path) -> tuple[str, str]:
    """The document before the part about other servers, and that part; "" for what is not there."""
    text = path.read_text() if path.exists() else ""
    first, head, rest = text.partition(_COMPARED_HEAD)
    return first.rstrip() + "\n" if first else "", head + rest


def machine() -> str:
    """Where and when, in one paragraph."""
    cpus = [line.partition(": ")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    system = next((line.partition("=")[2].strip('"') for line in _lines("/etc/os-release")), "Linux")
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {len(cpus)} CPUs"
        f" ({cpus[0] if cpus else platform.machine()}), {system}, Linux {platform.release()},"
        f" Python {platform.python_version()}, Twisted {twisted.__version__}."
    )


def media_table(rows: Sequence[Media]) -> str:
    """Loss, delay and CPU for each number of calls."""
    head = ("calls", "loss %", "delay p50 ms", "p99 ms", "direct p50 ms", "p99 ms")
    halves = [f"{name} us/packet" for name in rows[0].cpu]
    body = [
        (
            str(row.calls),
            f"{row.loss:.3f}",
            *(f"{value:.3f}" for value in (row.p50, row.p99, row.direct_p50, row.direct_p99)),
            *(f"{value:.1f}" for value in row.cpu.values()),
            f"{sum(row.cpu.values()):.1f}",
        )
        for row in rows
    ]
    return _table((*head, *halves, "both us/packet"), body)


def signalling_table(rows: Sequence[Signalling]) -> str:
    """Calls per second, set-up time and CPU for each way and number of calls at once."""
    halves = list(dict.fromkeys(name for row in rows for name in row.cpu))
    head = ("way", "calls at once", "calls/s", "set-up p50 ms", "p99 ms", "failed")
    body = [
        (
            row.way,
            str(row.at_once),
            f"{row.rate:.0f}",
            f"{row.p50:.2f}",
            f"{row.p99:.2f}",
            str(row.failures),
            *(f"{row.cpu[name]:.2f}" if name in row.cpu else "-" for name in halves),
        )
        for row in rows
    ]
    return _table((*head, *(f"{name} ms/call" for name in halves)), body)


def compared_table(rows: Sequence[Compared]) -> str:
    """Calls per second and CPU for each server, and the CPU in relation to HRAS alone."""
    alone = next(row.cpu for row in rows if row.name == "HRAS alone")
    head = ("server", "calls/s", "CPU ms/call", "to HRAS alone", "failed")
    body = [
        (row.name, f"{row.rate:.0f}", f"{row.cpu:.3f}", f"{row.cpu / alone:.2f}", str(row.failures))
        for row in rows
    ]
    return _table(head, body)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
