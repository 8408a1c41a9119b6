# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Python module imports when it is itself imported on Linux."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Import:
    """A dotted name that an import statement asks for.

    An ``optional`` one may be missing: the statement survives ImportError, or the name may be an
    attribute instead of a module.
    """

    name: str
    optional: bool


def imports_of(tree: ast.Module, *, name: str, package: bool) -> tuple[Import, ...]:
    """Return the imports that run with the module ``name``, each name once, in order.

    Bodies of functions are not looked into, nor branches for other systems, for type checkers
    and for the module as a program: those would drag in half the standard library.
    """
    around = name if package else name.rpartition(".")[0]
    found: dict[str, bool] = {}
    for each in _walk(tree.body, around, optional=False):
        found[each.name] = found.get(each.name, True) and each.optional
    return tuple(Import(key, optional) for key, optional in found.items())


def _walk(body: list[ast.stmt], around: str, *, optional: bool) -> Iterator[Import]:
    for statement in body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield from _parents(alias.name, optional)
        elif isinstance(statement, ast.ImportFrom):
            yield from _from(statement, around, optional)
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        elif isinstance(statement, ast.If):
            verdict = _verdict(statement.test)
            if verdict is not False:
                yield from _walk(statement.body, around, optional=optional)
            if verdict is not True:
                yield from _walk(statement.orelse, around, optional=optional)
        else:
            survives = isinstance(statement, ast.Try) and any(map(_catches, statement.handlers))
            for inner in _blocks(statement):
                yield from _walk(inner, around, optional=optional or survives)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, [])
    for handler in getattr(statement, "handlers", []):
        yield handler.body


def _from(statement: ast.ImportFrom, around: str, optional: bool) -> Iterator[Import]:
    base = statement.module or ""
    if statement.level:
        parts = around.split(".")
        parts = parts[: len(parts) - statement.level + 1]
        base = ".".join([*parts, base] if base else parts)
    yield from _parents(base, optional)
    for alias in statement.names:
        if alias.name != "*":
            yield Import(f"{base}.{alias.name}", True)


def _parents(name: str, optional: bool) -> Iterator[Import]:
    # Importing a.b.c imports a and a.b before.
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield Import(".".join(parts[:count]), optional)


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(caught & {"ImportError", "ModuleNotFoundError", "Exception"})


def _verdict(test: ast.expr) -> bool | None:
    """Tell what a condition is in the capture kernel, or None where only running it can say."""
    text = ast.dump(test)
    if "TYPE_CHECKING" in text or "'__main__'" in text:
        return False
    constants = {node.value for node in ast.walk(test) if isinstance(node, ast.Constant)}
    # sys.platform == "win32", "nt" in sys.builtin_module_names, os.name == "posix" and the like.
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Eq, ast.In)):
        if constants & {"win32", "nt", "cygwin", "darwin", "ios", "wasi", "emscripten", "vxworks"}:
            return False
        if "posix" in constants:
            return True
    return None
