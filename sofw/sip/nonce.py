"""Nonces of digest authentication that need no memory until they are used (RFC 7616 §3.3, §5.4).

Layout before base64url: 8 bytes time of issue (seconds, IEEE double, network byte order), 8 random
bytes, 16 bytes HMAC-SHA256 (truncated) over both and the realm.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections import OrderedDict
from collections.abc import Callable
from secrets import token_bytes

from sofw.sip import base64url

_TIME = struct.Struct("!d")
_RANDOM_BYTES = 8
_MAC_BYTES = 16
_LENGTH = _TIME.size + _RANDOM_BYTES + _MAC_BYTES


class Nonces:
    """Issues nonces and sees to it that no nonce count is used twice.

    Only nonces that were used with right credentials are kept, at most `room` of them (a phone uses
    one per registration; 20000 with about 200 bytes each serve 4000 phones that register every minute).
    When there is no room, the one used first is forgotten and with it all that are not younger: their
    users are asked again, but nothing can be replayed.
    """

    def __init__(
        self,
        key: bytes,
        lifetime: float = 300.0,
        room: int = 20000,
        random: Callable[[int], bytes] = token_bytes,
    ) -> None:
        self._key = key
        self._lifetime = lifetime
        self._room = room
        self._random = random
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._forgotten = float("-inf")

    def __len__(self) -> int:
        return len(self._counts)

    def make(self, realm: str, now: float) -> str:
        """A fresh nonce for this realm, good for `lifetime` seconds from `now`."""
        head = _TIME.pack(now) + self._random(_RANDOM_BYTES)
        return base64url.encode(head + self._mac(head, realm))

    def use(self, nonce: str, realm: str, count: int, now: float) -> bool:
        """Whether the nonce is ours, still good, and this count higher than all before.

        Call it for right credentials only: it remembers the count.
        """
        made = self._made(nonce, realm)
        if made is None or abs(now - made) > self._lifetime or made <= self._forgotten:
            return False
        if count <= self._counts.get(nonce, (made, -1))[1]:
            return False
        self._forget(now)
        self._counts[nonce] = (made, count)
        return True

    def _made(self, nonce: str, realm: str) -> float | None:
        """When a nonce was issued, None when it is not ours or was for another realm."""
        try:
            raw = base64url.decode(nonce)
        except ValueError:
            return None
        head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(raw) != _LENGTH or not hmac.compare_digest(mac, self._mac(head, realm)):
            return None
        return float(_TIME.unpack_from(head)[0])

    def _mac(self, head: bytes, realm: str) -> bytes:
        text = head + realm.encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, text, hashlib.sha256)[:_MAC_BYTES]

    def _forget(self, now: float) -> None:
        """Drop what has expired, and make room for one more."""
        while self._counts:
            nonce, (made, _count) = next(iter(self._counts.items()))
            if abs(now - made) <= self._lifetime:
                if len(self._counts) < self._room:
                    return
                self._forgotten = max(self._forgotten, made)
            del self._counts[nonce]
