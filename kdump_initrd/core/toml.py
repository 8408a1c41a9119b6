# SPDX-License-Identifier: GPL-2.0-or-later
"""TOML, and the line number of each key, which the standard library's parser does not tell."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The path of a key: names of tables, numbers of an array's tables (from 0), and its own name.
Key = tuple[Union[str, int], ...]
#: No key of ours is nested as deeply as this.
_DEEPEST = 8
#: Comments and strings, which can contain brackets and line ends, and these themselves (toml.io,
#: v1.0.0). Up to two quotes may stand before those that end a string of several lines.
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


class TomlError(ValueError):
    """The content of a file is not TOML; ``line`` is 0 where the parser does not tell."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True)
class Document:
    """A TOML file: its text, with LF at the end of lines, and the table that it holds."""

    path: Path
    text: str
    table: Mapping[str, Any]

    def says(self, *key: str) -> bool:
        """Tell whether the key is in the file."""
        table: object = self.table
        for name in key:
            if not isinstance(table, dict) or name not in table:
                return False
            table = table[name]
        return True

    def line(self, key: Key) -> int:
        """Return the line of a key, or of the nearest table around it that has one; else 0."""
        lines = lines_of(self.text)
        above = (key[:depth] for depth in range(len(key), 0, -1))
        return next((lines[each] for each in above if each in lines), 0)

    def where(self, *key: str | int) -> str:
        """Return "FILE:LINE" of a key, "FILE" where it has no line."""
        line = self.line(key)
        return f"{self.path}:{line}" if line else str(self.path)


def parse(path: Path, content: bytes) -> Document:
    """Return what the file at ``path`` says, which has that content; raises TomlError."""
    text = ""
    try:
        # TOML takes CR LF for LF, and lines are counted as people see them.
        text = content.decode().replace("\r\n", "\n")
        return Document(path, text, _loads(text))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TomlError("not UTF-8", line) from error
    except RecursionError:
        raise TomlError("not TOML: nested too deeply", 0) from None
    except ValueError as error:
        # "… (at line 3, column 5)", "… (at end of document)"
        reason, at, place = str(error).partition(" (at ")
        number = re.match(r"line (\d+)", place)
        line = int(number[1]) if number else len(text.splitlines()) if at else 0
        raise TomlError(f"not TOML: {' '.join(reason.split())}", line) from error


def _loads(text: str) -> dict[str, Any]:
    # A number of too many digits is a ValueError, too.
    # The parser's time grows with the square of the number of a key's parts.
    if _FAR.search(text):
        raise ValueError("a key with too many parts")
    table: dict[str, Any] = tomllib.loads(text)
    return table


@functools.lru_cache
def lines_of(text: str) -> Mapping[Key, int]:
    """Return the line (from 1) of each table's header and of each key, by its path.

    ``text`` is valid TOML, with LF at the end of lines. A key in an inline table has the line on
    which its statement begins; what is in an array in brackets has none. Keys that are nested more
    deeply than any of ours are left out.
    """
    found: dict[Key, int] = {}
    numbers: dict[Key, int] = {}
    table: Key = ()
    line = 1
    for statement in _statements(text):
        keys = list(_keys(_loads(statement), ()))
        header = statement.lstrip()
        if header.startswith("["):
            keys = [_numbered(key, numbers) for key in keys]
            table = keys[-1]
            if header.startswith("[["):
                numbers[table] = numbers.get(table, -1) + 1
                table = (*table, numbers[table])
                keys.append(table)
        else:
            keys = [(*table, *key)[:_DEEPEST] for key in keys]
        for key in keys:
            found.setdefault(key, line)
        line += statement.count("\n")
    return found


def _numbered(key: Key, numbers: Mapping[Key, int]) -> Key:
    """Return the path of a header's key: an array in it stands for its last table."""
    path: Key = ()
    for name in key:
        number = numbers.get(path)
        path = (*path, name) if number is None else (*path, number, name)
    return path


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
    """Yield the path of each key in a table, outer ones first."""
    for name, value in values.items():
        path = (*above, name)
        yield path
        if isinstance(value, dict) and len(path) < _DEEPEST:
            yield from _keys(value, path)
