"""`sofw off` and `sofw on`: close the tunnels of a half, and let it open them again."""

from __future__ import annotations

import argparse

from sofw.cli.command import Subparsers, add_command, ask_half, show

_DONE = {
    "off": "off: tunnels are closed and calls through them ended; it stays off until: sofw on",
    "on": "on: tunnels come up again",
}


def add_switch(parsers: Subparsers) -> None:
    """Add `off` and `on`."""
    off = "close all tunnels at once and keep them closed, over restarts too"
    add_command(parsers, "off", off, _turn).set_defaults(command="off")
    add_command(parsers, "on", "let tunnels come up again", _turn).set_defaults(command="on")


def _turn(options: argparse.Namespace) -> int:
    return show(options, ask_half(options, options.command), _DONE[options.command])
