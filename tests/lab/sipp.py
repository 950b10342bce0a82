"""SIPp as caller and callee: the flows as two short tables of steps, written out as SIPp's XML.

The caller is a stranger on the Internet, the callee a registered user inside a site; neither shares a line of
code with SoFW. A callee keeps the Vias of the INVITE, because later requests arrive before its final answer.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from sofw.demo.network import Computer
from sofw.demo.process import Process, until

SDP = """\
v=0
o=- 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
a={direction}
"""

_REQUEST = """\
{method} {uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-{branch}
{routes}From: <sip:stranger@elsewhere.test>;tag=[pid]-[call_number]
To: <sip:[service]@example.com>{to_tag}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:stranger@[local_ip]:[local_port]>
Max-Forwards: 70
{extra}"""

_ANSWER = """\
SIP/2.0 {status} {reason}
{headers}Contact: <sip:[service]@[local_ip]:[local_port]>
{extra}"""

#: The headers of an answer to the INVITE, whatever came in since; and to the last request.
_OF_INVITE = "[$vias]\n[$record]\n[$from]\n[$to];tag=callee\nCall-ID: [call_id]\nCSeq: [$number] INVITE\n"
_OF_LAST = "[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n"

_REASONS = {180: "Ringing", 183: "Session Progress", 200: "OK", 480: "Temporarily Unavailable",
            486: "Busy Here", 487: "Request Terminated"}  # fmt: skip


def _kept(name: str, regexp: str, check: str = "true") -> str:
    return f'      <ereg regexp="{regexp}" search_in="msg" assign_to="{name}" check_it="{check}"/>\n'


_LINES = "({0}: [[:print:]]+[[:cntrl:]]+)*{0}: [[:print:]]+"
_KEEP = "    <action>\n{}    </action>\n".format(
    _kept("vias", _LINES.format("Via"))
    + _kept("record", _LINES.format("Record-Route"), "false")
    + _kept("from", "From: [[:print:]]+")
    + _kept("to", "To: [[:print:]]+")
    + '      <ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="number" check_it="true"/>\n'
)


def sdp(direction: str = "sendrecv", version: int = 1) -> str:
    """The description of one PCMU stream."""
    return SDP.format(direction=direction, version=version)


def request(method: str, number: int, body: str = "", extra: str = "") -> str:
    """A step of the caller: a request inside the dialog."""
    return _sent(
        _REQUEST.format(
            method=method,
            uri="[next_url]",
            branch=f"{method}-{number}",
            routes="[routes]\n",
            to_tag="[peer_tag_param]",
            number=number,
            extra=_with_body(body, extra),
        ),
        repeat=method != "ACK",
    )


def first(method: str, body: str = "", extra: str = "", to_tag: str = "") -> str:
    """A step of the caller: the INVITE, its CANCEL, or the ACK of its refusal; one branch for all three."""
    return _sent(
        _REQUEST.format(
            method=method,
            uri="sip:[service]@example.com",
            branch="first",
            routes="",
            to_tag=to_tag,
            number=1,
            extra=_with_body(body, extra),
        ),
        repeat=method != "ACK",
    )


def ack_refusal() -> str:
    """A step of the caller: ACK of a final answer other than 2xx."""
    return first("ACK", to_tag="[peer_tag_param]")


def answer(status: int, body: str = "", extra: str = "") -> str:
    """A step of the callee: an answer to the INVITE."""
    return _answered(status, _OF_INVITE, body, extra)


def answer_last(body: str = "") -> str:
    """A step of the callee: 200 to the request that came last (CANCEL, PRACK, UPDATE, re-INVITE, BYE)."""
    return _answered(200, _OF_LAST, body, "")


def got(status: int, optional: bool = False) -> str:
    """A step of the caller: an answer arrives; the route and the far Contact are learned from it."""
    # A 100 makes no dialog and has no Contact.
    learned = ' rrs="true"' if status > 100 else ""
    return f'  <recv response="{status}"{learned}{_optional(optional)}/>\n'


def asked(method: str) -> str:
    """A step of the callee: a request arrives."""
    if method == "INVITE":
        return f'  <recv request="INVITE" rrs="true">\n{_KEEP}  </recv>\n'
    return f'  <recv request="{method}"/>\n'


def asked_again() -> str:
    """A step of the callee: a re-INVITE arrives."""
    return '  <recv request="INVITE" rrs="true"/>\n'


def pause(milliseconds: int) -> str:
    """A step of either: wait."""
    return f'  <pause milliseconds="{milliseconds}"/>\n'


def speak(speech: Path) -> str:
    """A step of either: send RTP from a file."""
    return f'  <nop><action><exec rtp_stream="{speech},1,0"/></action></nop>\n'


def scenario(name: str, steps: tuple[str, ...]) -> str:
    """The steps as SIPp reads them."""
    head = f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<scenario name="{name}">\n'
    return f"{head}{''.join(steps)}</scenario>\n"


def register(aor: str, password: str, port: int = 5060) -> str:
    """A scenario that registers the user with a digest."""
    user, _, domain = aor.partition("@")
    head = (
        f"REGISTER sip:{domain} SIP/2.0\n"
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        f"From: <sip:{aor}>;tag=[pid]\nTo: <sip:{aor}>\nCall-ID: [call_id]\n"
        "User-Agent: SIPp\n"
    )
    tail = f"Contact: <sip:{user}@[local_ip]:{port}>\nMax-Forwards: 70\nExpires: 300\n"
    login = f"[authentication username={user} password={password}]\n"
    steps = (
        _sent(f"{head}CSeq: 1 REGISTER\n{tail}Content-Length: 0\n\n"),
        '  <recv response="401" auth="true"/>\n',
        _sent(f"{head}CSeq: 2 REGISTER\n{tail}{login}Content-Length: 0\n\n"),
        '  <recv response="200"/>\n',
    )
    return scenario("register", steps)


def run_sipp(
    text: str, folder: Path, computer: Computer, *, peer: str = "", service: str = "service", port: int = 5060
) -> Process:
    """Start SIPp with one call of a scenario; without a peer it waits for it. It exits 0 when all went so."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scenario.xml"
    file.write_text(text)
    local = ("-i", computer.address, "-mi", computer.address, "-p", str(port))
    once = ("-m", "1", "-nostdin", "-timeout", "30s", "-timeout_error", "-recv_timeout", "12000")
    trace = ("-trace_msg", "-message_file", str(folder / "messages.log"),
             "-trace_err", "-error_file", str(folder / "errors.log"))  # fmt: skip
    whom = (peer, "-s", service) if peer else ()
    command = ("sipp", *whom, "-sf", str(file), *local, *once, *trace)
    process = Process(f"sipp {folder.name}", command, folder / "screen.log", computer.namespace)
    if not peer:
        until(lambda: _listens(process, port), 3.0, f"SIPp to listen on port {port}")
    return process


def _listens(process: Process, port: int) -> bool:
    sockets = Path(f"/proc/{process.pid}/net/udp").read_text()
    return not process.running or f":{port:04X} " in sockets


def _sent(message: str, repeat: bool = False) -> str:
    again = ' retrans="500"' if repeat else ""
    return f"  <send{again}><![CDATA[\n{message}]]></send>\n"


def _answered(status: int, headers: str, body: str, extra: str) -> str:
    text = _ANSWER.format(
        status=status, reason=_REASONS[status], headers=headers, extra=_with_body(body, extra)
    )
    return _sent(text, repeat=status >= 200 and headers is _OF_INVITE)


def _with_body(body: str, extra: str) -> str:
    kind = "Content-Type: application/sdp\n" if body else ""
    return f"{extra}{kind}Content-Length: [len]\n\n{escape(body)}"


def _optional(optional: bool) -> str:
    return ' optional="true"' if optional else ""
