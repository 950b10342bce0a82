"""Imports go one way, and the core stays without input, output, clock and log."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).resolve().parents[1] / "sofw"

BASE = {"errors", "address", "credentials"}
CORE = {"sip", "sdp", "rtp", "tunnel"}

#: Per part of sofw (a package or a module), the other parts it may import.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "address": {"errors"},
    "credentials": {"errors"},
    **{part: BASE for part in CORE},
    "flow": BASE | CORE,
    "net": BASE | CORE | {"flow"},
    "store": BASE | {"sip"},
    "admin": BASE | CORE | {"flow", "store"},
    "phone": BASE | CORE | {"net"},
    "service": BASE | CORE | {"flow", "net", "store", "admin"},
    "cli": BASE | {"admin", "service", "phone", "demo"},
    "demo": BASE | {"admin", "service", "phone", "cli"},
    "__main__": {"cli"},
}

#: What the parts below the edge may not import: each would bring in sockets, clocks, threads or logs.
EDGE_ONLY = {
    "OpenSSL",
    "_socket",
    "asyncio",
    "logging",
    "select",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "treq",
    "twisted",
    "zope",
}
BELOW_THE_EDGE = BASE | CORE | {"flow"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module a source imports, also inside functions; `sofw.x` for `from sofw import x`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level
        elif isinstance(node, ast.ImportFrom) and node.module == "sofw":
            yield from (f"sofw.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant))


def wrong_imports(package: Path) -> list[str]:
    """One line per import that breaks the rules, as `file: module`."""
    wrong = []
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package)
        part = file.parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        wrong += [f"{file}: {module}" for module in imported(tree) if not may_import(part, module)]
    return wrong


def may_import(part: str, module: str) -> bool:
    """Whether this part of sofw may import this module."""
    top, _, rest = module.partition(".")
    if not top:
        return False
    if top != "sofw":
        return part not in BELOW_THE_EDGE or top not in EDGE_ONLY
    other = rest.partition(".")[0]
    return other in {part, "", "__version__"} or other in ALLOWED.get(part, set())


class LayeringTests(SynchronousTestCase):
    """The rules, on this package."""

    def test_directions(self) -> None:
        """No import of sofw goes against the direction or brings the edge into the core."""
        self.assertEqual(wrong_imports(PACKAGE), [])

    def test_every_part_is_known(self) -> None:
        """A new package needs a row in the table."""
        parts = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith(".")}
        self.assertEqual(parts - {"__init__", "__pycache__"} - set(ALLOWED), set())


class CheckerTests(SynchronousTestCase):
    """The checker itself, on made-up trees."""

    def check(self, file: str, source: str) -> list[str]:
        """The complaints about a package that holds this one file."""
        package = Path(self.mktemp())
        path = package / file
        path.parent.mkdir(parents=True)
        path.write_text(source, encoding="utf-8")
        return wrong_imports(package)

    def test_bad(self) -> None:
        """Each forbidden import is found, wherever and however it is written."""
        cases = [
            ("sip/uri.py", "import sofw.sdp.session", "sofw.sdp.session"),
            ("sip/uri.py", "from sofw.flow import actions", "sofw.flow"),
            ("sip/uri.py", "from sofw import net", "sofw.net"),
            ("sip/uri.py", "def f():\n    import twisted.internet", "twisted.internet"),
            ("sip/deep/uri.py", "import time", "time"),
            ("tunnel/link.py", "from importlib import import_module\nimport_module('logging')", "logging"),
            ("rtp/table.py", "import struct, socket", "socket"),
            ("sdp/body.py", "from OpenSSL import SSL", "OpenSSL"),
            ("flow/media.py", "from time import time", "time"),
            ("flow/media.py", "from sofw.net.dns import x", "sofw.net.dns"),
            ("flow/media.py", "from . import actions", "."),
            ("address.py", "import sofw.sip.uri", "sofw.sip.uri"),
            ("errors.py", "from sofw.address import Address", "sofw.address"),
            ("store/sqlite.py", "from sofw.flow import actions", "sofw.flow"),
            ("store/sqlite.py", "from sofw.service.config import HrasConfig", "sofw.service.config"),
            ("net/dns.py", "from sofw.admin import control", "sofw.admin"),
            ("admin/control.py", "from sofw.cli.main import main", "sofw.cli.main"),
            ("service/hras.py", "from sofw.cli.main import main", "sofw.cli.main"),
            ("novel/part.py", "import sofw.sip", "sofw.sip"),
        ]
        for file, source, module in cases:
            self.assertEqual(self.check(file, source), [f"{file}: {module}"], source)

    def test_good(self) -> None:
        """What the rules allow is not complained about."""
        cases = [
            ("sip/uri.py", "import re\nfrom sofw.errors import RemoteError\nfrom sofw.sip import headers"),
            ("flow/media.py", "from sofw.rtp.table import Table\nfrom sofw.tunnel import frame"),
            ("net/dns.py", "import socket\nfrom twisted.names import client\nfrom sofw.flow.media import x"),
            ("service/hras.py", "from sofw.admin.control import ControlSocket\nimport time"),
            ("cli/main.py", "from sofw import __version__"),
        ]
        for file, source in cases:
            self.assertEqual(self.check(file, source), [], source)
