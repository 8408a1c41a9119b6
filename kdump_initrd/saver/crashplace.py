# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash's place in a store, and the file that tells the hooks where it is."""

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
    if state:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(state, flags, 0o600)
        try:
            write_all(fd, os.fsencode(store.where) + b"\n")
        finally:
            os.close(fd)
    return note


def known_place(state: str) -> str:
    """Return the crash's place that the file names; "" if it names none."""
    return os.fsdecode(read_start(state, _LONGEST).rstrip(b"\n")) if state else ""
