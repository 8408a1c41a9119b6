# SPDX-License-Identifier: GPL-2.0-or-later
"""What a TOML file may say, declared once: its tables, their keys, and how each value is read.

A key's value is read by a function that gets it as TOML has it and returns what it means, or
raises ValueError with a text for people: "expected a string".
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Union

from .errors import KdumpInitrdError
from .toml import Document, Key

#: How a value is read.
Read = Callable[[Any], Any]
#: Longer names, and those of a file with more mistakes than this, are not compared with the names
#: that are known: comparing takes long.
_LONGEST, _MANY = 60, 100


@dataclass(frozen=True)
class Table:
    """A table of keys.

    ``others`` is what any other key holds, None if no other is allowed; ``names`` reads the name of
    such a key. ``needed`` are the keys that must be there. ``array`` is for [[NAME]]: a list of
    such tables.
    """

    keys: Mapping[str, Union[Read, Table]] = field(default_factory=dict)
    others: Union[Read, Table, None] = None
    names: Read = str
    needed: Sequence[str] = ()
    array: bool = False


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a key, and a hint on how to mend it, "" for none."""

    key: Key
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{_dotted(self.key)}: {self.what}" if self.key else self.what


def read(table: Mapping[str, Any], declared: Table) -> tuple[dict[str, Any], list[Mistake]]:
    """Return what a table says, as far as it is right, and every mistake in it."""
    reader = _Reader(declared)
    return reader.table((), table, declared), reader.mistakes


def check(document: Document, declared: Table) -> dict[str, Any]:
    """Return what a file says; raises KdumpInitrdError with the line of its first mistake."""
    values, mistakes = read(document.table, declared)
    for each in mistakes:
        raise KdumpInitrdError(f"{document.where(*each.key)}: {each}", hint=each.hint or None)
    return values


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return which of ``known`` may have been meant by ``name``; "" if none resembles it."""
    if len(name) > _LONGEST:
        return ""
    return next(iter(difflib.get_close_matches(name, tuple(known), n=1, cutoff=cutoff)), "")


class _Reader:
    """Reads tables as they are declared, and collects the mistakes."""

    def __init__(self, declared: Table) -> None:
        self.mistakes: list[Mistake] = []
        self._declared = declared

    def table(self, above: Key, table: Mapping[str, Any], declared: Table) -> dict[str, Any]:
        values = {}
        for name, value in table.items():
            key = (*above, name)
            kind = declared.keys.get(name, declared.others)
            try:
                if kind is None:
                    self._unknown(key, declared)
                    continue
                if name not in declared.keys:
                    declared.names(name)
                values[name] = self._value(key, value, kind)
            except ValueError as error:
                self.mistakes.append(Mistake(key, str(error)))
        for name in declared.needed:
            if name not in table:
                self.mistakes.append(Mistake(above, f"{name} is missing"))
        return values

    def _value(self, key: Key, value: object, kind: Read | Table) -> object:
        if not isinstance(kind, Table):
            return kind(value)
        if not kind.array and isinstance(value, dict):
            return self.table(key, value, kind)
        if kind.array and isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return [self.table((*key, n), each, kind) for n, each in enumerate(value)]
        raise ValueError(f"expected {'[[%s]]' if kind.array else '[%s]'}" % _dotted(key))

    def _unknown(self, key: Key, declared: Table) -> None:
        meant = self._meant(key, declared) if len(self.mistakes) < _MANY else ""
        hint = f"did you mean {meant}?" if meant else f"expected one of {', '.join(declared.keys)}"
        self.mistakes.append(Mistake(key, "unknown key", hint))

    def _meant(self, key: Key, declared: Table) -> str:
        name = str(key[-1])
        # A right key in the wrong table is more than a slip of the finger.
        for table, kind in self._declared.keys.items():
            if isinstance(kind, Table) and name in kind.keys:
                return f"{table}.{name}"
        near = nearest(name, declared.keys)
        return _dotted((*key[:-1], near)) if near else ""


def _dotted(key: Key) -> str:
    names = (name for name in key if isinstance(name, str))
    return ".".join(name if name.isprintable() else ascii(name) for name in names)


def text(each: Read = str) -> Read:
    """Return what reads a string, which ``each`` then gets."""

    def read_text(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("expected a string")
        return _text(value, each)

    return read_text


def texts(each: Read = str) -> Read:
    """Return what reads a list of strings as a tuple; ``each`` gets every one of them."""

    def read_texts(value: object) -> object:
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise ValueError("expected a list of strings")
        return tuple(_text(word, each) for word in value)

    return read_texts


def _text(word: str, each: Read) -> object:
    if not word.isprintable():
        raise ValueError(f"{word!a}: a control character: leave it out")
    try:
        return each(word)
    except ValueError as error:
        raise ValueError(f"{word!r}: {error}") from None


def whole(value: object) -> int:
    """Read a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("expected a whole number")
    return value


def flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def word(text: str) -> str:
    """Read what is not blank."""
    if not text or text.isspace():
        raise ValueError("expected a word")
    return text


def relative(text: str) -> str:
    """Read a path in a root."""
    parts = text.split("/")
    if not text or not parts[0] or ".." in parts:
        raise ValueError("expected a path without a / in front and without ..")
    return text


def one_of(*names: str) -> Read:
    """Return what takes one of some words."""

    def read_one(word: str) -> str:
        if word not in names:
            near = nearest(word, names, cutoff=0.4)
            known = ", ".join(name or '""' for name in names)
            raise ValueError(f"did you mean {near}?" if near else f"expected one of {known}")
        return word

    return read_one


def some(each: Read) -> Read:
    """Return what reads as ``each`` does, but refuses an empty value."""

    def read_some(value: object) -> object:
        found = each(value)
        if not found:
            raise ValueError("expected at least one")
        return found

    return read_some


def record(kind: type, each: Read = str, **others: Read) -> Table:
    """Return the table of a dataclass of strings and of tuples of them: its fields are the keys.

    ``each`` gets every string, except those of fields that ``others`` read.
    """
    kinds = {row.name: text if row.type in (str, "str") else texts for row in fields(kind)}
    return Table({name: others.get(name) or read(each) for name, read in kinds.items()})
