# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder for what is made once and kept: fetched roots, raw vmcores."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """Return the folder: KDUMP_TEST_CACHE, or one in ~/.cache."""
    given = os.environ.get("KDUMP_TEST_CACHE")
    return Path(given) if given else Path.home() / ".cache/kdump-initrd"


@contextmanager
def making(target: Path) -> Iterator[bool]:
    """Yield whether ``target`` is still to be made; nobody else makes it at the same time.

    A maker makes it beside its place, and renames it.
    """
    if target.exists():
        yield False
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not target.exists()
