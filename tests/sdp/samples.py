"""Session descriptions for the tests, and strategies that make more."""

from __future__ import annotations

from hypothesis import strategies as st


def sdp(*lines: str) -> bytes:
    """An SDP of v=0, a usual o= line and these lines; empty ones are left out."""
    head = ("v=0", "o=- 1 1 IN IP4 10.9.8.7", "s=-", "t=0 0")
    return "".join(f"{line}\r\n" for line in (*head, *lines) if line).encode("utf-8", "surrogateescape")


AUDIO = (
    b"v=0\r\no=alice 2890844526 2890844527 IN IP4 192.168.1.5\r\ns=-\r\nc=IN IP4 192.168.1.5\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)

HOSTS = st.sampled_from(["10.0.0.1", "192.168.77.3", "0.0.0.0", "2001:db8::5", "phone.example.com"])
PORTS = st.integers(0, 65535)


def _network(host: str) -> str:
    return f"IN IP{6 if ':' in host else 4} {host}"


#: Lines as phones send them, in any order.
LINES = st.one_of(
    st.builds(lambda host: f"c={_network(host)}", HOSTS),
    st.builds(lambda host: f"o=bob smith 7 8 {_network(host)}", HOSTS),
    st.builds(lambda port: f"m=audio {port} RTP/AVP 0", PORTS),
    st.builds(lambda port: f"m=image {port} udptl t38", PORTS),
    st.builds(lambda port: f"m=message {port}/2 TCP/MSRP *", PORTS),
    st.builds(lambda port: f"a=rtcp:{port}", PORTS),
    st.builds(lambda port, host: f"a=rtcp:{port} {_network(host)}", PORTS, HOSTS),
    st.builds(lambda host: f"a=candidate:1 1 UDP 2130706431 {host} 8998 typ host", HOSTS),
    st.sampled_from(
        ["a=inactive", "a=ice-ufrag:x", "a=group:BUNDLE 0 1", "a=rtcp-mux", "a=setup:active", "i=x"]
    ),
)
