# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder whose file system is in fstab(5), but not mounted: what is written there gets hidden."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError

_FSTAB = Path("/etc/fstab")
#: proc(5): the fifth field is where something is mounted.
_MOUNTS = Path("/proc/self/mountinfo")
_FIELD = 4
_ESCAPE = re.compile(r"\\([0-7]{3})")


def check(path: Path, *, fstab: Path = _FSTAB, mounts: Path = _MOUNTS) -> None:
    """Raise KdumpInitrdError if a later mount would hide what is written to ``path`` here.

    If that cannot be told, as without /proc, nothing is raised.
    """
    wanted = PurePosixPath(os.path.realpath(path))
    with suppress(OSError):
        there = {_plain(line.split()[_FIELD]) for line in _lines(mounts)}
        named = {_plain(line.split()[1]) for line in _lines(fstab) if len(line.split()) > 1}
        for place in wanted.parents:
            name = str(place)
            if name in there:
                return
            if name in named:
                raise KdumpInitrdError(
                    f"{name}: is in {fstab}, but not mounted: {wanted} would be hidden once it is",
                    hint=f"mount {name}, or remove its line from {fstab}",
                )


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _plain(word: str) -> str:
    """Return a path without octal escapes and without a slash at its end."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), word).rstrip("/") or "/"
