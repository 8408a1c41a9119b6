# SPDX-License-Identifier: GPL-2.0-or-later
"""The writer of kdump-compressed dumps: one pass, little memory, readable whenever it stops."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from . import bitmap
from .codec import FLAGS
from .kdumpformat import (
    DESCRIPTOR,
    DESCRIPTOR_SIZE,
    INCOMPLETE,
    LEVEL_ZERO,
    Geometry,
    pack_main,
    pack_sub,
)
from .libc import memmove
from .writer import DumpWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .abi import Abi
    from .codec.library import Codec
    from .extents import Extents
    from .kdumpformat import Facts
    from .notes import Notes

#: Bytes of compressed pages that are written at once.
_BUFFER = 1 << 20
#: Bytes of descriptors that are held at most.
_HELD = 96 << 10
_LOST = bytes(DESCRIPTOR_SIZE)


class KdumpWriter(DumpWriter):
    """Writes data first and the descriptors that point to it after, so that none points to
    nothing; their room is allocated before the first page, so that the last ones fit a full disk.
    """

    def __init__(
        self,
        path: str,
        abi: Abi,
        *,
        page_size: int,
        extents: Extents,
        notes: Notes,
        facts: Facts,
        codec: Codec | None,
    ) -> None:
        """Create the file; codec None stores every page as it is. Raises OSError."""
        super().__init__(path, page_size)
        self._abi = abi
        self._extents = extents
        self._notes = notes
        self._facts = facts
        self._codec = codec
        self._flag = FLAGS[codec.name] if codec else 0
        self._geometry = Geometry(abi, block=page_size, end=extents.end, notes_size=notes.size)
        self._pack = struct.Struct(abi.order + DESCRIPTOR).pack
        self._room = max(codec.room(page_size) if codec else 0, page_size)
        self._size = max(_BUFFER, 2 * self._room)
        self._buffer = ctypes.create_string_buffer(0)
        self._fill = 0
        self._held = bytearray()
        self._held_lost = 0
        self._good = 0  # descriptors in the file that are not "lost"
        self._next = self._geometry.descriptors
        # From here on: page data. With level bit 1 the shared zero page is first.
        self._position = self._geometry.descriptors + DESCRIPTOR_SIZE * extents.pages
        self._zero = self._pack(self._position, page_size, 0, 0)

    def begin(self) -> None:
        """Write headers (marked incomplete until the end), notes, bitmaps, the zero page."""
        geometry = self._geometry
        self._write_main(complete=False)
        self.write(pack_sub(self._abi, geometry, facts=self._facts), geometry.block)
        at = geometry.notes
        for chunk in self._notes.chunks():
            self.write(chunk, at)
            at += len(chunk)
        for start in (geometry.bitmap1, geometry.bitmap2):
            for offset, data in bitmap.pieces(self._extents.runs):
                self.write(data, start + offset)
        self._allocate(geometry.descriptors, self._position - geometry.descriptors)
        if self._facts.level & LEVEL_ZERO:
            self.write(bytes(self.page_size), self._position)
            self._position += self.page_size
        self._buffer = ctypes.create_string_buffer(self._size)

    def _write_main(self, *, complete: bool) -> None:
        status = self._flag | (0 if complete else INCOMPLETE)
        header = pack_main(self._abi, self._geometry, facts=self._facts, status=status)
        self.write(header.ljust(self.page_size, b"\0"), 0)

    def _allocate(self, offset: int, length: int) -> None:
        if not length:
            return
        try:
            os.posix_fallocate(self.fd, offset, length)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise self.failure(error.errno or errno.EIO) from None
            # A file system without allocation, and a C library that does not make up for it.
            zeros = bytes(64 << 10)
            for at in range(0, length, len(zeros)):
                self.write(zeros[: length - at], offset + at)

    def zero(self, length: int) -> None:
        """Take length bytes of zero pages: one descriptor each, and no data."""
        count = length // self.page_size
        self.tally.pages += count
        self.tally.zero += count
        self._held += self._zero * count
        if len(self._held) > _HELD:
            self._flush()

    def lost(self, length: int) -> None:
        """Take length bytes of unreadable pages: a descriptor of zeros means "lost"."""
        count = length // self.page_size
        self.tally.pages += count
        self._held += _LOST * count
        self._held_lost += count
        if len(self._held) > _HELD:
            self._flush()

    def data(self, address: int, length: int) -> None:
        """Take length bytes of pages: each is compressed straight into the output buffer."""
        page, room, flag, pack = self.page_size, self._room, self._flag, self._pack
        compress = self._codec.compress if self._codec else _store
        start = ctypes.addressof(self._buffer)
        limit = self._size - room
        fill, base, held, raw = self._fill, self._position, self._held, 0
        for source in range(address, address + length, page):
            if fill > limit:
                self._fill = fill
                self.tally.raw += raw
                self._flush()
                fill, base, raw = 0, self._position, 0
            size = compress(source, page, start + fill, room)
            if size < page:
                held += pack(base + fill, size, flag, 0)
                fill += size
            else:
                memmove(start + fill, source, page)
                held += pack(base + fill, page, 0, 0)
                fill += page
                raw += 1
        self._fill = fill
        self.tally.pages += length // page
        self.tally.raw += raw
        if len(held) > _HELD:
            self._flush()

    def _flush(self) -> None:
        # Data before descriptors. After a failure, the descriptors of what did not get out are
        # "lost", and nothing is held any more.
        done, code = self.write_from(ctypes.addressof(self._buffer), self._fill, self._position)
        self._fill = 0
        if code:
            self._forget(self._position, self._position + done)
        self._position += done
        self.write(self._held, self._next)
        self._next += len(self._held)
        self._good += len(self._held) // DESCRIPTOR_SIZE - self._held_lost
        self._held_lost = 0
        del self._held[:]
        if code:
            raise self.failure(code)

    def _forget(self, low: int, high: int) -> None:
        # Drop the held descriptors of data from low on that ends above high.
        layout = struct.Struct(self._abi.order + DESCRIPTOR)
        for index in range(0, len(self._held), DESCRIPTOR_SIZE):
            offset, size, _, _ = layout.unpack_from(self._held, index)
            if offset >= low and offset + size > high:
                self._held[index : index + DESCRIPTOR_SIZE] = _LOST
                self._held_lost += 1

    def finish(self, *, complete: bool) -> int:
        """Flush, set the final status, fsync; pages never handed over count as lost."""
        try:
            if self._held:
                self._flush()
        finally:
            self.tally.pages = self._extents.pages
            self.tally.lost = self._extents.pages - self._good
            os.ftruncate(self.fd, self._position)
            self._write_main(complete=complete and not self.tally.lost)
            os.fsync(self.fd)
        return self._position


def _store(source: int, length: int, dest: int, capacity: int) -> int:
    # The codec "none": never smaller.
    return length
