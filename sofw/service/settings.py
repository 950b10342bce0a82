"""Reading a TOML file against a table of options.

A file is one flat table of dotted keys (`sip.port`). Each key has a kind (what it may hold) and a
default; whatever the table does not know is an error.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from attrs import evolve, frozen

from sofw.errors import ConfigError

#: The checked values of a file, by dotted key.
Values = dict[str, Any]


@frozen
class Kind:
    """What an option may hold: a sentence for the operator, and the reader.

    `read` gets the TOML value and returns the value to use, or raises ValueError or TypeError; the
    message of a ValueError, if it has one, replaces the sentence. The value of a `secret` is never shown.
    """

    allowed: str
    read: Callable[[Any], Any]
    secret: bool = False


@frozen
class Option:
    """One option: dotted key, kind, and what holds when the file does not give it.

    `default` is written as in TOML. A `required` option has no default: there it is the example of the sample
    file. `like` names the keys whose value is taken instead of a default: the first that the file gives,
    else the last. With `names` the option is a section whose keys the operator chooses, each of that kind;
    its value is a dict.
    """

    key: str
    kind: Kind
    default: Any = None
    required: bool = False
    like: tuple[str, ...] = ()
    names: Kind | None = None


def read_settings(path: str, options: Sequence[Option]) -> Values:
    """The value of every option, from the file or from its default.

    Raises ConfigError for a file that cannot be read, an unknown key, a missing or a wrong value.
    """
    given = dict(_flat(_parsed(path), {option.key.partition(".")[0] for option in options}))
    values: Values = {}
    for option in options:
        if option.names is not None:
            values[option.key] = _entries(path, option, option.names, given)
    _refuse_unknown(path, given, options)
    for option in options:
        if option.names is None:
            values[option.key] = _value(path, option, given, values)
    return values


def section(values: Mapping[str, Any], name: str) -> Values:
    """The options of one section, by their names inside it."""
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in values.items() if key.startswith(start)}


def refuse_world_readable(path: str, key: str, holder: str) -> None:
    """Raise ConfigError when everyone on this machine may read or change the file that holds a secret."""
    if os.stat(holder).st_mode & (stat.S_IROTH | stat.S_IWOTH):
        problem = f"{holder} holds a secret and is open to everyone; run chmod o= {holder}"
        raise ConfigError(path, key, problem)


def read_secret_file(path: str, key: str, holder: str) -> str:
    """The first line of a file that holds a secret.

    Raises ConfigError when it cannot be read, is open to everyone, or is empty.
    """
    try:
        with open(holder, encoding="utf-8") as lines:
            secret = lines.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, key, f"{holder} cannot be read: {reason(error)}") from error
    refuse_world_readable(path, key, holder)
    if not secret:
        raise ConfigError(path, key, f"the first line of {holder} is empty; it must be the secret")
    return secret


def reason(error: Exception) -> str:
    """Why reading failed, without the number and the file name that an OSError repeats."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _parsed(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read: {reason(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", f"is not valid TOML: {error}") from error


def _flat(table: Mapping[str, Any], sections: set[str], start: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a TOML table by dotted key; so is an empty table that is no known section."""
    for name, value in table.items():
        key = start + name
        if isinstance(value, dict) and (value or key in sections):
            yield from _flat(value, sections, f"{key}.")
        else:
            yield key, value


def _refuse_unknown(path: str, given: Mapping[str, Any], options: Sequence[Option]) -> None:
    known = [option.key for option in options if option.names is None]
    for key in given:
        if key in known:
            continue
        if any(name.startswith(f"{key}.") for name in known) or any(option.key == key for option in options):
            raise ConfigError(path, key, f"is a section; write [{key}] and its options below")
        near = get_close_matches(key, known, n=1) or _same_name(key, known)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(path, key, f"is not an option{hint}")


def _same_name(key: str, known: Sequence[str]) -> list[str]:
    """The options that bear the same name in another section."""
    name = key.rpartition(".")[2]
    return [other for other in known if other.rpartition(".")[2] == name]


def _value(path: str, option: Option, given: Mapping[str, Any], values: Values) -> Any:
    if option.key in given:
        return _checked(path, option, given[option.key])
    if option.required:
        raise ConfigError(path, option.key, f"is missing; give {option.kind.allowed}")
    if option.like:
        return values[next((key for key in option.like if key in given), option.like[-1])]
    return _checked(path, option, option.default)


def _entries(path: str, option: Option, names: Kind, given: dict[str, Any]) -> Values:
    """The entries of a section of free keys; they are taken out of `given`."""
    start = f"{option.key}."
    entries: Values = {}
    for key in [key for key in given if key.startswith(start)]:
        name = key.removeprefix(start)
        _checked(path, Option(key, names), name)
        entries[name] = _checked(path, evolve(option, key=key), given.pop(key))
    return entries


def _checked(path: str, option: Option, value: Any) -> Any:
    try:
        return option.kind.read(value)
    except (ValueError, TypeError) as error:
        allowed = (str(error) if isinstance(error, ValueError) else "") or option.kind.allowed
        shown = "this value" if option.kind.secret else repr(value)
        raise ConfigError(path, option.key, f"{shown} is not allowed; allowed is {allowed}") from None
