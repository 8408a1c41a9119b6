# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages that go into a dump: a bitmap in a file, filled once in ascending order."""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]
    Skip = Callable[[int], int]

#: Bytes of bitmap that are held while it is filled, and that are read at once afterwards.
_PIECE, _LOOK = 64 << 10, 4096
#: The most that is looked at at once while all is zeros.
_ZEROS = bytes(256 << 10)
#: Bytes of a file system's block, and an offset beyond the end of any file.
_BLOCK, _NOWHERE = 4096, 1 << 62
#: Pages of a range, about: what a worker takes at a time.
_RANGE = 2048
_ENTRY = struct.Struct("QQ")


class Selection:
    """A set of page frames; it takes no memory beyond 16 bytes for each range and hole.

    pages is the count of frames, allocated the bytes of the file system that the bitmap takes once
    it is finished. A range is a part of the set: its first frame, and the count of pages before it.
    """

    def __init__(self, fd: int, offset: int) -> None:
        """Keep the bitmap at a byte offset of a file that has only zeros there."""
        self.pages = self.allocated = 0
        self._fd = fd
        self._offset = offset
        self._piece = bytearray(_PIECE)
        self._start = 0  # frame of the piece's first bit
        self._used = False
        self._end = 0
        self._table = bytearray()
        # Parts of the bitmap that are in no piece, from byte to byte, up to the last piece's end.
        self._holes = bytearray()
        self._filled = 0
        self._room = 0  # pages until the next range

    def add_run(self, pfn: int, count: int) -> None:
        """Add count frames."""
        while count:
            at = self._turn_to(pfn)
            part = min(count, 8 * _PIECE - at, self._room if self._room > 0 else _RANGE)
            self._count(pfn, part, part)
            first, last = at >> 3, (at + part - 1) >> 3
            head, tail = 0xFF << (at & 7) & 0xFF, 0xFF >> (7 - (at + part - 1 & 7))
            piece = self._piece
            if first == last:
                piece[first] |= head & tail
            else:
                piece[first] |= head
                piece[first + 1 : last] = b"\xff" * (last - first - 1)
                piece[last] |= tail
            pfn += part
            count -= part

    def add_bits(self, pfn: int, count: int, bits: int, kept: int) -> None:
        """Add kept of count frames: those whose bit is set, the lowest for pfn.

        The frames must not cross a multiple of 2048.
        """
        at = self._turn_to(pfn)
        self._count(pfn, count, kept)
        shift = at & 7
        first, size = at >> 3, (shift + count + 7) >> 3
        if shift or count & 7:
            bits = bits << shift | int.from_bytes(self._piece[first : first + size], "little")
        self._piece[first : first + size] = bits.to_bytes(size, "little")

    def _turn_to(self, pfn: int) -> int:
        # The place of a frame in the piece, after turning to the piece that it is in.
        at = pfn - self._start
        if at >= 8 * _PIECE:
            self._flush()
            self._start = pfn - pfn % (8 * _PIECE)
            if self._filled < self._start // 8:
                self._holes += _ENTRY.pack(self._filled, self._start // 8)
            at = pfn - self._start
        self._used = True
        return at

    def _count(self, pfn: int, count: int, kept: int) -> None:
        if self._room <= 0:
            self._table += _ENTRY.pack(pfn, self.pages)
            self._room = _RANGE
        self._room -= kept
        self.pages += kept
        self._end = pfn + count

    def _flush(self) -> None:
        if self._used:
            view = memoryview(self._piece.rstrip(b"\0"))
            done, place = 0, self._offset + self._start // 8
            while done < len(view):
                done += os.pwrite(self._fd, view[done:], place + done)
            self.allocated += (-(-(place + done) // _BLOCK) - place // _BLOCK) * _BLOCK
            self._filled = self._start // 8 + _PIECE
            self._piece = bytearray(_PIECE)
            self._used = False

    def finish(self) -> None:
        """Write what is held; raises OSError, as adding does."""
        self._flush()

    @property
    def ranges(self) -> int:
        """The count of ranges."""
        return len(self._table) // _ENTRY.size

    def range(self, number: int) -> tuple[int, int, int]:
        """Return a range's first frame, the frame where it ends, and the pages before it."""
        pfn, index = _ENTRY.unpack_from(self._table, number * _ENTRY.size)
        following = (number + 1) * _ENTRY.size
        if following < len(self._table):
            return pfn, _ENTRY.unpack_from(self._table, following)[0], index
        return pfn, self._end, index

    def range_of(self, pfn: int) -> int:
        """Return the number of the range that a frame is in, or would be."""
        return _last_before(self._table, pfn)

    def runs(self, pfn: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield (first frame, count) of neighbouring frames of the set from pfn to end."""
        return bitmap_runs(self._read, self._offset, pfn, end, skip=self.skip)

    def skip(self, offset: int) -> int:
        """Return the first offset of the file, from this one on, that may have a page's bit."""
        byte = offset - self._offset
        if byte >= self._filled:
            return _NOWHERE
        if self._holes:
            place = _last_before(self._holes, byte) * _ENTRY.size
            start, end = _ENTRY.unpack_from(self._holes, place)
            if start <= byte < end:
                return int(end) + self._offset
        return offset

    def _read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)


def _last_before(table: bytearray, number: int) -> int:
    # The place of the last entry whose first number is not above one; 0 where all are.
    low, high = 0, len(table) // _ENTRY.size
    while high - low > 1:
        middle = (low + high) // 2
        if number < _ENTRY.unpack_from(table, middle * _ENTRY.size)[0]:
            high = middle
        else:
            low = middle
    return low


def bitmap_runs(
    read: Read, offset: int, pfn: int, end: int, *, skip: Skip
) -> Iterator[tuple[int, int]]:
    """Yield (first frame, count) for the bits from pfn to end of a bitmap in a file.

    read(offset, length) reads that, skip(offset) tells where, from there on, the file may have
    more than zeros. Raises OSError; what is missing at the end of the file counts as zeros.
    """
    start, length = 0, 0  # a run that may go on
    base = pfn - pfn % 8
    while base < end:
        size = min(_LOOK - (base >> 3) % _LOOK, (end - base + 7) >> 3)
        bits = int.from_bytes(read(offset + (base >> 3), size), "little")
        if end - base < 8 * size:
            bits &= (1 << end - base) - 1
        if pfn > base:
            bits = bits >> pfn - base << pfn - base
        if not bits:
            base += 8 * size
            if base < end:
                base += 8 * _count_zeros(read, skip, offset + (base >> 3), (end - base + 7) >> 3)
            continue
        text = bin(bits)[:1:-1]
        at = text.find("1")
        while at >= 0:
            stop = text.find("0", at)
            if stop < 0:
                stop = len(text)
            if length and start + length == base + at:
                length += stop - at
            else:
                if length:
                    yield start, length
                start, length = base + at, stop - at
            at = text.find("1", stop)
        base += 8 * size
    if length:
        yield start, length


def _count_zeros(read: Read, skip: Skip, offset: int, length: int) -> int:
    # The bytes that are zeros from an offset on, of length.
    done, look = 0, _LOOK
    while done < length:
        done = skip(offset + done) - offset
        size = min(look, length - done)
        if size > 0:
            data = read(offset + done, size)
            if data != _ZEROS[: len(data)]:
                return done + len(data) - len(data.lstrip(b"\0"))
        done += size
        look = min(2 * look, len(_ZEROS))
    return length
