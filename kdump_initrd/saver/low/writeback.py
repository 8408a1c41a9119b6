# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a file is on the disk: written out on demand, and read back past the page cache."""

from __future__ import annotations

import ctypes
import errno
import os

from . import libc

#: What the file systems say that have no sync_file_range(2) or do not take the file.
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EOPNOTSUPP)
#: What a direct read must be a multiple of, and the most that is read at once, in bytes.
_UNIT, _MOST = 4096, 256 << 10
#: Bytes of a file that are looked at at once when it is mended, and pieces that are found bad
#: before all others are taken to be.
_PIECE, _MOST_BAD = 32 << 10, 40
#: Other blocks of the disk that are tried for each of them.
_TRIES = 3
#: st_mode of a file (inode(7)).
_TYPE_MASK, _REGULAR = 0o170000, 0o100000


class Writeback:
    """One process's view of a file's way to the disk; works is False if it has none, as a pipe.

    A failed write is reported once to each open file description (Linux commit 5660e13d2fd6 ("fs:
    new infrastructure for writeback error handling and reporting") (in v4.13)), without its place
    in the file. So each process has a description of its own, and holds() finds the place.
    """

    def __init__(self, fd: int) -> None:
        """Open the file anew; earlier errors that nobody has been told of are reported, too."""
        self.works = os.fstat(fd).st_mode & _TYPE_MASK == _REGULAR
        self._fd = self._direct = -1
        self._buffer = 0
        #: Times that mend has written something, and then heard of errors that are not told again.
        self.rewritten = 0
        if self.works:
            try:
                self._fd = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
            except OSError:  # no /proc
                self._fd = os.dup(fd)

    def close(self) -> None:
        """Close it; the file stays open."""
        for fd in (self._fd, self._direct):
            if fd >= 0:
                os.close(fd)
        self._fd = self._direct = -1
        if self._buffer:
            libc.unmap(self._buffer, _MOST)
            self._buffer = 0

    def begin(self, offset: int, length: int) -> int:
        """Have a part go to the disk, and do not wait for it; return 0 or an errno."""
        if not self.works or not length:
            return 0
        code = libc.sync_range(self._fd, offset, length, libc.SYNC_BEGIN)
        return 0 if code in _UNKNOWN else code

    def wait(self, offset: int, length: int) -> int:
        """Wait until a part is on the disk, data only; return 0 or an errno.

        An errno may be of another part of the file.
        """
        if not self.works or not length:
            return 0
        code = libc.sync_range(self._fd, offset, length, libc.SYNC_ALL)
        return self.commit() if code in _UNKNOWN else code

    def commit(self) -> int:
        """Wait until all is on the disk that reading the file needs; return 0 or an errno."""
        if not self.works:
            return 0
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def drop(self) -> None:
        """Drop the file from the page cache, so that it is read from the disk from now on."""
        if self.works:
            try:
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
            except OSError:  # a file system in memory
                return

    def holds(self, address: int, length: int, offset: int) -> bool:
        """Tell whether the disk has these bytes of memory at an offset of the file."""
        done = 0
        while done < length:
            start = (offset + done) // _UNIT * _UNIT
            skip = offset + done - start
            part = min(length - done, _MOST - skip)
            try:
                count = self._read(start, -(-(skip + part) // _UNIT) * _UNIT)
            except OSError:
                return False
            if count < skip + part or libc.memcmp(self._buffer + skip, address + done, part):
                return False
            done += part
        return True

    def punch(self, offset: int, length: int) -> None:
        """Give back the blocks that are wholly in a part, so that what is written there goes to
        others; the part reads as zeros.
        """
        start, end = -(-offset // _UNIT) * _UNIT, (offset + length) // _UNIT * _UNIT
        if self.works and start < end:
            libc.punch(self._fd, start, end - start)

    def mend(self, low: int, high: int) -> list[tuple[int, int]]:
        """Get a part of the file, as it is read, onto the disk, in other blocks if need be.

        Returns (offset, bytes) of what the disk does not take. Meanwhile nobody may write there.
        """
        bad: list[tuple[int, int]] = []
        low, high = low // _UNIT * _UNIT, -(-high // _UNIT) * _UNIT
        for at in range(low, high, _PIECE):
            length = min(_PIECE, high - at)
            if not (len(bad) < _MOST_BAD and self._mend(at, length)):
                bad.append((at, length))
        return bad

    def _mend(self, offset: int, length: int) -> bool:
        try:
            data = os.pread(self._fd, length, offset)
        except OSError:
            return False
        here = (ctypes.c_char * len(data)).from_buffer_copy(data)
        address = ctypes.addressof(here)
        for _ in range(_TRIES):
            if self.holds(address, len(data), offset):
                return True
            self.rewritten += 1
            self.punch(offset, length)
            if libc.write_at(self._fd, address, len(data), offset)[1]:
                return False
            self.wait(offset, len(data))
        return self.holds(address, len(data), offset)

    def _read(self, offset: int, length: int) -> int:
        # Into the buffer, from the disk: the bytes that are there. Raises OSError.
        if not self._buffer:
            self._buffer = libc.map_shared(_MOST)
        if self._direct < 0:
            self._direct = self._open_direct()
        memory = (ctypes.c_char * length).from_address(self._buffer)
        view = memoryview(memory).cast("B")
        try:
            return os.preadv(self._direct, [view], offset)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # Larger blocks than these, or none at all: past what is clean in the page cache.
            os.posix_fadvise(self._fd, offset, length, os.POSIX_FADV_DONTNEED)
            return os.preadv(self._fd, [view], offset)

    def _open_direct(self) -> int:
        path = f"/proc/self/fd/{self._fd}"
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_DIRECT", 0))
        except OSError:
            return os.dup(self._fd)
