# SPDX-License-Identifier: GPL-2.0-or-later
"""The rooms of the package and the arrows between them: ``python -m tests.rooms`` prints both.

A room is a folder at the top of the package; an arrow is that one of its modules imports something
of another room. What only a type checker reads is not an arrow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "kdump_initrd"
SOURCES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the dotted name of a module below the package: "saver.low", "" for the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCES}
#: Rooms from the top of the house to its floor: each may use those on lower floors. Those of one
#: floor do not know each other.
FLOORS = (
    ("commands",),
    ("upkeep",),
    ("recipes",),
    ("targets", "config", "probe", "image", "bootloaders"),
    ("core",),
    ("saver",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

#: The folders at the top of the package.
ROOMS = {name.split(".")[0] for name in MODULES if name} - {"__main__"}


def _walk(tree: ast.AST, *, later: bool) -> Iterator[ast.AST]:
    # The nodes that are more than annotations for a type checker.
    for node in ast.iter_child_nodes(tree):
        waits = isinstance(node, ast.FunctionDef) and not later
        if not waits and not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield node
            yield from _walk(node, later=later)


@cache
def imports(name: str, *, later: bool = True) -> tuple[str, ...]:
    """Return what a module imports: own modules as "a.b", others as "/name".

    Without ``later`` these are what is imported at once, not by functions when they are called.
    """
    return tuple(_imports(name, later=later))


def _imports(name: str, *, later: bool) -> Iterator[str]:
    path = MODULES[name]
    package = name.split(".") if name else []
    if path.stem != "__init__":
        package = package[:-1]
    for node in _walk(ast.parse(path.read_text(encoding="utf-8")), later=later):
        if isinstance(node, ast.Import):
            yield from (f"/{alias.name.split('.')[0]}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield f"/{str(node.module).split('.')[0]}"
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield whole if whole in MODULES else ".".join(base)


def arrows() -> dict[tuple[str, str], list[str]]:
    """Return the modules that import, by (room, room); the package's own two are of no room."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in MODULES:
        here = name.split(".")[0]
        for each in imports(name):
            there = each.split(".")[0]
            if {here, there} <= ROOMS and there != here:
                modules = found.setdefault((here, there), [])
                if name not in modules:
                    modules.append(name)
    return found


def main() -> None:
    """Print the rooms and each arrow with the modules behind it."""
    found = arrows()
    print(f"{len(ROOMS)} rooms, {len(found)} arrows")
    for (here, there), modules in sorted(found.items()):
        print(f"{here:9} -> {there:9} {len(modules):3} {' '.join(modules[:4])}")


if __name__ == "__main__":
    main()
