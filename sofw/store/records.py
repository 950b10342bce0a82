"""What the store keeps, as values; and a binding as one JSON text."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from attrs import asdict, field, fields, frozen

from sofw.address import Address, Flow, Transport
from sofw.sip.registrar import Binding


@frozen
class User:
    """A user of a domain, with the two hashes that Digest needs instead of the password (RFC 8760 §2.2)."""

    user: str
    domain: str
    ha1_md5: str = field(repr=False)
    ha1_sha256: str = field(repr=False)

    @property
    def aor(self) -> str:
        """The address of record."""
        return f"{self.user}@{self.domain}"


@frozen
class SiteRecord:
    """A site that may open a tunnel; `domains` are those it may serve, none for all; `made` is Unix time."""

    site: str
    secret: bytes = field(repr=False)
    domains: tuple[str, ...]
    made: float


def format_binding(binding: Binding) -> str:
    """The fields of a binding as a JSON object."""
    return json.dumps(asdict(binding, value_serializer=_plain), separators=(",", ":"))


def parse_binding(text: str) -> Binding:
    """The binding of a JSON object written by this release or a neighbour of it.

    A field this release does not know is dropped; one the other release did not know gets its default.
    Raises ValueError, TypeError or KeyError when it is no binding at all.
    """
    known = {each.name for each in fields(Binding)}
    found = {name: value for name, value in json.loads(text).items() if name in known}
    found["flow"] = _flow(found["flow"])
    found["path"] = tuple(found.get("path", ()))
    return Binding(**found)


def _plain(_instance: object, _attribute: object, value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _flow(found: dict[str, Any]) -> Flow:
    remote = Address(found["remote"]["host"], found["remote"]["port"])
    transport = Transport(found["transport"])
    return Flow(found["leg"], transport, remote, found["port"], found.get("domain", ""))
