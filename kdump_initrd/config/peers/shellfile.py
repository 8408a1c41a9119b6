# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer's file in shell syntax: its assignments, by the peer's table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .. import shellwords
from ..findings import Findings, Place, Said
from ..shellwords import Assignment
from .keys import Key


def read(findings: Findings, path: Path, text: str, keys: Sequence[Key]) -> None:
    """Add the meaning of the assignments in ``text``. An empty value counts as none."""
    script = shellwords.read(text)
    if script.problem:
        findings.fail_at(Place(path, script.line), script.problem)
    for command in script.commands:
        findings.warn_at(
            Place(path, command.line), f"{command.word}: not run, only assignments are read"
        )
    last: dict[str, Assignment] = {}
    for each in script.assignments:
        if each.name in last and not each.extends:
            before = Said(each.name, "", Place(path, last[each.name].line))
            findings.warn(before, f"not used: line {each.line} sets it again")
        last[each.name] = each
    names = [key.name for key in keys]
    for name, each in last.items():
        if name not in names and name not in script.used:
            near = findings.near(name, names, cutoff=0.8)
            hint = f": did you mean {near}?" if near else ""
            findings.warn(Said(name, "", Place(path, each.line)), f"unknown, and not used{hint}")
    for key in keys:
        if key.name in last:
            _apply(findings, path, key, last[key.name])


def _apply(findings: Findings, path: Path, key: Key, found: Assignment) -> None:
    said = Said(key.name, found.value.strip(), Place(path, found.line))
    if not found.problem:
        if said.value:
            key.apply(findings, said)
    elif key.use is not None:
        findings.fail(said, f"not used: {found.problem}; write the value itself")
    else:
        findings.warn(said, f"not used: {key.becomes}")
