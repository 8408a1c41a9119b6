# SPDX-License-Identifier: GPL-2.0-or-later
"""The file that is saved, seen through one window of mapped memory at a time."""

from __future__ import annotations

import ctypes
import errno
import os

from ..low import libc

#: Bytes mapped at once: enough to make the cost of mapping small, with 8 KiB of page tables.
SPAN = 4 << 20
#: Bytes read at once where mapping fails.
READ_SPAN = 128 << 10


def data_bytes(fd: int, start: int, end: int) -> int:
    """Return how many bytes of an open file, between two offsets, are not in holes.

    All of them if the file system does not know of holes.
    """
    found = 0
    while start < end:
        try:
            first = os.lseek(fd, start, os.SEEK_DATA)
            last = os.lseek(fd, first, os.SEEK_HOLE)
        except OSError as error:
            # ENXIO: nothing but a hole follows.
            return found + (0 if error.errno == errno.ENXIO else end - start)
        found += max(0, min(last, end) - min(first, end))
        start = max(last, start + 1)
    return found


class Window:
    """Read-only access to a file, by copies (read) or in place (view).

    Mapping is fast, but bad memory or a bad disk then ends the process by SIGBUS, while read says
    EIO. So a mapping is used only where the kernel can fault it in (libc.is_readable), and bytes
    are read in pieces otherwise. Tests inject faults by overriding _is_readable and _fill.
    """

    def __init__(self, path: str) -> None:
        """Open the file; raises OSError."""
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.fd).st_size or os.lseek(self.fd, 0, os.SEEK_END)
        self._granule = os.sysconf("SC_PAGE_SIZE")
        # File offsets that are mapped, those that can be seen now, and the address of the first.
        self._mapped = self._here = (0, 0, 0)
        self._buffer: ctypes.Array[ctypes.c_char] | None = None
        self._no_map = (0, 0)  # file offsets between which mapping is not tried again
        self._bad = (0, 0)  # likewise, where reading goes unit by unit

    def close(self) -> None:
        """Unmap and close."""
        self._unmap()
        os.close(self.fd)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to length bytes at an offset, fewer at the end of the file; raises OSError."""
        parts = []
        length = min(length, self.size - offset)
        while length > 0:
            part = os.pread(self.fd, length, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def has(self, offset: int, length: int) -> bool:
        """Tell whether bytes are really there, as far as the file tells them from holes."""
        return True

    def skip(self, offset: int) -> int:
        """Return the first offset, from this one on, where the file may have more than zeros."""
        try:
            return os.lseek(self.fd, offset, os.SEEK_DATA)
        except OSError as error:
            # ENXIO: nothing follows. Not all files know of holes.
            return max(offset, self.size) if error.errno == errno.ENXIO else offset

    def data(self, start: int, end: int) -> int:
        """Return how many bytes between two offsets are not in holes of the file."""
        return data_bytes(self.fd, start, min(end, self.size))

    def view(self, offset: int, length: int, unit: int) -> tuple[int, int]:
        """Return the memory address of the bytes at an offset, and how many of them are there.

        They are at most length and stay valid until the next call. None at all means that the
        first unit bytes cannot be read.
        """
        start, end, address = self._here
        if start <= offset and offset + unit <= end:
            return address + offset - start, min(length, end - offset)
        length = min(length, SPAN, self.size - offset)
        if length <= 0:
            return 0, 0
        if not self._no_map[0] <= offset < self._no_map[1]:
            address = self._touch(offset, length, unit)
            if address:
                end = min(offset + length, self._mapped[1])
                self._here = (offset, end, address)
                return address, end - offset
            self._no_map = (offset, offset + length)
        return self._view_copy(offset, min(length, self._no_map[1] - offset), unit)

    def _touch(self, offset: int, length: int, unit: int) -> int:
        # The address of bytes that can be touched without harm, one unit at least; 0 for none.
        start, end, address = self._mapped
        if not (start <= offset and offset + unit <= end):
            self._unmap()
            start = offset - offset % self._granule
            end = min(offset + SPAN, self.size)
            address = self._map(start, end - start)
            if not address:
                return 0
            self._mapped = (start, end, address)
        skip = offset - start
        skip -= skip % self._granule
        length = min(offset + length, end) - start - skip
        if not self._is_readable(start + skip, address + skip, length):
            return 0
        return address + offset - start

    def _view_copy(self, offset: int, length: int, unit: int) -> tuple[int, int]:
        size = max(READ_SPAN, unit)
        if self._buffer is None or len(self._buffer) < size:
            self._buffer = ctypes.create_string_buffer(size)
        length = min(length, size)
        if self._bad[0] <= offset < self._bad[1]:
            length = min(length, unit)
        try:
            count = self._fill(memoryview(self._buffer)[:length], offset)
        except OSError:
            if length <= unit:
                return 0, 0
            self._bad = (offset, offset + length)
            return self._view_copy(offset, unit, unit)
        address = ctypes.addressof(self._buffer)
        self._here = (offset, offset + count, address)
        return address, count

    def _map(self, offset: int, length: int) -> int:
        # The address of a mapping, or 0.
        return libc.map_file(self.fd, offset, length)

    def _is_readable(self, offset: int, address: int, length: int) -> bool:
        # Whether a part of the mapping, at an offset of the file, can be touched without harm.
        return libc.is_readable(address, length)

    def _fill(self, buffer: memoryview, offset: int) -> int:
        # Read the file into all of buffer; fewer bytes at the end of the file. Raises OSError.
        done = 0
        while done < len(buffer):
            count = os.preadv(self.fd, [buffer[done:]], offset + done)
            if count == 0:
                break
            done += count
        return done

    def _unmap(self) -> None:
        self._here = (0, 0, 0)
        start, end, address = self._mapped
        if address:
            libc.unmap(address, end - start)
            self._mapped = (0, 0, 0)
