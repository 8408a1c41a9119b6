# SPDX-License-Identifier: GPL-2.0-or-later
"""What is slow to make, kept between builds and looked up by what it was made from."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

#: An entry that nobody asked for so long is removed, in seconds.
_KEEP = 60 * 24 * 3600


def fetch(key: str) -> bytes | None:
    """Return what was stored under ``key`` (a digest of all that it depends on), or None.

    A damaged entry, and a folder that others can write to, count as nothing.
    """
    folder = _folder()
    if folder is None:
        return None
    path = folder / key
    try:
        digest, _, payload = path.read_bytes().partition(b"\n")
        os.utime(path)
    except OSError:
        return None
    return payload if digest == hashlib.sha256(payload).hexdigest().encode() else None


def store(key: str, payload: bytes) -> None:
    """Keep ``payload`` for fetch(); where that cannot be, nothing happens."""
    folder = _folder()
    if folder is None:
        return
    with suppress(OSError):
        _drop_old(folder)
        descriptor, name = tempfile.mkstemp(dir=folder)
        new = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
            new.replace(folder / key)
        finally:
            new.unlink(missing_ok=True)


def _folder() -> Path | None:
    """Return the folder of the cache, or None where there can be none that is safe to trust."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        home = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
        folder = (Path(base) if base else home) / "kdump-initrd"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except (OSError, RuntimeError):
        return None
    # Whoever can write there could put code into the image.
    safe = status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return folder if safe else None


def _drop_old(folder: Path) -> None:
    limit = time.time() - _KEEP
    for path in folder.iterdir():
        if path.is_file() and path.stat().st_mtime < limit:
            path.unlink()
