"""Sealed tokens: what we want to be told again, in the user part of a URI of ours (RFC 5626 §5.3).

Layout before base64url (RFC 4648 §5): 16 bytes synthetic IV, which is also the authentication tag
(AES-SIV, RFC 5297), then the encrypted fields, each one byte of length and its UTF-8.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from sofw.errors import LocalError
from sofw.sip import base64url
from sofw.sip.grammar import MEMORY, SipError

#: One byte counts a field's length; host names, the longest of them, have up to 253.
LONGEST_FIELD = 255
#: Makes the key serve this use alone.
_LABEL = b"SoFW token"


class Sealer:
    """Seals and opens tokens under one key (any length; 32 random bytes are right).

    AES-SIV needs no nonce, so the key may serve for ever; equal fields give equal tokens, which tells
    an observer no more than the Contact they belong to. The text has unreserved characters only
    (RFC 3261 §25.1), four for each three bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(hmac.digest(key, _LABEL, hashlib.sha512))
        # Every message within a call carries the tokens of its two flows, and so do a phone's next calls.
        self._sealed = lru_cache(MEMORY)(self._seal)
        self._opened = lru_cache(MEMORY)(self._open)

    def seal(self, fields: tuple[str, ...]) -> str:
        """The token of one field or more, each at most LONGEST_FIELD bytes; else raises LocalError."""
        return self._sealed(fields)

    def open(self, text: str) -> tuple[str, ...]:
        """The fields of a token. Raises SipError (403) when it was not sealed with this key, or altered."""
        return self._opened(text)

    def _seal(self, fields: tuple[str, ...]) -> str:
        parts = [field.encode("utf-8", "surrogateescape") for field in fields]
        if not parts or any(len(part) > LONGEST_FIELD for part in parts):
            raise LocalError(f"a token has fields of at most {LONGEST_FIELD} bytes")
        plain = b"".join(bytes((len(part),)) + part for part in parts)
        return base64url.encode(self._cipher.encrypt(plain, None))

    def _open(self, text: str) -> tuple[str, ...]:
        try:
            plain = self._cipher.decrypt(base64url.decode(text), None)
        except (ValueError, InvalidTag):
            raise SipError("The token in this URI is not ours", 403) from None
        return tuple(_fields(plain))


def _fields(plain: bytes) -> list[str]:
    fields, position = [], 0
    while position < len(plain):
        end = position + 1 + plain[position]
        fields.append(plain[position + 1 : end].decode("utf-8", "surrogateescape"))
        position = end
    return fields
