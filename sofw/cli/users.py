"""`sofw user`: the users of an HRAS."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys

from sofw.cli.command import Subparsers, add_command, add_group, ask_half, show, show_rows
from sofw.errors import LocalError

#: Bytes of randomness in a password made here; 96 bits, 16 characters to type into a phone.
_PASSWORD_BYTES = 12


def add_users(parsers: Subparsers) -> None:
    """Add `user add`, `user passwd`, `user del` and `user list`."""
    group = add_group(parsers, "user", "add, change, remove and list users")
    for name, summary in (("add", "add a user"), ("passwd", "change the password of a user")):
        parser = add_command(group, name, summary, _give_password)
        parser.set_defaults(command=f"user {name}")
        parser.add_argument("user", help="name@domain, or the name alone when there is one domain")
        _add_password(parser)
    parser = add_command(group, "del", "remove a user", _remove)
    parser.add_argument("user", help="name@domain, or the name alone when there is one domain")
    add_command(group, "list", "list the users", _list)


def _add_password(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--password", help="the password (others on this machine may see it; default: ask)")
    ways.add_argument("--password-stdin", action="store_true", help="read it from the first line of stdin")
    ways.add_argument("--generate", action="store_true", help="make one and print it")


def _give_password(options: argparse.Namespace) -> int:
    password = _password(options)
    result = ask_half(options, options.command, {"user": options.user, "password": password})
    done = "added" if options.command == "user add" else "changed"
    if not options.generate:
        return show(options, result, f"{done} {result['user']}")
    text = f"{done} {result['user']}\npassword: {password}"
    return show(options, {**result, "password": password}, text)


def _password(options: argparse.Namespace) -> str:
    if options.generate:
        return secrets.token_urlsafe(_PASSWORD_BYTES)
    if options.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if options.password is not None:
        return str(options.password)
    return _prompt(options.user)


def _prompt(user: str) -> str:
    try:
        password = getpass.getpass(f"Password for {user}: ")
        again = getpass.getpass("Once more: ")
    except EOFError as error:
        raise LocalError("no password was given; see --password-stdin and --generate") from error
    if password != again:
        raise LocalError("the two passwords differ")
    return password


def _remove(options: argparse.Namespace) -> int:
    result = ask_half(options, "user del", {"user": options.user})
    return show(options, result, f"removed {result['user']}")


def _list(options: argparse.Namespace) -> int:
    users = ask_half(options, "user list")
    return show_rows(options, users, "no users; add one with: sofw user add NAME")
