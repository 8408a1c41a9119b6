# SPDX-License-Identifier: GPL-2.0-or-later
"""Can a folder's file system be written to, and how fast? It is tried, with a file without a name.

Nothing is mounted for it: to mount a file system replays its journal, and one that another machine
uses, too, would be damaged. What is not mounted here cannot be tried.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...core.root import Root

#: What is written at once, in bytes; and what comes to a disk before it is waited for.
_CHUNK, _STEP = 1 << 20, 8 << 20
#: Not every file system knows files without a name (open(2), O_TMPFILE).
_UNKNOWN = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
#: What the name of one begins with that has to have one, until it is open.
_PREFIX = ".kdump-initrd-"


def nearest(folder: Path, mounted: Path, root: Root) -> Path:
    """Return the folder, or the nearest one above it that is there, on what is ``mounted``."""
    for path in (folder, *folder.parents):
        found = root.folder(path)
        if found is not None and found.is_relative_to(mounted):
            return found
        if path == mounted:
            break
    return mounted


def attempt(folder: Path) -> None:
    """Write a page into ``folder``, through to the disk, and remove it; raises OSError."""
    with _file(folder) as descriptor:
        os.write(descriptor, secrets.token_bytes(os.sysconf("SC_PAGESIZE")))
        os.fsync(descriptor)


def speed(folder: Path, *, most: int, seconds: float) -> float:
    """Write up to ``most`` bytes for about ``seconds``; return bytes a second, or raise OSError."""
    data = secrets.token_bytes(_CHUNK)
    with _file(folder) as descriptor:
        start = time.monotonic()
        done = synced = 0
        while done < most and time.monotonic() - start < seconds:
            done += os.write(descriptor, data[: most - done])
            if done - synced >= _STEP:
                os.fdatasync(descriptor)
                synced = done
        os.fdatasync(descriptor)
        return done / max(time.monotonic() - start, 1e-9)


@contextmanager
def _file(folder: Path) -> Iterator[int]:
    """Open a file that goes with its descriptor, whatever happens to this process."""
    flags = os.O_WRONLY | os.O_CLOEXEC
    try:
        descriptor = os.open(folder, flags | os.O_TMPFILE, 0o600)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        name = f"{_PREFIX}{secrets.token_hex(8)}"
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=at)
            os.unlink(name, dir_fd=at)
        finally:
            os.close(at)
    try:
        yield descriptor
    finally:
        with suppress(OSError):
            os.close(descriptor)
