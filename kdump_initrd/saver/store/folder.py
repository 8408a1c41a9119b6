# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder of a mounted file system, or of this one, that gets one folder a crash."""

from __future__ import annotations

import errno
import os

from ..imagepaths import POOL
from . import Lines, Part, Store, Text
from .crashfolder import fit_name, make_folder
from .diskfile import create, read_start, sync_folder, write_all
from .keptfile import KeptFile
from .naming import BESIDE, SCRATCH, UNFINISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..params import TargetParams

#: Bytes of a text that are read.
_MAX_TEXT = 1 << 20
_NO_LIMIT = 1 << 62


class Folder(Store):
    """See Store: where is the path of the crash's folder."""

    def __init__(self, target: TargetParams) -> None:
        """Nothing is looked at yet."""
        self._path, self._mount = target.path, target.mount
        self._keep_free = target.keep_free

    def is_there(self) -> bool:
        """See Store."""
        if not self._mount:
            return True
        from .beneath import is_mounted

        return is_mounted(self._mount)

    def begin(self, name: str, last: str) -> str:
        """See Store."""
        self.where, note = make_folder(self._path, name, last=last, mount=self._mount)
        return note

    def read(self, name: str) -> bytes:
        """See Store."""
        return read_start(os.path.join(self.where, name), _MAX_TEXT)

    def has(self, name: str) -> bool:
        """See Store."""
        return os.path.exists(os.path.join(self.where, name))

    def parts(self) -> list[tuple[str, int]]:
        """See Store."""
        names = [name for name in sorted(os.listdir(self.where)) if name.endswith(UNFINISHED)]
        return [(name, os.stat(os.path.join(self.where, name)).st_size) for name in names]

    def text(self, name: str, last: str = "") -> Text:
        """See Store."""
        note = ""
        if last:
            name, note = fit_name(self.where, name, last=last, suffixes=("", BESIDE))
        return KeptFile(self.where, name, note)

    def lines(self, name: str, last: str) -> Lines:
        """See Store."""
        return _Log(self.where, *fit_name(self.where, name, last=last, suffixes=("",)))

    def dump(self, name: str, last: str) -> Part:
        """See Store."""
        suffixes = ("", UNFINISHED, UNFINISHED + SCRATCH)
        name, note = fit_name(self.where, name, last=last, suffixes=suffixes)
        return FilePart(self.where, name, note, keep_free=self._keep_free)


class _Log(Lines):
    # What there is of it has its name from the first line on.

    def __init__(self, folder: str, name: str, note: str) -> None:
        self.name, self.note = name, note
        self._folder = folder
        self._path = os.path.join(folder, name)
        self._fd = create(self._path)
        self._empty = True

    def write(self, data: bytes) -> None:
        self._empty = self._empty and not data
        write_all(self._fd, data)

    def end(self, data: bytes, *, whole: bool) -> None:
        safe = False
        try:
            self.write(data)
            os.fsync(self._fd)
            safe = True
        except OSError as error:
            safe = error.errno != errno.EIO  # what fits of it stays
            raise
        finally:
            os.close(self._fd)
            if self._empty or not safe:
                os.unlink(self._path)
        sync_folder(self._folder)


class FilePart(Part):
    """See Part: a file, NAME-incomplete until it is committed."""

    def __init__(self, top: str, name: str, note: str = "", *, keep_free: int) -> None:
        """Name is the final one, below the folder top; keep_free is as in TargetParams."""
        self.name, self.note, self.final = name + UNFINISHED, note, name
        self.path = os.path.join(top, self.name)
        self._whole = os.path.join(top, name)
        self._folder = os.path.dirname(self.path) or "."
        self._keep_free = keep_free
        self._fd = -1

    def create(self) -> int:
        """See Part."""
        self._fd = create(self.path)
        sync_folder(self._folder)  # a power cut leaves the file
        return self._fd

    def scratch(self) -> int:
        """See Part."""
        fd = create(self.path + SCRATCH)
        os.unlink(self.path + SCRATCH)
        return fd

    def room(self) -> int | None:
        """See Part."""
        return min(free_room(self._folder, self._keep_free), pool_room(self._folder))

    def close(self) -> None:
        """See Part."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        """See Part."""
        if os.path.lexists(self.path):
            os.unlink(self.path)

    def commit(self) -> None:
        """See Part."""
        os.rename(self.path, self._whole)
        self.path, self.name = self._whole, self.final
        sync_folder(self._folder)


def free_room(path: str, keep_free: int) -> int:
    """Return the bytes that a new file may take; keep_free is as in TargetParams.

    Raises OSError.
    """
    info = os.statvfs(path)
    size = info.f_frsize or info.f_bsize
    kept = -(-keep_free // size) if keep_free >= 100 else -(-info.f_blocks * keep_free // 100)
    return max(0, info.f_bavail - kept) * size


def pool_room(path: str, pool: str = POOL) -> int:
    """Return the bytes that a new file may take of the thin pool below a file system.

    What its volume has already, and the file system has no use for, needs no more of the pool.
    Without a pool (a file that tells of one) it is any number. Raises OSError.
    """
    try:
        with open(pool, encoding="ascii") as file:
            left, taken, whole = map(int, file.read().split())
    except (OSError, ValueError):
        return _NO_LIMIT
    info = os.statvfs(path)
    # Not f_blocks: a file system leaves out what it needs for itself.
    used = whole - info.f_bfree * (info.f_frsize or info.f_bsize)
    return left + max(0, taken - used)


STORE = Folder
