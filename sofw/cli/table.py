"""Showing what a half answered: aligned tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Rows = Sequence[Mapping[str, object]]

_GAP = "  "


def printable(text: str) -> str:
    """The text with everything that would control a terminal, or that it cannot show, escaped.

    User agents, call ids and the like come from strangers.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def format_table(rows: Rows) -> str:
    """The rows under their keys, each column as wide as its longest cell, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [_column(name, [row.get(name) for row in rows]) for name in names]
    lines = zip(*columns, strict=True)
    return "\n".join(_GAP.join(line).rstrip() for line in lines)


def format_facts(facts: Mapping[str, object]) -> str:
    """`name: value` per line; a list of rows becomes a table below its name."""
    tables = {name: rows for name, value in facts.items() if (rows := _rows(value))}
    plain = {name: value for name, value in facts.items() if name not in tables}
    width = max(map(len, plain), default=0) + 1
    lines = [f"{printable(name) + ':':{width}} {_cell(value)}" for name, value in plain.items()]
    lines += [f"\n{printable(name)}:\n{format_table(rows)}" for name, rows in tables.items()]
    return "\n".join(lines)


def _column(name: str, values: Sequence[object]) -> list[str]:
    cells = [printable(name), *(_cell(value) for value in values)]
    width = max(len(cell) for cell in cells)
    numbers = all(value is None or type(value) in (int, float) for value in values)
    return [cell.rjust(width) if numbers else cell.ljust(width) for cell in cells]


def _cell(value: object) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ", ".join(_cell(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{printable(str(name))} {_cell(each)}" for name, each in value.items())
    return printable(str(value))


def _rows(value: object) -> Rows:
    """The value itself when it is a list of rows, else none."""
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return value
    return []
