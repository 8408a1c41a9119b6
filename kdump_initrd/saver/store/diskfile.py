# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of a disk: create one, write all of its data, make its name safe; read the start of one."""

from __future__ import annotations

import os


def create(path: str) -> int:
    """Create a new file that only root may read; return its descriptor.

    Raises OSError, and FileExistsError if anything has that name, even a link.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def write_all(fd: int, data: bytes) -> None:
    """Write all of data at the file's position; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(path: str) -> None:
    """Make the names in a folder safe on the disk; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_start(path: str, limit: int) -> bytes:
    """Return the start of a file; b"" if it is a link, or cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, limit)
    except OSError:
        return b""
    finally:
        os.close(fd)
