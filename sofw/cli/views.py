"""`sofw status`, `calls`, `registrations` and `rat`: what a running half has to show.

`--json` gives all of it; a person gets the columns that fit a terminal.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from sofw.cli.command import Subparsers, add_command, ask_half, show
from sofw.cli.table import Rows, format_facts, format_table

Row = Mapping[str, Any]

#: Columns of a tunnel and of a media stream that tell a person how it is doing.
_TUNNEL = ("site", "state", "rung", "lanes", "rtt_ms", "bytes_in", "bytes_out", "media_dropped", "reconnects")
_STREAM = ("To", "From", "Call-ID", "IIP", "IPort", "OIP", "OPort", "kind", "held")
#: Characters of a tag or Call-ID that tell it from others.
_SHORT = 12


@frozen
class _List:
    """A command that shows rows: its summary, what to say when there are none, how a person sees one."""

    summary: str
    nothing: str
    brief: Callable[[Row], Row] = dict


def add_views(parsers: Subparsers) -> None:
    """Add the commands that only show something."""
    add_command(parsers, "status", "show how a half is doing", _status)
    for name, view in _LISTS.items():
        add_command(parsers, name, view.summary, _list).set_defaults(command=name)


def _status(options: argparse.Namespace) -> int:
    facts = ask_half(options, "status")
    brief = {**facts, "tunnels": [_only(row, _TUNNEL) for row in facts.get("tunnels", [])]}
    return show(options, facts, format_facts(brief if "tunnels" in facts else facts))


def _list(options: argparse.Namespace) -> int:
    view, rows = _LISTS[options.command], ask_half(options, options.command)
    table: Rows = [view.brief(row) for row in rows]
    return show(options, rows, format_table(table) if table else view.nothing)


def _stream(row: Row) -> Row:
    """A row of the RAT: the papers' columns, and what came from each end."""
    brief = _only(row, _STREAM)
    for name in ("To", "From", "Call-ID"):
        if name in brief:
            brief[name] = str(brief[name])[:_SHORT]
    for end in ("caller", "callee"):
        if end in row:
            brief[f"from {end}"] = row[end].get("packets")
    return brief


def _call(row: Row) -> Row:
    """A call, its Call-ID cut short."""
    return {name: str(value)[:_SHORT] if name == "call_id" else value for name, value in row.items()}


def _only(row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}


_LISTS = {
    "calls": _List("list the calls that are up", "no calls", _call),
    "registrations": _List("list the phones that are registered", "no phone is registered"),
    "rat": _List(
        "show the relay agent table: every media stream and its ports", "no media is relayed", _stream
    ),
}
