"""`sofw site`: the sites that may join an HRAS."""

from __future__ import annotations

import argparse

from sofw.cli.command import Subparsers, add_command, add_group, ask_half, show, show_rows


def add_sites(parsers: Subparsers) -> None:
    """Add `site add`, `site del` and `site list`."""
    group = add_group(parsers, "site", "add, remove and list sites")
    parser = add_command(group, "add", "add a site and print what to paste into its hrac.toml", _add)
    parser.add_argument("site", help="its name: lower-case letters, digits and hyphens")
    parser.add_argument(
        "--domain",
        dest="domains",
        metavar="D",
        action="append",
        default=[],
        help="a domain it may serve; may be given again (default: all)",
    )
    parser = add_command(group, "del", "remove a site and close its tunnel", _remove)
    parser.add_argument("site")
    add_command(group, "list", "list the sites", _list)


def _add(options: argparse.Namespace) -> int:
    result = ask_half(options, "site add", {"site": options.site, "domains": options.domains})
    lines = "\n".join(f"    {line}" for line in result["lines"])
    text = (
        f"added {result['site']}. Put these lines at the top of its /etc/sofw/hrac.toml;\n"
        f"the secret is not shown again:\n\n{lines}\n"
    )
    return show(options, result, text)


def _remove(options: argparse.Namespace) -> int:
    result = ask_half(options, "site del", {"site": options.site})
    return show(options, result, f"removed {result['site']}")


def _list(options: argparse.Namespace) -> int:
    sites = ask_half(options, "site list")
    return show_rows(options, sites, "no sites; add one with: sofw site add NAME")
