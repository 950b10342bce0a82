"""`sofw status`, `calls`, `registrations` and `rat`: what a running half has to show."""

from __future__ import annotations

import argparse

from sofw.cli.command import Subparsers, add_command, ask_half, show, show_rows
from sofw.cli.table import format_facts

#: Per command: its summary, and what to say when there is nothing to show.
_LISTS = {
    "calls": ("list the calls that are up", "no calls"),
    "registrations": ("list the phones that are registered", "no phone is registered"),
    "rat": ("show the relay agent table: every media stream and its ports", "no media is relayed"),
}


def add_views(parsers: Subparsers) -> None:
    """Add the commands that only show something."""
    add_command(parsers, "status", "show how a half is doing", _status)
    for name, (summary, _) in _LISTS.items():
        add_command(parsers, name, summary, _list).set_defaults(command=name)


def _status(options: argparse.Namespace) -> int:
    facts = ask_half(options, "status")
    return show(options, facts, format_facts(facts))


def _list(options: argparse.Namespace) -> int:
    rows = ask_half(options, options.command)
    return show_rows(options, rows, _LISTS[options.command][1])
