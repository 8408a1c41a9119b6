# SPDX-License-Identifier: GPL-2.0-or-later
"""Python sources become bytecode and a list of imports, once for each content."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import marshal
import types
from dataclasses import dataclass

from ...core import cache
from ...core.errors import KdumpInitrdError
from .imports import Import, imports_of
from .pruning import prune

#: Changes with what this module, pruning.py and imports.py make of the same source.
_FORMAT = b"2"
#: Level 2 leaves docstrings and assertions out: the capture kernel has no memory for them.
_OPTIMIZE = 2
#: Before version 3, marshal writes no back references. Those depend on what else the process
#: holds: the same source would give other bytes.
_MARSHAL = 2


@dataclass(frozen=True)
class Unit:
    """One module: what it imports, and its .pyc file for the Python that runs this."""

    imports: tuple[Import, ...]
    pyc: bytes


def translate(source: bytes, *, name: str, package: bool, late: bool = False) -> Unit:
    """Return the unit of a module, from the user's cache if it has this content.

    Its imports are those that run with it and, if ``late``, those in functions, too. The .pyc is an
    unchecked hash-based one (PEP 552): right whatever the time of its source. Raises
    KdumpInitrdError when this Python cannot parse the source.
    """
    kind = b"p" * package + b"l" * late
    text = b"\0".join((_FORMAT, importlib.util.MAGIC_NUMBER, name.encode(), kind, source))
    key = hashlib.sha256(text).hexdigest()
    cached = _read(cache.fetch(key))
    if cached is not None:
        return cached
    unit = _compile(source, name=name, package=package, late=late)
    cache.store(key, _written(unit))
    return unit


def _compile(source: bytes, *, name: str, package: bool, late: bool) -> Unit:
    # Each function has a copy of it, of which the saver tells this part (low/failure.py).
    file = f"{name.rpartition('.')[2]}.py"
    try:
        tree = prune(ast.parse(source, file))
        imports = imports_of(tree, name=name, package=package, late=late)
        code = compile(tree, file, "exec", dont_inherit=True, optimize=_OPTIMIZE)
    except (SyntaxError, ValueError) as error:
        raise KdumpInitrdError(
            f"{name}: this Python cannot read that module of the image's Python: {error}",
            hint="run mkinitrd-kdump with the newer Python, or choose an older one with --python",
        ) from error
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
    pyc = head + importlib.util.source_hash(source) + marshal.dumps(_stable(code), _MARSHAL)
    return Unit(imports, pyc)


def _stable(code: types.CodeType) -> types.CodeType:
    # Before Python 3.11 a frozenset is marshalled in the order of its hashes, which change with
    # each process; such constants only stand behind `in`, where a sorted tuple does the same.
    def stable(value: object) -> object:
        if isinstance(value, frozenset):
            return tuple(sorted(value, key=repr))
        return _stable(value) if isinstance(value, types.CodeType) else value

    return code.replace(co_consts=tuple(map(stable, code.co_consts)))


def _read(payload: bytes | None) -> Unit | None:
    if payload is None:
        return None
    imports, _, pyc = payload.partition(b"\n")
    try:
        return Unit(tuple(Import(name, bool(flag)) for name, flag in json.loads(imports)), pyc)
    except (ValueError, TypeError):
        return None


def _written(unit: Unit) -> bytes:
    imports = json.dumps([(each.name, each.optional) for each in unit.imports])
    return imports.encode() + b"\n" + unit.pyc
