# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that are scripts: their interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import KdumpInitrdError


@dataclass(frozen=True)
class Script:
    """A program that is no ELF file: the path after its ``#!``, and the rest of that line."""

    source: Path
    interpreter: str
    argument: str


def read_script(path: Path) -> Script | None:
    """Return what the first line of the file says, or None for another kind of file.

    Raises KdumpInitrdError when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(256)
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}") from error
    if not line.startswith(b"#!"):
        return None
    words = line[2:].decode(errors="replace").split(None, 1)
    return Script(path, words[0] if words else "", words[1].strip() if len(words) > 1 else "")
