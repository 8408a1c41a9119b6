# SPDX-License-Identifier: GPL-2.0-or-later
"""Python sources become bytecode and a list of imports, once for each content."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import marshal
import os
import tempfile
import types
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import KdumpInitrdError
from .imports import Import, imports_of

#: Changes with what this module and probe/imports.py make of the same source.
_FORMAT = b"1"
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


def translate(source: bytes, *, name: str, package: bool) -> Unit:
    """Return the unit of a module, from the user's cache if it has this content.

    The .pyc is an unchecked hash-based one (PEP 552): right whatever the time of its source.
    Raises KdumpInitrdError when this Python cannot parse the source.
    """
    text = b"\0".join((_FORMAT, importlib.util.MAGIC_NUMBER, name.encode(), b"p" * package, source))
    key = hashlib.sha256(text).hexdigest()
    folder = _cache()
    cached = _load(folder / key) if folder is not None else None
    if cached is not None:
        return cached
    unit = _compile(source, name=name, package=package)
    if folder is not None:
        _store(folder / key, unit)
    return unit


def _compile(source: bytes, *, name: str, package: bool) -> Unit:
    file = f"{name.replace('.', '/')}.py"
    try:
        tree = ast.parse(source, file)
        imports = imports_of(tree, name=name, package=package)
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


def _cache() -> Path | None:
    """Return the folder of the cache, or None where there can be none that is safe to trust."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        top = (
            Path(base)
            if base
            else Path("/var/cache")
            if os.geteuid() == 0
            else Path.home() / ".cache"
        )
        folder = top / "kdump-initrd"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except (OSError, RuntimeError):
        return None
    # Whoever can write there could put code into the image.
    safe = status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return folder if safe else None


def _load(path: Path) -> Unit | None:
    try:
        digest, _, payload = path.read_bytes().partition(b"\n")
        if digest != hashlib.sha256(payload).hexdigest().encode():
            return None
        imports, _, pyc = payload.partition(b"\n")
        return Unit(tuple(Import(name, bool(flag)) for name, flag in json.loads(imports)), pyc)
    except (OSError, ValueError, TypeError):
        return None


def _store(path: Path, unit: Unit) -> None:
    imports = json.dumps([(each.name, each.optional) for each in unit.imports]).encode()
    payload = imports + b"\n" + unit.pyc
    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        new = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
