# SPDX-License-Identifier: GPL-2.0-or-later
"""The crash's folder on the dump file system: names, creation, and syncing."""

from __future__ import annotations

import os
import time

from .failure import SaverError

#: The file that says how it went, and what is added to the names of a dump that is not complete
#: and of a text that is about to replace another.
REPORT, UNFINISHED, BESIDE = "report.json", "-incomplete", ".new"

_MAX_SUFFIX = 10000


def expand(pattern: str, seconds: int) -> str:
    """Return a strftime pattern's name for a time in seconds since 1970, in UTC.

    Raises SaverError when that is not the name of one file.
    """
    try:
        name = time.strftime(pattern, time.gmtime(seconds))
    except ValueError:  # a NUL in it
        name = ""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise SaverError(f"{pattern!r} does not give the name of one file: {name!r}")
    return name


def make_folder(output: str, name: str) -> str:
    """Make a new folder in output, NAME or else NAME-2, NAME-3, …; return its path.

    output itself is made if need be. Raises OSError, or SaverError after 10000 tries.
    """
    os.makedirs(output, 0o755, exist_ok=True)  # as distributions have /var/crash
    for number in range(1, _MAX_SUFFIX):
        path = os.path.join(output, name if number == 1 else f"{name}-{number}")
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        sync_folder(output)
        return path
    raise SaverError(f"{os.path.join(output, name)}: too many folders of that name")


def sync_folder(path: str) -> None:
    """Make the names in a folder safe on the disk; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create(path: str) -> int:
    """Create a file that only root may read; return its descriptor. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def write_all(fd: int, data: bytes) -> None:
    """Write all of data at the file's position; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
