# SPDX-License-Identifier: GPL-2.0-or-later
"""Python sources become bytecode: what bytecode.py runs in the Python that is to load it."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
import types
from typing import Any

from .pruning import prune

#: A version of the format that every marshal can read and writes in the same way.
PLAIN = 2
#: Slices are constants since Python 3.14, and need version 5. Before version 3, marshal writes no
#: references back: which constants get one depends on what else the process holds. Since 3.13 they
#: do not, if all strings are interned (Python/marshal.c, w_ref).
_VERSION = PLAIN if marshal.version < 5 else marshal.version
#: Level 2 leaves docstrings and assertions out: the capture kernel has no memory for them.
_OPTIMIZE = 2


def main() -> None:
    """Read a list of (file name, source); write the magic number and the .pyc files."""
    found = [compiled(*each) for each in marshal.load(sys.stdin.buffer)]
    marshal.dump((importlib.util.MAGIC_NUMBER, found), sys.stdout.buffer, PLAIN)


def compiled(file: str, source: bytes) -> bytes:
    """Return an unchecked hash-based .pyc (PEP 552): right whatever the time of its source."""
    tree = prune(ast.parse(source, file))
    code = compile(tree, file, "exec", dont_inherit=True, optimize=_OPTIMIZE)
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
    return head + importlib.util.source_hash(source) + marshal.dumps(_stable(code), _VERSION)


def _stable(code: types.CodeType) -> types.CodeType:
    """Return code that marshal writes alike in each process."""
    changes: dict[str, Any] = {"co_consts": tuple(map(_constant, code.co_consts))}
    if sys.version_info >= (3, 11):
        changes["co_qualname"] = sys.intern(code.co_qualname)
    return code.replace(**changes)


def _constant(value: object) -> object:
    if isinstance(value, frozenset):
        # Before Python 3.11 a set is written in the order of its hashes, which changes with each
        # process. Such constants only stand after `in`, where a sorted tuple does the same.
        value = tuple(sorted(value, key=repr))
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    if isinstance(value, str):
        return sys.intern(value)
    return _stable(value) if isinstance(value, types.CodeType) else value
