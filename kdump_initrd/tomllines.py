# SPDX-License-Identifier: GPL-2.0-or-later
"""TOML, and on which line of a file a key stands: the standard library's parser does not tell."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Key = tuple[str, ...]


def loads(text: str) -> dict[str, Any]:
    """Return the table that a TOML text holds.

    Raises ValueError (also for a number of too many digits), and RecursionError for what is
    nested too deeply.
    """
    table: dict[str, Any] = tomllib.loads(text)
    return table


def line_of(text: str, keys: Key) -> int:
    """Return the line of the key below ``keys``, or of the nearest table that has one; else 0."""
    lines = lines_of(text)
    above = (keys[:depth] for depth in range(len(keys), 0, -1))
    return next((lines[key] for key in above if key in lines), 0)


@functools.lru_cache
def lines_of(text: str) -> Mapping[Key, int]:
    """Return the line (from 1) of each table's header and of each key, by its dotted path.

    ``text`` is valid TOML, with LF at the end of lines. A key in an inline table has the line on
    which its statement begins, and of an array's tables the first one counts.
    """
    found: dict[Key, int] = {}
    table: Key = ()
    # A statement ends with a line, and its first lines alone are no TOML: lines are put together
    # until they are.
    statement, first = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += f"{line}\n"
        try:
            values = loads(statement)
        except ValueError:
            continue
        keys = list(_keys(values))
        if statement.lstrip().startswith("["):
            table = keys[-1]
        else:
            keys = [(*table, *key) for key in keys]
        for key in keys:
            found.setdefault(key, first)
        statement, first = "", number + 1
    return found


def _keys(values: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the path of each key in a table, those above first."""
    for key, value in values.items():
        yield (key,)
        # [[name]] makes a list of a table.
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict):
            yield from ((key, *path) for path in _keys(inner))
