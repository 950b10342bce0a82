"""The `sofw` command: parses its line, and turns every error into one line on stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from sofw import __version__
from sofw.cli.check import add_check
from sofw.cli.command import add_common
from sofw.cli.sites import add_sites
from sofw.cli.switch import add_switch
from sofw.cli.table import printable
from sofw.cli.users import add_users
from sofw.cli.views import add_views
from sofw.errors import SofwError

#: The status of a shell when a program ends by Ctrl-C.
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns the exit status: 0, or 1 for an error.

    Raises SystemExit with 2 for wrong usage, and with 0 after --help and --version.
    """
    try:
        return _carry_out(list(sys.argv[1:] if arguments is None else arguments))
    except SofwError as error:
        print(f"sofw: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _carry_out(arguments: list[str]) -> int:
    if arguments[:1] == ["demo"]:
        # The demonstration reads its own line, and is imported only for its own sake.
        return int(import_module("sofw.demo.run").main(arguments[1:]))
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sofw", description="Look after SoFW, SIP over FireWall.")
    parser.add_argument("--version", action="version", version=f"sofw {__version__}")
    add_common(parser, default=None)
    parsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_check(parsers)
    add_users(parsers)
    add_sites(parsers)
    add_views(parsers)
    add_switch(parsers)
    parsers.add_parser("demo", help="show a call through a firewall on this machine")
    return parser


if __name__ == "__main__":
    sys.exit(main())
