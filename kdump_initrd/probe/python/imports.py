# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Python module imports: when it is itself imported, and later."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from ...core import cache
from ...core.errors import KdumpInitrdError
from .pruning import prune

#: Changes with what this module and pruning.py make of the same source.
_FORMAT = b"3"
#: A statement of Python 3.15 (PEP 810) that imports once the name is used.
_LAZY = re.compile(rb"^lazy (?=(?:import|from) )", re.MULTILINE)


@dataclass(frozen=True)
class Import:
    """A dotted name that an import statement asks for.

    An ``optional`` one may be missing: ImportError is caught there, or the name may be an attribute
    instead of a module.
    """

    name: str
    optional: bool


def imports_of(source: bytes, *, name: str, package: bool, late: bool) -> tuple[Import, ...]:
    """Return the imports of the module ``name`` once it is pruned, each name once, in order.

    They are those that run when it is imported and, if ``late``, also those in functions; for
    modules of the standard library, the latter would bring in half of it. Results are kept in the
    user's cache. Raises KdumpInitrdError if this Python cannot parse the source.
    """
    kind = b"%d.%d" % sys.version_info[:2] + b"p" * package + b"l" * late
    key = hashlib.sha256(b"\0".join((_FORMAT, kind, name.encode(), source))).hexdigest()
    kept = _read(cache.fetch(key))
    if kept is not None:
        return kept
    try:
        tree = prune(ast.parse(_LAZY.sub(b"if TYPE_CHECKING: ", source), name))
    except (SyntaxError, ValueError) as error:
        raise KdumpInitrdError(
            f"{name}: this Python cannot read that module of the image's Python: {error}",
            hint="run mkinitrd-kdump with the newer Python, or choose an older one with --python",
        ) from error
    found = _find(tree, name=name, package=package, late=late)
    cache.store(key, json.dumps([(each.name, each.optional) for each in found]).encode())
    return found


def _read(payload: bytes | None) -> tuple[Import, ...] | None:
    if payload is None:
        return None
    try:
        return tuple(Import(name, bool(optional)) for name, optional in json.loads(payload))
    except (ValueError, TypeError):
        return None


def _find(tree: ast.Module, *, name: str, package: bool, late: bool) -> tuple[Import, ...]:
    around = name if package else name.rpartition(".")[0]
    found: dict[str, bool] = {}
    for each in _walk(tree.body, around, late=late, optional=False):
        found[each.name] = found.get(each.name, True) and each.optional
    return tuple(Import(key, optional) for key, optional in found.items())


def with_parents(name: str) -> Iterator[str]:
    """Yield what importing ``name`` imports: a, a.b and a.b.c."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _walk(body: list[ast.stmt], around: str, *, late: bool, optional: bool) -> Iterator[Import]:
    for statement in body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield from _all(alias.name, optional)
        elif isinstance(statement, ast.ImportFrom):
            yield from _from(statement, around, optional)
        elif late or not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            survives = isinstance(statement, ast.Try) and any(map(_catches, statement.handlers))
            for inner in _blocks(statement):
                yield from _walk(inner, around, late=late, optional=optional or survives)


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
    yield from _all(base, optional)
    for alias in statement.names:
        if alias.name != "*":
            yield Import(f"{base}.{alias.name}", True)


def _all(name: str, optional: bool) -> Iterator[Import]:
    return (Import(each, optional) for each in with_parents(name))


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(caught & {"ImportError", "ModuleNotFoundError", "Exception"})
