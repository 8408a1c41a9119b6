# SPDX-License-Identifier: GPL-2.0-or-later
"""TOML, and on which line of a file a key stands: the standard library's parser does not tell."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Key = tuple[str, ...]
#: No file of ours has a key below so many others.
_DEEPEST = 8
#: What a bracket or a line's end can be hidden in, and these two (toml.io, v1.0.0). Up to two
#: quotes may stand before those that end a string of several lines.
_TOKEN = re.compile(
    r"""\#[^\n]*
    |\"{3}(?:[^"\\]+|\\[\s\S]|"(?!""))*"{3,5}
    |'{3}(?:[^']+|'(?!''))*'{3,5}
    |"(?:[^"\\\n]+|\\.)*"
    |'[^'\n]*'
    |[][{}\n]""",
    re.VERBOSE,
)

_FAR = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){100}""")


def loads(text: str) -> dict[str, Any]:
    """Return the table that a TOML text holds.

    Raises ValueError (also for a number of too many digits, or a key of too many parts), and
    RecursionError for what is
    nested too deeply.
    """
    # The parser needs the square of a key's parts.
    if _FAR.search(text):
        raise ValueError("a key of too many parts")
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
    which its statement begins, and of an array's tables the first one counts. Keys deeper than
    any that is known are left out.
    """
    found: dict[Key, int] = {}
    table: Key = ()
    line = 1
    for statement in _statements(text):
        keys = list(_keys(loads(statement), ()))
        if statement.lstrip().startswith("["):
            table = keys[-1]
        else:
            keys = [(*table, *key)[:_DEEPEST] for key in keys]
        for key in keys:
            found.setdefault(key, line)
        line += statement.count("\n")
    return found


def _statements(text: str) -> Iterator[str]:
    """Yield the statements of a TOML text, each with its lines' ends.

    A statement ends with a line, but not within a string or brackets.
    """
    start = depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in ("[", "{")) - (token[0] in ("]", "}"))
        if token[0] == "\n" and depth == 0:
            yield text[start : token.end()]
            start = token.end()
    yield text[start:]


def _keys(values: Mapping[str, Any], above: Key) -> Iterator[Key]:
    """Yield the path of each key in a table, those above first."""
    for key, value in values.items():
        path = (*above, key)
        yield path
        # [[name]] makes a list of a table.
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and len(path) < _DEEPEST:
            yield from _keys(inner, path)
