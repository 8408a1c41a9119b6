# SPDX-License-Identifier: GPL-2.0-or-later
"""The exit statuses: one table, which code, help texts and man pages stand on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from kdump_initrd.commands import admin, vmcoresave
from kdump_initrd.commands.grammar import debian
from kdump_initrd.commands.interrupts import SIGNALS
from kdump_initrd.core import exits
from kdump_initrd.core.errors import KdumpInitrdError, UsageError
from tests.rooms import MODULES, imports

from .manpage import PAGES

#: Man page: the parser of its command.
COMMANDS = {
    "mkinitrd-kdump.8": debian.parser,
    "kdump-initrd.8": admin.parser,
    "vmcore-save.8": vmcoresave.parser,
}
#: What gives a status: the commands and their verbs, and whatever below them knows the table.
GIVING = [name for name in MODULES if name.startswith("commands") or "core.exits" in imports(name)]


def test_the_table() -> None:
    assert (exits.DONE, exits.ERROR, exits.USAGE, exits.NO) == (0, 1, 2, 3)
    assert [*exits.MEANINGS] == [0, 1, 2, 3]
    assert exits.by_signal(15) == 143
    assert (KdumpInitrdError.exit_status, UsageError.exit_status) == (1, 2)


def values(node: ast.AST) -> Iterator[ast.expr | None]:
    """Yield what a statement returns, or sets ``status`` to."""
    value = node.value if isinstance(node, ast.Return) else None
    if isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "status" for target in node.targets
    ):
        value = node.value
    yield from (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,)


@pytest.mark.parametrize("name", GIVING)
def test_no_status_is_said_but_by_its_name(name: str) -> None:
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        for value in values(node):
            if isinstance(value, ast.Constant) and type(value.value) is int:
                assert value.value not in exits.MEANINGS, f"{name}:{value.lineno}"


def entries(page: str) -> dict[str, str]:
    """Return the section EXIT STATUS of a man page: the text of each label."""
    text = (PAGES / page).read_text(encoding="utf-8")
    section = text.partition('\n.SH "EXIT STATUS"\n')[2].partition("\n.SH")[0]
    parts = (part.strip().split("\n", 1) for part in section.split(".TP\n")[1:])
    return {re.sub(r"^\.BR? |[\" ]", "", label): text for label, text in parts}


@pytest.mark.parametrize("page", COMMANDS)
def test_help_and_man_page_say_the_same_as_the_table(page: str) -> None:
    found = entries(page)
    signals = found.popitem()
    assert {*signals[0].split(",")} == {str(exits.by_signal(each)) for each in SIGNALS}
    statuses = [int(label) for label in found]
    for status in statuses:
        meaning = exits.MEANINGS[status].partition(",")[0]
        assert found[str(status)].lower().startswith(meaning), f"{status}: {meaning}"
    text = " ".join(COMMANDS[page]().format_help().split())
    assert text.endswith(exits.sentence(statuses))
    assert exits.NO in statuses or page == "vmcore-save.8"
