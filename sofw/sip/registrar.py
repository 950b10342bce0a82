"""The registrar (RFC 3261 §10.3): which contacts an address-of-record has, and over which flow.

A binding keeps the flow its REGISTER came on (RFC 5626 §5.3 in spirit, RFC 3581): requests go back
the way the phone itself opened, so a phone behind NAT or on TCP stays reachable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from sofw.address import Flow
from sofw.sip.headers import NameAddr
from sofw.sip.message import Request, SipError
from sofw.sip.uri import Uri, format_uri, parse_uri, same_uri

Bindings = tuple["Binding", ...]


@frozen
class Binding:
    """One contact of an address-of-record; `expires` is absolute, in seconds of `now`."""

    contact: str
    expires: float
    call_id: str
    cseq: int
    q: float
    flow: Flow
    path: tuple[str, ...] = ()
    instance: str = ""
    reg_id: int = 0
    user_agent: str = ""


@frozen
class Limits:
    """Bounds on a registration, in seconds; `contacts` bounds what one user can make us keep."""

    default: int = 3600
    shortest: int = 60
    longest: int = 7200
    contacts: int = 10


class TooBrief(SipError):
    """The asked-for registration is shorter than allowed (RFC 3261 §10.3 step 7, 423)."""

    def __init__(self, shortest: int) -> None:
        super().__init__("Interval Too Brief", 423)
        self.shortest = shortest


class Registrar:
    """All bindings, by address-of-record ("alice@example.com")."""

    def __init__(self, limits: Limits, bindings: Mapping[str, Iterable[Binding]] = {}) -> None:
        self._limits = limits
        self._bindings: dict[str, Bindings] = {}
        #: The same by contact and by flow: which addresses-of-record have one there.
        self._places: dict[str | Flow, set[str]] = {}
        for aor, found in bindings.items():
            self._keep(aor, tuple(found))

    def register(self, aor: str, request: Request, flow: Flow, now: float) -> Bindings:
        """Apply a REGISTER that has been authenticated; returns the bindings that now stand.

        A REGISTER without Contact only asks (§10.3 step 6). Nothing changes when SipError is raised:
        400 for contradictions, 423 (TooBrief) for short intervals, 403 for too many contacts, 500 for
        a REGISTER that arrives out of order (§10.3 step 7).
        """
        before = current = self.lookup(aor, now)
        if "*" in request.headers.all("Contact"):
            return self._keep(aor, self._remove_all(current, request))
        for contact in request.contacts:
            current = self._update(before, current, contact, request, flow, now)
        if len(current) > self._limits.contacts:
            raise SipError(f"More than {self._limits.contacts} contacts", 403)
        self._keep(aor, current)
        return self.lookup(aor, now)

    def lookup(self, aor: str, now: float) -> Bindings:
        """The bindings that have not expired, best q first (§16.5)."""
        live = (binding for binding in self._bindings.get(aor, ()) if binding.expires > now)
        return tuple(sorted(live, key=lambda binding: -binding.q))

    def find_contact(self, uri: Uri, leg: str, now: float) -> Binding | None:
        """The binding whose contact is this URI: its own leg first, as private addresses repeat."""
        found = [
            binding
            for aor in sorted(self._places.get(uri.aor(), ()))
            for binding in self.lookup(aor, now)
            if binding.contact == format_uri(uri) or same_uri(parse_uri(binding.contact), uri)
        ]
        found.sort(key=lambda binding: binding.flow.leg != leg)
        return found[0] if found else None

    def flow_closed(self, flow: Flow) -> list[str]:
        """Drop what was bound to a connection that closed; returns the changed addresses-of-record."""
        changed = sorted(self._places.get(flow, ()))
        for aor in changed:
            self._keep(aor, tuple(b for b in self._bindings[aor] if b.flow != flow))
        return changed

    def leg_gone(self, leg: str) -> list[str]:
        """Drop what was bound on a leg that is no more; returns the changed addresses-of-record."""
        changed = [aor for aor, found in self._bindings.items() if any(b.flow.leg == leg for b in found)]
        for aor in changed:
            self._keep(aor, tuple(b for b in self._bindings[aor] if b.flow.leg != leg))
        return changed

    def forget(self, aor: str) -> None:
        """Drop every binding of a user that was deleted."""
        self._keep(aor, ())

    def expire(self, now: float) -> list[str]:
        """Drop what has expired; returns the changed addresses-of-record."""
        changed = [aor for aor, found in self._bindings.items() if any(b.expires <= now for b in found)]
        for aor in changed:
            self._keep(aor, self.lookup(aor, now))
        return changed

    def all(self, now: float) -> list[tuple[str, Binding]]:
        """Every live binding with its address-of-record."""
        return [(aor, binding) for aor in self._bindings for binding in self.lookup(aor, now)]

    def _keep(self, aor: str, bindings: Bindings) -> Bindings:
        for place in _places(self._bindings.pop(aor, ())):
            self._places[place].discard(aor)
            if not self._places[place]:
                del self._places[place]
        for place in _places(bindings):
            self._places.setdefault(place, set()).add(aor)
        if bindings:
            self._bindings[aor] = bindings
        return bindings

    def _remove_all(self, current: Bindings, request: Request) -> Bindings:
        """`Contact: *` (§10.3 step 6): only alone and with Expires 0."""
        if len(request.headers.all("Contact")) != 1 or request.expires != 0:
            raise SipError("Contact * goes only alone and with Expires 0", 400)
        for binding in current:
            _check_order(binding, request)
        return ()

    def _update(
        self, before: Bindings, current: Bindings, contact: NameAddr, request: Request, flow: Flow, now: float
    ) -> Bindings:
        seconds = self._interval(contact, request)
        fresh = _binding(contact, request, flow, now + seconds)
        same = [binding for binding in current if _same_contact(binding, fresh)]
        for binding in same:
            if binding in before:  # a contact may stand twice in one REGISTER
                _check_order(binding, request)
        rest = tuple(binding for binding in current if binding not in same)
        return rest if seconds == 0 else (*rest, fresh)

    def _interval(self, contact: NameAddr, request: Request) -> int:
        """The granted seconds: parameter, else header, else default, within the bounds (§10.3)."""
        asked = _number(contact.param("expires"))
        if asked is None:
            asked = request.expires
        if asked is None:
            return self._limits.default
        if 0 < asked < self._limits.shortest:
            raise TooBrief(self._limits.shortest)
        return min(asked, self._limits.longest)


def contact_value(binding: Binding, now: float) -> str:
    """A binding as it stands in the Contact of a 200 to REGISTER (§10.3 step 8)."""
    q = f";q={binding.q:g}" if binding.q != 1.0 else ""
    instance = f';+sip.instance="{binding.instance}"' if binding.instance else ""
    return f"<{binding.contact}>;expires={max(0, round(binding.expires - now))}{q}{instance}"


def _binding(contact: NameAddr, request: Request, flow: Flow, expires: float) -> Binding:
    return Binding(
        contact=format_uri(contact.uri),
        expires=expires,
        call_id=request.call_id,
        cseq=request.cseq.number,
        q=quality(contact.param("q")),
        flow=flow,
        path=request.headers.all("Path"),
        instance=(contact.param("+sip.instance") or "").strip('"'),
        reg_id=_number(contact.param("reg-id")) or 0,
        user_agent=request.headers.get("User-Agent") or "",
    )


def _places(bindings: Bindings) -> set[str | Flow]:
    """Where bindings are to be found: by their contact's user and host, and by their flow."""
    contacts: set[str | Flow] = {parse_uri(binding.contact).aor() for binding in bindings}
    return contacts | {binding.flow for binding in bindings}


def _same_contact(old: Binding, fresh: Binding) -> bool:
    """Whether a REGISTER refreshes this binding: by instance and reg-id (RFC 5626 §6), else by URI."""
    if fresh.instance and fresh.reg_id and old.instance == fresh.instance:
        return old.reg_id == fresh.reg_id
    same_leg = old.flow.leg == fresh.flow.leg
    return same_leg and same_uri(parse_uri(old.contact), parse_uri(fresh.contact))


def _check_order(binding: Binding, request: Request) -> None:
    """A REGISTER of the same Call-ID must have a higher CSeq (§10.3 step 7)."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise SipError("REGISTER out of order", 500)


def _number(text: str | None) -> int | None:
    """A delta-seconds, or None when absent or malformed (§20.10: malformed means the default)."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 11 else None


def quality(text: str | None) -> float:
    """The q of a contact, 0 to 1; 1 when absent or malformed (§20.10)."""
    try:
        return min(1.0, max(0.0, float(text))) if text else 1.0
    except ValueError:
        return 1.0
