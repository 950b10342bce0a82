"""Answers of HRAS that carry frames."""

from __future__ import annotations

from typing import Any

from sofw.tunnel.rungs import STREAM_HEADERS


def carry_frames(request: Any) -> None:
    """Set the headers of an answer that carries frames."""
    for name, value in STREAM_HEADERS:
        request.setHeader(name.encode(), value.encode())


def reply(request: Any, data: bytes) -> None:
    """Answer with some frames, or none. The connection must still be there."""
    carry_frames(request)
    request.setHeader(b"content-length", b"%d" % len(data))
    request.write(data)
    request.finish()
