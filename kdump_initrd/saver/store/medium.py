# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a dump is written to: a file by offsets, or a stream of records that a file can become."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from ..low import libc
from ..low.failure import SpaceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..low.board import Lock
    from ..low.writeback import Writeback

#: Errors that mean "no more", not "something is broken".
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ZEROS = 64 << 10


class Output:
    """A dump file; offsets and lengths in bytes. The methods raise SpaceError if it cannot grow.

    place is the offset in the file of what write_from has written last, and head the bytes in front
    of it that tell where it belongs; appends says that what is written takes new room.
    """

    appends = False
    head = 0

    def __init__(self, fd: int) -> None:
        """Write to an open file, which is empty."""
        self.fd = fd
        self.place = 0

    def write(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write data at an offset."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            try:
                done += os.pwrite(self.fd, view[done:], offset + done)
            except OSError as error:
                raise failure(error.errno) from None

    def write_from(self, address: int, length: int, offset: int) -> tuple[int, int]:
        """Write memory at an offset; return the bytes written, and 0 or an errno."""
        self.place = offset
        return libc.write_at(self.fd, address, length, offset)

    def allocate(self, offset: int, length: int) -> None:
        """Make room that reads as zeros, so that a full disk cannot refuse it later."""
        if not length:
            return
        try:
            os.posix_fallocate(self.fd, offset, length)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise failure(error.errno) from None
            # A file system without allocation, and a C library that does not make up for it.
            zeros = bytes(_ZEROS)
            for at in range(0, length, len(zeros)):
                self.write(zeros[: length - at], offset + at)

    def heads(self, records: int) -> int:
        """Return the bytes that the file has besides what is written to it so many times."""
        return 0

    def mend(self, disk: Writeback, length: int, place: int) -> bool:
        """Get what was written to a place of the file onto the disk, in other blocks, if the format
        cannot tell readers of another place; tell whether the disk has it.
        """
        return False

    def release(self, end: int | None) -> None:
        """Hear that the disk has what this process wrote before an offset; None for all of it."""

    def end(self, size: int) -> None:
        """Set the final size; raises OSError."""
        os.ftruncate(self.fd, size)


#: makedumpfile's flattened format: a header of 4096 bytes (signature, type, version), then
#: records of offset, size and data; -1, -1 is the end. Numbers are big-endian.
FLAT_SIGNATURE = b"makedumpfile"
FLAT_HEADER = 4096
FLAT_RECORD = struct.Struct(">qq")
FLAT_TYPE = 1, 1
#: Bytes that are kept for the records that come last: the main header, of a page, and the end.
_SPARE = 68 << 10
#: st_mode of a file (inode(7)).
_TYPE_MASK, _REGULAR = 0o170000, 0o100000
_PAGE = os.sysconf("SC_PAGE_SIZE")


class FlatOutput(Output):
    """The flattened format: nothing is written twice, so a pipe will do.

    In a file, a record is there as a whole or not at all, and room is kept for the last ones.

    Records share blocks of the disk, and cannot be moved. So when a block is bad, those around it
    are taken from the page cache. As that drops even data that could not be written, each record is
    held there by its writer until it is released.
    """

    appends = True
    head = FLAT_RECORD.size

    def __init__(self, fd: int, lock: Lock) -> None:
        """Write the header; records of several processes follow each other under the lock."""
        super().__init__(fd)
        self._lock = lock
        #: Where each record ends that is held, and its mapping: address and bytes.
        self._held: list[tuple[int, int, int]] = []
        header = FLAT_SIGNATURE.ljust(16, b"\0") + FLAT_RECORD.pack(*FLAT_TYPE)
        self._append(memoryview(header.ljust(FLAT_HEADER, b"\0")))
        self._by_place = self._has_places()

    def _has_places(self) -> bool:
        # Whether it is a file, and what is written somewhere goes there, not to its end (O_APPEND).
        if os.fstat(self.fd).st_mode & _TYPE_MASK != _REGULAR:
            return False
        end = os.lseek(self.fd, 0, os.SEEK_CUR)
        os.pwrite(self.fd, FLAT_SIGNATURE[:1], end - FLAT_HEADER)
        size = os.fstat(self.fd).st_size
        if size == end + 1:
            os.ftruncate(self.fd, end)
        return size == end

    def _append(self, view: memoryview) -> None:
        while view:
            try:
                view = view[os.write(self.fd, view) :]
            except OSError as error:
                raise failure(error.errno) from None

    def write(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        """See Output. What is written to offset 0 comes last."""
        if data:
            with self._lock:
                self._record(offset, len(data), data, spare=_SPARE if offset else 0)

    def _record(
        self, offset: int, length: int, data: bytes | bytearray | memoryview, *, spare: int
    ) -> None:
        head = FLAT_RECORD.pack(offset, length)
        if not self._by_place:
            self._append(memoryview(head))
            self._append(memoryview(data))
            return
        # All processes share the position. Until it is set, the next record takes the same place.
        at = os.lseek(self.fd, 0, os.SEEK_CUR)
        end = at + len(head) + len(data)
        try:
            os.posix_fallocate(self.fd, at, end + spare - at)
        except OSError as error:
            if error.errno in FULL:
                raise failure(error.errno) from None
        super().write(head, at)
        super().write(data, at + len(head))
        self.place = at + len(head)
        os.lseek(self.fd, end, os.SEEK_SET)
        self._hold(at, end)

    def _hold(self, start: int, end: int) -> None:
        start = start // _PAGE * _PAGE
        address = libc.hold_cached(self.fd, start, end - start)
        if address:
            self._held.append((end, address, end - start))

    def release(self, end: int | None) -> None:
        """See Output."""
        while self._held and (end is None or self._held[0][0] <= end):
            _, address, length = self._held.pop(0)
            libc.unmap(address, length)

    def write_from(self, address: int, length: int, offset: int) -> tuple[int, int]:
        """See Output."""
        memory = (ctypes.c_char * length).from_address(address)
        try:
            self.write(memoryview(memory).cast("B"), offset)
        except SpaceError as error:
            return 0, error.code
        return length, 0

    def allocate(self, offset: int, length: int) -> None:
        """Do nothing: what is not written reads as zeros."""

    def heads(self, records: int) -> int:
        """See Output."""
        return FLAT_HEADER + (records + 1) * FLAT_RECORD.size

    def mend(self, disk: Writeback, length: int, place: int) -> bool:
        """See Output: all that precedes a record is needed to find it."""
        with self._lock:
            return not disk.mend(place - FLAT_RECORD.size, place + length)

    def end(self, size: int) -> None:
        """Write the end of the records; raises SpaceError, OSError."""
        try:
            self._record(-1, -1, b"", spare=0)
        finally:
            if self._by_place:
                os.ftruncate(self.fd, os.lseek(self.fd, 0, os.SEEK_CUR))


def failure(code: int | None) -> SpaceError:
    """Return the error for an errno of a write."""
    code = code or errno.EIO
    prefix = "no room for the dump" if code in FULL else "the dump cannot be written"
    return SpaceError(f"{prefix}: {os.strerror(code)}", code)
