# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash's place in a store, and the files that tell the hooks of it."""

from __future__ import annotations

import os

from .store.diskfile import read_start, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .store import Store
    from .store.naming import Names

#: Bytes of a path, at most (PATH_MAX in linux/limits.h).
_LONGEST = 1 << 12


def make_place(store: Store, names: Names, state: str) -> str:
    """Make the crash's place, and write it to the file ("" for none); return the store's note.

    Raises SaverError, OSError.
    """
    note = store.begin(*names.of("directory"))
    tell(state, os.fsencode(store.where))
    return note


def tell(path: str, line: bytes) -> None:
    """Write a line for the hooks into a file ("" for none); raises OSError."""
    if path:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        try:
            write_all(fd, line + b"\n")
        finally:
            os.close(fd)


def known_place(state: str) -> str:
    """Return the crash's place that the file names; "" if it names none."""
    return os.fsdecode(read_start(state, _LONGEST).rstrip(b"\n")) if state else ""
