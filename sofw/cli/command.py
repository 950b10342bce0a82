"""What the commands of the sofw command have in common."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

from sofw.cli.client import ask, find_socket
from sofw.cli.table import Rows, format_table

#: Carries out a command that has been parsed; returns the exit status.
Run = Callable[[argparse.Namespace], int]

Subparsers = Any  # argparse does not name the type that add_subparsers() returns.


def add_common(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """The options that may stand before as well as behind the command."""
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=default,
        help="control socket of the half to ask (default: $SOFW_SOCKET, else the half running here)",
    )
    parser.add_argument("--json", action="store_true", default=default, help="print what a program can read")


def add_command(parsers: Subparsers, name: str, summary: str, run: Run) -> argparse.ArgumentParser:
    """One command with the common options; returns its parser, to add more."""
    parser: argparse.ArgumentParser = parsers.add_parser(name, help=summary, description=summary)
    add_common(parser)
    parser.set_defaults(run=run)
    return parser


def add_group(parsers: Subparsers, name: str, summary: str) -> Subparsers:
    """A command that only has commands below it."""
    parser = parsers.add_parser(name, help=summary, description=summary)
    add_common(parser)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def ask_half(options: argparse.Namespace, command: str, args: Mapping[str, object] | None = None) -> Any:
    """What the half these options name answers. Raises LocalError."""
    return ask(find_socket(options.socket), command, args or {})


def show(options: argparse.Namespace, result: object, text: str) -> int:
    """Print the result as JSON when that was asked for, else the text; returns the status of success."""
    print(json.dumps(result, indent=2) if options.json else text)
    return 0


def show_rows(options: argparse.Namespace, rows: Rows, nothing: str) -> int:
    """Print the rows as a table, or the sentence that says that there are none."""
    return show(options, rows, format_table(rows) if rows else nothing)
