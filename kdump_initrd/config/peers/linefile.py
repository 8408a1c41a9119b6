# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer's file of lines, each with a key and its value: kdump.conf(5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..findings import Findings, Place, Said
from .keys import Key


def read(findings: Findings, path: Path, text: str, keys: Sequence[Key]) -> None:
    """Add the meaning of the lines of ``text``. As in kdump-utils, a repeated key is an error."""
    names = [key.name for key in keys]
    said: dict[str, Said] = {}
    for each in _lines(path, text):
        if each.key not in names:
            near = findings.near(each.key, names)
            findings.fail(each, f"unknown key{f', did you mean {near}?' if near else ''}")
        elif not each.value:
            findings.fail(each, "the value is empty")
        elif each.key in said:
            findings.fail(each, f"line {said[each.key].place.line} already sets this key")
        else:
            said[each.key] = each
    for key in keys:
        if key.name in said:
            key.apply(findings, said[key.name])


def _lines(path: Path, text: str) -> Iterator[Said]:
    """Yield the keys and values, by the rules of kdump-utils.

    "#" begins a comment anywhere, quotes around the whole value are removed, and lines are not
    joined.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.partition("#")[0].strip(" \t\r").replace("\t", " ").partition(" ")
        value = words[2].strip()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if words[0]:
            yield Said(words[0], value, Place(path, number))
