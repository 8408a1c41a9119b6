# SPDX-License-Identifier: GPL-2.0-or-later
"""Python sources become bytecode, by the Python that is to load it, once for each content."""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import sys
from collections.abc import Sequence
from pathlib import Path

from ...core import cache
from ...core.errors import KdumpInitrdError
from ...core.run import run
from . import compiling

#: Changes with what compiling.py and pruning.py make of the same source.
_FORMAT = b"3"
#: Seconds; it takes a tenth of one.
_TIMEOUT = 60.0
#: Where this program's packages are.
_TOP = str(Path(__file__).resolve().parents[3])
_PROGRAM = (
    f"import sys; sys.path.append(sys.argv[1]); from {compiling.__name__} import main; main()"
)


def compiled(sources: Sequence[tuple[str, bytes]], python: Path) -> list[bytes]:
    """Return a .pyc file for each (file name, source), by running ``python``.

    Raises KdumpInitrdError if it does not run, or cannot compile one of them.
    """
    is_this = python.resolve() == Path(sys.executable).resolve()
    magic = importlib.util.MAGIC_NUMBER if is_this else _run(python, [])[0]
    parts = (part for file, source in sources for part in (file.encode(), source))
    key = hashlib.sha256(b"\0".join((_FORMAT, magic, *parts))).hexdigest()
    kept = cache.fetch(key)
    if kept is not None:
        return list(marshal.loads(kept))
    _, found = _run(python, sources)
    cache.store(key, marshal.dumps(found, compiling.PLAIN))
    return found


def _run(python: Path, sources: Sequence[tuple[str, bytes]]) -> tuple[bytes, list[bytes]]:
    """Return the magic number and the .pyc files that ``python`` makes of sources."""
    command = [str(python), "-I", "-S", "-B", "-c", _PROGRAM, _TOP]
    jobs = marshal.dumps(list(sources), compiling.PLAIN)
    try:
        magic, found = marshal.loads(run(command, timeout=_TIMEOUT, stdin=jobs).stdout)
    except (EOFError, ValueError, TypeError) as error:
        raise KdumpInitrdError(f"{python}: not what a Python says: {error}") from error
    return magic, found
