"""`sofw check`: whether configuration files are right."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from collections.abc import Callable, Sequence

from sofw.cli.command import Subparsers, add_command
from sofw.cli.table import printable
from sofw.errors import ConfigError, LocalError
from sofw.service.config import HRAC_FILE, HRAS_FILE, load_hrac, load_hras


def add_check(parsers: Subparsers) -> None:
    """Add `check`."""
    parser = add_command(parsers, "check", "check configuration files", _check)
    parser.add_argument("files", metavar="FILE", nargs="*", help="default: those that exist in /etc/sofw")


def _check(options: argparse.Namespace) -> int:
    files = options.files or [path for path in (HRAS_FILE, HRAC_FILE) if os.path.exists(path)]
    if not files:
        raise LocalError(f"there is neither {HRAS_FILE} nor {HRAC_FILE}; name the file to check")
    results = [_result(path) for path in files]
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        _tell(results)
    return 1 if any(result["error"] for result in results) else 0


def _result(path: str) -> dict[str, str]:
    try:
        _loader(path)(path)
    except ConfigError as error:
        return {"file": path, "error": str(error)}
    return {"file": path, "error": ""}


def _tell(results: Sequence[dict[str, str]]) -> None:
    for result in results:
        if result["error"]:
            print(f"sofw: {printable(result['error'])}", file=sys.stderr)
        else:
            print(f"{result['file']}: correct")


def _loader(path: str) -> Callable[[str], object]:
    """How to read this file: as its name says, else as what it holds says."""
    name = os.path.basename(path)
    if "hrac" in name or "hras" in name:
        return load_hrac if "hrac" in name else load_hras
    try:
        with open(path, "rb") as file:
            keys = tomllib.load(file)
    except (OSError, ValueError):
        # Either loader explains what is wrong with the file as a whole.
        return load_hras
    return load_hrac if "site" in keys or "hras" in keys else load_hras
