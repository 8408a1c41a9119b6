# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that are scripts: their interpreter."""

from __future__ import annotations

from pathlib import Path

from ..errors import KdumpInitrdError


def read_interpreter(path: Path) -> str | None:
    """Return the absolute path behind ``#!`` in the file's first line, None for no script.

    Raises KdumpInitrdError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(256)
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}") from error
    words = line[2:].decode(errors="replace").split()
    if not line.startswith(b"#!") or not words or not words[0].startswith("/"):
        return None
    return words[0]
