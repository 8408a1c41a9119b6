# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening regular files only: without a link on the way, and of a limited size.

A root may be anybody's, and its paths come from core.root: nothing here follows a link.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

#: The largest text that anybody writes: a configuration, a script, a table; in bytes.
TEXT = 4 << 20
#: The largest file that an image has in it, a kernel with symbols among them; in bytes.
FILE = 128 << 20


def read(path: Path, *, limit: int = FILE) -> bytes:
    """Return the bytes of the file at ``path``, which must be free of links.

    Raises OSError: what open_file() does, and "is larger than N MB" beyond ``limit`` bytes.
    """
    with open_file(path) as file:
        too_large = OSError(errno.EFBIG, f"is larger than {limit >> 20} MB", str(path))
        if os.fstat(file.fileno()).st_size > limit:
            raise too_large
        # The size of files in /proc and /sys is 0.
        content = file.read(limit + 1)
        if len(content) > limit:
            raise too_large
        return content


def read_text(path: Path, *, limit: int = TEXT) -> str:
    """Return a text as read() does its bytes; what is not UTF-8 in it is replaced."""
    return read(path, limit=limit).decode("utf-8", "replace")


def open_file(path: Path) -> BinaryIO:
    """Open the regular file at ``path`` to be read; the path must be free of links.

    Nothing waits, and nothing but a regular file is opened, not even for a moment: some devices
    act when they are. Raises OSError, also for what is not a regular file, or is behind a link.
    """
    spot = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(spot, path)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            # This very file, whatever may have come to its path.
            descriptor = os.open(f"/proc/self/fd/{spot}", flags & ~os.O_NOFOLLOW)
        except FileNotFoundError:  # /proc is not mounted
            descriptor = os.open(path, flags)
    finally:
        os.close(spot)
    return os.fdopen(descriptor, "rb")


def _check(spot: int, path: Path) -> None:
    kind = os.fstat(spot).st_mode
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if stat.S_ISLNK(kind) or _real_name(spot, path) != str(path):
        raise OSError(errno.ELOOP, "is a symbolic link, or behind one", str(path))
    if not stat.S_ISREG(kind):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))


def _real_name(spot: int, path: Path) -> str:
    # The name by which the kernel knows what was opened; unknown if /proc is not mounted.
    try:
        return str(Path(f"/proc/self/fd/{spot}").readlink())
    except FileNotFoundError:
        return str(path)
