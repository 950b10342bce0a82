"""`python3 -m sofw.phone`: a phone for a terminal or a script; see console.py for what to type."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react

from sofw.address import Transport, parse_address
from sofw.errors import SofwError
from sofw.phone.audio import read_wav
from sofw.phone.console import Console
from sofw.phone.phone import Phone


def options() -> ArgumentParser:
    """The command line."""
    parser = ArgumentParser(prog="python3 -m sofw.phone", description="A small SIP phone.")
    parser.add_argument("--host", default="127.0.0.1", help="own address (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=5060, help="own SIP port, 0 for any (default: %(default)s)"
    )
    transport = parser.add_mutually_exclusive_group()
    for name in ("tcp", "tls"):
        transport.add_argument(
            f"--{name}",
            action="store_const",
            dest="transport",
            const=Transport(name.upper()),
            default=Transport.UDP,
            help=f"SIP over {name.upper()} instead of UDP",
        )
    parser.add_argument("--ca", metavar="PEM", default="", help="whom to believe over TLS")
    parser.add_argument("--registrar", metavar="HOST:PORT", help="SIP server for everything outside calls")
    parser.add_argument("--user", default="phone", help="user part of the own address (default: %(default)s)")
    parser.add_argument("--domain", default="", help="domain of the own address (default: the own host)")
    parser.add_argument("--password", default="", help="answer to challenges")
    parser.add_argument("--speech", type=Path, metavar="WAV", help="what to say, over and over")
    parser.add_argument("--reliable", action="store_true", help="want a PRACK when ringing")
    ways = ("auto", "ring", "early", "reject")
    parser.add_argument(
        "--answering", choices=ways, default="auto", help="incoming calls (default: %(default)s)"
    )
    return parser


def phone_of(reactor: Any, given: Namespace) -> Phone:
    """The phone these options describe; raises SofwError."""
    default_port = 5061 if given.transport is Transport.TLS else 5060
    return Phone(
        reactor,
        given.host,
        given.port,
        given.transport,
        parse_address(given.registrar, default_port) if given.registrar else None,
        given.user,
        given.domain,
        given.password,
        answering=given.answering,
        reliable=given.reliable,
        speech=read_wav(given.speech) if given.speech else (),
        repeats=True,
        ca_file=given.ca,
    )


def main(reactor: Any, *arguments: str) -> Deferred[Any]:
    """Run until `quit` or the end of the input."""
    try:
        phone = phone_of(reactor, options().parse_args(arguments))
    except SofwError as error:
        sys.exit(f"sofw phone: {error}")
    console = Console(phone)
    StandardIO(console, reactor=reactor)  # type: ignore[no-untyped-call]
    console.print("ready", phone.contact)
    return console.over.addCallback(lambda _: phone.stop())


if __name__ == "__main__":
    react(main, sys.argv[1:])
