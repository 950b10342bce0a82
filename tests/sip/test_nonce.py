"""Tests for sofw.sip.nonce."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sofw.sip.nonce import Nonces

REALM = "example.com"


def nonces(room: int = 4) -> Nonces:
    """Nonces that are good for 300 s, all with different random bytes."""
    serial = iter(range(10000))
    return Nonces(b"key", 300.0, room, lambda size: next(serial).to_bytes(size, "big"))


class NoncesTests(SynchronousTestCase):
    """Which nonces are good, and how often."""

    def test_counts(self) -> None:
        """Each count is good once, and none below the highest; 0 is good for the first use only."""
        known = nonces()
        nonce = known.make(REALM, 1000.0)
        found = [known.use(nonce, REALM, count, 1001.0) for count in (0, 0, 1, 1, 3, 2, 4)]
        self.assertEqual(found, [True, False, True, False, True, False, True])

    def test_time(self) -> None:
        """A nonce is good for its lifetime, also when the clock is set back a little."""
        for age, good in ((0.0, True), (300.0, True), (300.1, False), (-300.0, True), (-301.0, False)):
            known = nonces()
            self.assertIs(known.use(known.make(REALM, 1000.0), REALM, 1, 1000.0 + age), good)

    def test_stateless(self) -> None:
        """Issuing nonces costs no memory, and after a restart they are still good."""
        known = nonces()
        issued = [known.make(REALM, 1000.0) for _ in range(100)]
        self.assertEqual((len(known), len(set(issued))), (0, 100))
        self.assertTrue(nonces().use(issued[0], REALM, 1, 1001.0))

    def test_foreign(self) -> None:
        """Another realm, another key, anything altered or made up is no good."""
        known = nonces()
        nonce = known.make(REALM, 1000.0)
        changed = ("A" if nonce[0] != "A" else "B") + nonce[1:]
        for text in (changed, nonce[:-1], nonce + "AAAA", "", "x", "käse", "\udcff", "A" * 43):
            self.assertFalse(known.use(text, REALM, 1, 1001.0), text)
        self.assertFalse(known.use(nonce, "example.org", 1, 1001.0))
        self.assertFalse(Nonces(b"other").use(nonce, REALM, 1, 1001.0))
        self.assertEqual(len(known), 0)

    def test_one_spelling(self) -> None:
        """A used nonce cannot be used again in another spelling of the same bytes."""
        known = nonces()
        nonce = known.make(REALM, 1000.0)
        self.assertTrue(known.use(nonce, REALM, 1, 1001.0))
        for other in (nonce + "=", nonce + "!", "\n" + nonce, nonce[:-1] + chr(ord(nonce[-1]) + 1)):
            self.assertFalse(known.use(other, REALM, 1, 1001.0), other)

    def test_expired_forgotten(self) -> None:
        """What has expired makes room without harm to others."""
        known = nonces()
        for start in range(0, 10000, 301):
            self.assertTrue(known.use(known.make(REALM, start), REALM, 1, start))
            self.assertEqual(len(known), 1)

    def test_no_room(self) -> None:
        """Without room the first used goes, and with it all not younger: nothing can be replayed."""
        known = nonces(room=4)
        issued = [known.make(REALM, 1000.0 + second) for second in range(6)]
        waiting = known.make(REALM, 1000.0)
        for nonce in issued:
            self.assertTrue(known.use(nonce, REALM, 1, 1010.0))
        self.assertEqual(len(known), 4)
        self.assertEqual([known.use(n, REALM, 1, 1010.0) for n in issued], [False] * 6)
        self.assertFalse(known.use(waiting, REALM, 1, 1010.0))
        self.assertTrue(known.use(issued[5], REALM, 2, 1010.0))
        self.assertTrue(known.use(known.make(REALM, 1010.0), REALM, 1, 1010.0))
