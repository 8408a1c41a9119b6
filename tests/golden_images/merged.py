# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts of several owners as one: each line once where they agree, below a line of its owners.

The first line names all owners. ``@@ all``, ``@@ a b`` and ``@@ all but c`` say whose the lines up
to the next such line are; up to the first of them all have the lines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import groupby
from typing import NamedTuple

_MARK, _ALL, _BUT = "@@ ", "all", "all but "


class Damage(ValueError):
    """A text that merge() does not take, or one that it has not made."""


class _Line(NamedTuple):
    text: str
    owners: frozenset[str]


def merge(texts: Mapping[str, str]) -> str:
    """Merge texts, which end with a newline or are empty, by their owners; raises Damage."""
    owners: dict[str, set[str]] = {}
    for owner in sorted(texts):
        owners.setdefault(texts[owner], set()).add(owner)
    merged: list[_Line] = []
    for text, having in owners.items():
        merged = list(_with(merged, lines_of(text), frozenset(having)))
    found = [_MARK + " ".join(sorted(texts))]
    for head, block in groupby(merged, key=lambda line: head_of(line.owners, texts)):
        if head != _ALL or len(found) > 1:
            found.append(_MARK + head)
        found += (line.text for line in block)
    return "".join(f"{line}\n" for line in found)


def _with(merged: list[_Line], lines: list[str], owners: frozenset[str]) -> Iterator[_Line]:
    for text in lines:
        if text.startswith(_MARK):
            raise Damage(f"a line begins with {_MARK!r}: {text}")
    matcher = SequenceMatcher(None, [line.text for line in merged], lines, autojunk=False)
    for what, start, end, first, last in matcher.get_opcodes():
        for line in merged[start:end]:
            yield line._replace(owners=line.owners | owners) if what == "equal" else line
        if what != "equal":
            yield from (_Line(text, owners) for text in lines[first:last])


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, which must end with a newline if there are any."""
    *lines, rest = text.split("\n")
    if rest:
        raise Damage(f"the last line does not end: {rest}")
    return lines


def head_of(owners: Collection[str], every: Collection[str]) -> str:
    """Return some of the owners as few words."""
    others = sorted(set(every) - set(owners))
    if not others:
        return _ALL
    return _BUT + " ".join(others) if len(others) < len(owners) else " ".join(sorted(owners))


def split(merged: str) -> dict[str, str]:
    """Return the texts by their owners; raises Damage."""
    first, *rest = lines_of(merged)
    if not first.startswith(_MARK):
        raise Damage(f"the first line does not name the owners: {first}")
    every = first.removeprefix(_MARK).split()
    found: dict[str, list[str]] = {owner: [] for owner in every}
    owners = set(every)
    for line in rest:
        if line.startswith(_MARK):
            owners = _owners(line.removeprefix(_MARK), every)
        else:
            for owner in owners:
                found[owner].append(f"{line}\n")
    return {owner: "".join(lines) for owner, lines in found.items()}


def _owners(head: str, every: list[str]) -> set[str]:
    if head == _ALL:
        return set(every)
    named = set(head.removeprefix(_BUT).split())
    if unknown := sorted(named - set(every)):
        raise Damage(f"not among the owners of the first line: {' '.join(unknown)}")
    return set(every) - named if head.startswith(_BUT) else named
