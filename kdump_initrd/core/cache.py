# SPDX-License-Identifier: GPL-2.0-or-later
"""What is slow to make, kept between builds and looked up by what it was made from."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import trust
from .log import get_logger

logger = get_logger(__name__)

#: Seconds after which an entry that nobody has asked for is removed.
_KEEP = 60 * 24 * 3600
#: The names of our files: a digest, or one with the process ID of whoever is writing it.
_OURS = re.compile(r"[0-9a-f]{16,}(\.[0-9]+\.new)?")
#: No entry is larger, in bytes.
_LARGEST = 1 << 26


def fetch(key: str) -> bytes | None:
    """Return what was stored under ``key`` (a digest of all that it depends on), or None.

    A damaged entry counts as missing, and so does what another user could have put there.
    """
    with suppress(OSError), _folder() as folder:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(key, flags, dir_fd=folder), "rb") as file:
            status = os.fstat(file.fileno())
            mine = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            if not mine or trust.doubt(status) or status.st_size > _LARGEST:
                return None
            digest, _, payload = file.read(_LARGEST).partition(b"\n")
            os.utime(file.fileno())
        return payload if digest == hashlib.sha256(payload).hexdigest().encode() else None
    return None


def store(key: str, payload: bytes) -> None:
    """Keep ``payload`` for fetch(); if that is not possible, nothing happens."""
    with suppress(OSError), _folder() as folder:
        _drop_old(folder)
        new = f"{key}.{os.getpid()}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(new, flags, 0o600, dir_fd=folder), "wb") as file:
                file.write(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
            os.rename(new, key, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=folder)


@contextmanager
def _folder() -> Iterator[int]:
    """Yield a descriptor of the cache's folder; raises OSError if there cannot be one.

    The environment may be another user's (su, sudo -E): whoever could write there, or could put
    another folder in its place, could put code into the image.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        home = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    except RuntimeError as error:
        raise OSError(str(error)) from error
    base = base or str(home)
    if not base.startswith("/"):
        raise OSError(f"{base}: not an absolute path")
    try:
        folder = trust.open_folder(f"{base}/kdump-initrd", make=True)
    except trust.Untrusted as error:
        logger.debug("no cache: %s: %s", error.filename, error.strerror)
        raise
    try:
        yield folder
    finally:
        os.close(folder)


def _drop_old(folder: int) -> None:
    limit = time.time() - _KEEP
    for name in os.listdir(folder):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        old = status.st_mtime < limit
        if old and stat.S_ISREG(status.st_mode) and _OURS.fullmatch(name):
            os.unlink(name, dir_fd=folder)
