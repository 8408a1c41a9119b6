# SPDX-License-Identifier: GPL-2.0-or-later
"""What the writers of dumps have in common: the file they write, and its tally."""

from __future__ import annotations

import errno
import os

from . import libc
from .failure import SpaceError

#: Errors that mean "no more", not "something is broken".
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Tally:
    """Pages so far: all that were handed over, and of them zero, stored raw, and lost."""

    def __init__(self) -> None:
        self.pages = 0
        self.zero = 0
        self.raw = 0
        self.lost = 0


class DumpWriter:
    """One dump file. Pages are handed over in ascending order, in runs of whole pages.

    The methods raise SpaceError when the file cannot grow; finish can and must be called then.
    """

    def __init__(self, path: str, page_size: int) -> None:
        """Create the file, which must not exist; raises OSError."""
        self.path = path
        self.page_size = page_size
        self.tally = Tally()
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def begin(self) -> None:
        """Write what precedes the pages; raises SpaceError, OSError."""
        raise NotImplementedError

    def seek(self, pfn: int) -> None:
        """Go on at another page frame."""

    def zero(self, length: int) -> None:
        """Take length bytes of zero pages."""
        raise NotImplementedError

    def data(self, address: int, length: int) -> None:
        """Take length bytes of pages at a memory address."""
        raise NotImplementedError

    def lost(self, length: int) -> None:
        """Take length bytes of pages that cannot be read."""
        raise NotImplementedError

    def finish(self, *, complete: bool) -> int:
        """Write what is held, the final mark, and all to the disk; return the file's bytes.

        A file that is not complete has the format's mark for that. Raises SpaceError, OSError.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)

    def write(self, data: bytes | bytearray, offset: int) -> None:
        """Write data at a file offset; raises SpaceError, OSError."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            try:
                done += os.pwrite(self.fd, view[done:], offset + done)
            except OSError as error:
                raise self.failure(error.errno or errno.EIO) from None

    def write_from(self, address: int, length: int, offset: int) -> tuple[int, int]:
        """Write memory at a file offset; return the bytes written, and 0 or an errno."""
        return libc.write_at(self.fd, address, length, offset)

    def failure(self, code: int) -> SpaceError:
        """Return the error for an errno of a write."""
        text = os.strerror(code)
        prefix = "no room for the dump" if code in _FULL else "the dump cannot be written"
        return SpaceError(f"{prefix}: {text}")
