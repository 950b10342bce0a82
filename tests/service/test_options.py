"""The twistd command lines, the plugin file and the package."""

from __future__ import annotations

import ast
import os
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import LocalError
from sofw.service.options import HracOptions, HrasOptions, one_line_errors
from tests.service.test_config import HRAC_LEAST, HRAS_LEAST

ROOT = Path(__file__).resolve().parents[2]


class OptionsTests(SynchronousTestCase):
    """What `--config` does."""

    def write(self, text: str) -> str:
        """The path of a new file that only its owner may read."""
        path = Path(self.mktemp())
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_config(self) -> None:
        """The named file is read, by the long and the short option."""
        hras, hrac = HrasOptions(), HracOptions()
        hras.parseOptions(["--config", self.write(HRAS_LEAST)])
        hrac.parseOptions(["-c", self.write(HRAC_LEAST)])
        self.assertEqual((hras.config.domains, hrac.config.site), (("example.com",), "head-office"))

    def test_default_files(self) -> None:
        """Without the option the files in /etc/sofw are meant."""
        self.assertEqual(HrasOptions()["config"], "/etc/sofw/hras.toml")
        self.assertEqual(HracOptions()["config"], "/etc/sofw/hrac.toml")

    def test_mistake(self) -> None:
        """A mistake in the file ends the program with one line, which SystemExit prints with status 1."""
        for options, text, name, problem in [
            (HrasOptions(), HRAS_LEAST + "port = 0", "sofw-hras", "sip.port: 0 is not allowed"),
            (HracOptions(), HRAC_LEAST + "port = 0", "sofw-hrac", "sip.port: 0 is not allowed"),
        ]:
            path = self.write(text)
            ended = self.assertRaises(SystemExit, options.parseOptions, ["--config", path])
            self.assertTrue(str(ended.code).startswith(f"{name}: {path}: {problem}"), ended.code)
            self.assertNotIn("\n", str(ended.code))

    def test_wrong_usage(self) -> None:
        """A wrong option is left to twistd."""
        self.assertRaises(usage.UsageError, HrasOptions().parseOptions, ["--confg", "x"])

    def test_other_errors(self) -> None:
        """Only faults of this machine become one line; anything else keeps its traceback."""

        def fail(error: Exception) -> None:
            with one_line_errors("sofw-hras"):
                raise error

        ended = self.assertRaises(SystemExit, fail, LocalError("the port is taken"))
        self.assertEqual(ended.code, "sofw-hras: the port is taken")
        self.assertRaises(KeyError, fail, KeyError("a fault of ours"))


class PluginTests(SynchronousTestCase):
    """twisted/plugins/sofw_plugins.py."""

    def test_found(self) -> None:
        """Twisted finds both halves, each with its module."""
        found = {plugin.tapname: plugin.module for plugin in getPlugins(IServiceMaker)}
        self.assertEqual(found.get("sofw-hras"), "sofw.service.hras")
        self.assertEqual(found.get("sofw-hrac"), "sofw.service.hrac")

    def test_imports_nothing_of_ours(self) -> None:
        """Every run of twistd and trial imports the file, so it may import Twisted alone."""
        tree = ast.parse((ROOT / "twisted" / "plugins" / "sofw_plugins.py").read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        self.assertEqual(
            [ast.unparse(node) for node in imports], ["from twisted.application.service import ServiceMaker"]
        )

    def test_no_package(self) -> None:
        """An __init__.py below twisted/ would hide Twisted itself."""
        below = [name for _, _, names in os.walk(ROOT / "twisted") for name in names]
        self.assertNotIn("__init__.py", below)
