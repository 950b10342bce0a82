"""The errors: whose fault, and the sentence."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import ConfigError, LocalError, PortInUse, RemoteError, SofwError


class ErrorTests(SynchronousTestCase):
    """What each error says and is."""

    def test_remote(self) -> None:
        """A remote fault carries the status to answer with, 400 unless said otherwise."""
        error = RemoteError("too long", 513)
        self.assertEqual((str(error), error.status), ("too long", 513))
        self.assertEqual(RemoteError("what?").status, 400)

    def test_config(self) -> None:
        """A setting's error names file and key; without a key, the file as a whole."""
        error = ConfigError("hras.toml", "sip.port", "0 is not allowed")
        self.assertEqual(str(error), "hras.toml: sip.port: 0 is not allowed")
        self.assertEqual((error.file, error.key), ("hras.toml", "sip.port"))
        self.assertEqual(str(ConfigError("hras.toml", "", "cannot be read")), "hras.toml: cannot be read")

    def test_port(self) -> None:
        """A port that is taken is named with its transport and host."""
        error = PortInUse("udp", "203.0.113.10", 5060, "address in use")
        self.assertEqual(str(error), "cannot listen on udp 203.0.113.10:5060: address in use")
        self.assertEqual((error.transport, error.host, error.port), ("udp", "203.0.113.10", 5060))

    def test_sides(self) -> None:
        """An error is either ours or theirs, and always explained."""
        self.assertTrue(issubclass(ConfigError, LocalError) and issubclass(PortInUse, LocalError))
        self.assertTrue(issubclass(LocalError, SofwError) and issubclass(RemoteError, SofwError))
        self.assertFalse(issubclass(LocalError, RemoteError) or issubclass(RemoteError, LocalError))
