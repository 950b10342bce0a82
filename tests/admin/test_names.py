"""What sites, users and domains may be called."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.admin.names import is_domain_name, is_site_name, is_user_name


class NameTests(SynchronousTestCase):
    """Tables of good and bad names."""

    def test_sites(self) -> None:
        """A site's name is one DNS label, and none of the words that mean something else."""
        good = ["a", "7", "head-office", "a" * 63]
        bad = ["", "-a", "a-", "A", "a_b", "a.b", "a b", "ä", "a" * 64, "outside", "tunnel", "a\n"]
        self.assertEqual([name for name in good if not is_site_name(name)], [])
        self.assertEqual([name for name in bad if is_site_name(name)], [])

    def test_users(self) -> None:
        """A user's name needs no escaping in a SIP URI."""
        good = ["alice", "Alice", "+81312345678", "a.b_c-d", "100", "x" * 64]
        bad = ["", "a b", "a@b", "a:b", "a;b", "a/b", "a%20", "ä", "x" * 65, "a\n"]
        self.assertEqual([name for name in good if not is_user_name(name)], [])
        self.assertEqual([name for name in bad if is_user_name(name)], [])

    def test_domains(self) -> None:
        """A domain is labels with dots between, in lower case, or an IP address."""
        good = ["example.com", "localhost", "203.0.113.10", "2001:db8::1", "xn--9ca.example"]
        bad = ["", ".", "example.com.", "a..b", "Example.com", "a_b.c", "a." * 126 + "ab", "-a.b"]
        self.assertEqual([name for name in good if not is_domain_name(name)], [])
        self.assertEqual([name for name in bad if is_domain_name(name)], [])
