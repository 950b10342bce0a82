"""The SDP is found and replaced in bodies of one part and of several."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sofw.errors import SofwError
from sofw.sdp.body import MAX_DEPTH, find_sdp, replace_sdp
from sofw.sdp.session import SdpError
from tests.sdp.samples import AUDIO

MIXED = 'multipart/mixed; boundary="a b-1"'
BEFORE = b"preamble\r\n--a b-1 \r\nContent-Type: application/isup; version=itu\r\n\r\n\x00\xff\r\n--\r\n"
HEAD = b"--a b-1\r\nContent-Type: application/SDP\r\nContent-Disposition: session\r\n\r\n"
AFTER = b"\r\n--a b-1--\r\nepilogue"


class BodyTests(SynchronousTestCase):
    """find_sdp and replace_sdp."""

    def check(self, content_type: str, before: bytes, after: bytes) -> None:
        """The SDP between `before` and `after` is found, and nothing else changed by replacing it."""
        body = before + AUDIO + after
        self.assertEqual(find_sdp(content_type, body), AUDIO)
        self.assertEqual(replace_sdp(content_type, body, b"v=0\r\n"), before + b"v=0\r\n" + after)

    def test_alone(self) -> None:
        """A body that is an SDP, however its type is written."""
        for content_type in ("application/sdp", "Application/SDP;charset=utf-8", " application/sdp "):
            self.check(content_type, b"", b"")

    def test_in_parts(self) -> None:
        """An SDP among other parts, with CRLF and with LF alone."""
        self.check(MIXED, BEFORE + HEAD, AFTER)
        self.check(MIXED, HEAD, AFTER)
        lf = (BEFORE.replace(b"\r\n", b"\n") + HEAD.replace(b"\r\n", b"\n"), AFTER.replace(b"\r\n", b"\n"))
        self.check(MIXED, *lf)

    def test_nested(self) -> None:
        """An SDP in a part that has parts itself."""
        outer = b'--o\r\nContent-Type: multipart/mixed; boundary="a b-1"\r\n\r\n'
        self.check("multipart/related;boundary=o", outer + HEAD, AFTER + b"\r\n--o--")

    def test_none(self) -> None:
        """Bodies without an SDP are left alone."""
        isup = BEFORE + AFTER
        for content_type, body in [
            ("", AUDIO),
            ("text/plain", AUDIO),
            ("application/sdp", b""),
            (MIXED, isup),
            (MIXED, b""),
            (MIXED, b"--a b-1\r\n\r\nno headers\r\n--a b-1--"),
            (MIXED, b"--a b-1\r\nno blank line\r\n--a b-1--"),
        ]:
            self.assertIsNone(find_sdp(content_type, body))
            self.assertEqual(replace_sdp(content_type, body, b"x"), body)

    def test_refused(self) -> None:
        """A body in which an SDP may hide is refused with 488 and a sentence."""
        levels = range(1, MAX_DEPTH + 1)
        part = b"--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n"
        deep = b"".join(part % (b"b" * level, b"b" * (level + 1)) for level in levels)
        deep += b"".join(b"\r\n--%s--" % (b"b" * level) for level in reversed(levels))
        for content_type, body, part in [
            ("multipart/mixed", HEAD + AUDIO + AFTER, "boundary"),
            (MIXED, HEAD + AUDIO, "no end"),
            (MIXED, HEAD + AUDIO + b"\r\n" + HEAD + AUDIO + AFTER, "more than one"),
            (
                MIXED,
                HEAD[:-2] + b"Content-Transfer-Encoding: base64\r\n\r\ndj0w" + AFTER,
                "transfer encoding",
            ),
            ("multipart/mixed;boundary=b", deep, "parts within parts"),
        ]:
            error = self.assertRaises(SdpError, find_sdp, content_type, body)
            self.assertEqual(error.status, 488)
            self.assertIn(part, str(error))

    @settings(deadline=None)
    @given(st.text(), st.binary())
    def test_any_body(self, content_type: str, body: bytes) -> None:
        """No type and no body make anything but one of our errors."""
        for kind in (
            content_type,
            f"multipart/mixed;{content_type}",
            f"multipart/mixed;boundary=b;{content_type}",
        ):
            try:
                replace_sdp(kind, b"--b\r\n" + body + b"\r\n--b--", b"")
            except SofwError as error:
                self.assertIn("SDP", str(error) + " SDP")
