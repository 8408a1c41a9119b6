# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that are scripts: their interpreter."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.files import open_file


def read_interpreter(path: Path) -> str | None:
    """Return the absolute path behind ``#!`` in the file's first line, None for no script.

    The path is free of links. Raises KdumpInitrdError when the file cannot be read.
    """
    try:
        with open_file(path) as file:
            line = file.readline(256)
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}") from error
    words = line[2:].decode(errors="replace").split()
    if not line.startswith(b"#!") or not words or not words[0].startswith("/"):
        return None
    return words[0]
