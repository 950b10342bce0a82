"""What the edge must do: every output of the core is one of these values.

They are performed in the order in which they are returned; the control frame that opens a port
therefore goes ahead of the SIP message that mentions it.
"""

from __future__ import annotations

from attrs import frozen

from sofw.address import Flow
from sofw.sip.locate import Wanted
from sofw.sip.registrar import Binding
from sofw.tunnel.frame import Frame

#: Names a timer or a look-up: who wants to know, and what about.
Key = tuple[object, ...]


@frozen
class SendSip:
    """Send a SIP message; `failed_key` is told back to the core when that fails."""

    flow: Flow
    data: bytes
    failed_key: object = None


@frozen
class SendFrame:
    """Send a frame through the tunnel of a leg."""

    leg: str
    frame: Frame


@frozen
class StartTimer:
    """Call the core back with `key` after so many seconds; replaces a timer of the same key."""

    key: Key
    seconds: float


@frozen
class StopTimer:
    """Forget the timer of this key, if there is one."""

    key: Key


@frozen
class OpenPorts:
    """Open relay ports on a leg: each even port, and the odd one above it for RTCP."""

    leg: str
    ports: tuple[int, ...]


@frozen
class ClosePorts:
    """Close relay ports on a leg."""

    leg: str
    ports: tuple[int, ...]


@frozen
class Resolve:
    """Find the destinations of a place (RFC 3263) and tell them to the core under `key`.

    The leg it is on reaches either IPv4 or IPv6.
    """

    key: Key
    place: Wanted
    ipv6: bool = False


@frozen
class SaveBindings:
    """Keep these bindings of an address-of-record so that they survive a restart."""

    aor: str
    bindings: tuple[Binding, ...]


@frozen
class Busy:
    """A leg's tunnel carries calls from now on, or none any more."""

    leg: str
    busy: bool


@frozen
class Note:
    """One line for the log: an event and its fields, without secrets."""

    event: str
    fields: tuple[tuple[str, object], ...] = ()


Action = (
    SendSip
    | SendFrame
    | StartTimer
    | StopTimer
    | OpenPorts
    | ClosePorts
    | Resolve
    | SaveBindings
    | Busy
    | Note
)
