"""Bytes as text of unreserved characters: base64url without padding (RFC 4648 §5), one spelling only."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(data: bytes) -> str:
    """Four characters of A-Z a-z 0-9 - _ for each three bytes."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The reverse of `encode`; raises ValueError for what it did not make.

    The library's decoder skips foreign characters and ignores loose bits, so the text is compared.
    """
    data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not base64url without padding")
    return data
