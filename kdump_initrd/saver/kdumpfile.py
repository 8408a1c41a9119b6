# SPDX-License-Identifier: GPL-2.0-or-later
"""The writer of kdump-compressed dumps: little memory, readable whenever it stops."""

from __future__ import annotations

import ctypes
import itertools
import os
import struct

from . import bitmap
from .codec import FLAGS
from .codec.library import words
from .kdumpformat import (
    DESCRIPTOR_SIZE,
    INCOMPLETE,
    LEVEL_ZERO,
    Geometry,
    pack_main,
    pack_sub,
)
from .libc import memcmp, memmove
from .output import FlatOutput, failure
from .writer import DumpWriter, Sink
from .zeros import first_words, zeros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .board import Board
    from .codec.library import Codec
    from .crash import Crash
    from .output import Output
    from .selection import Selection
    from .source import PageSource

#: Bytes of compressed pages that are written at once, about, pages that are held at most, and
#: pages that are packed between two looks at that.
_BUFFER, _HELD, _CHUNK = 256 << 10, 4096, 64
#: Instead of the size of a page; a lost one has one more than that of a page.
_ZERO = 0
_COPY = 64 << 10


class KdumpWriter(DumpWriter):
    """Headers, bitmaps, descriptors, pages. A flattened one has its first header at the end."""

    def __init__(
        self,
        output: Output,
        source: PageSource,
        crash: Crash,
        *,
        codec: Codec | None,
        scratch: int = -1,
    ) -> None:
        """Codec None stores every page as it is; scratch is a file for the selection's bitmap.

        Without one (-1) that is filled where it belongs.
        """
        self.output = output
        self.abi = abi = crash.memory.abi
        self.codec = codec
        self.page_size = source.page_size
        self.flag = FLAGS[codec.name] if codec else 0
        self._source = source
        self._crash = crash
        self._notes = notes = crash.memory.notes
        self._facts = crash.facts(0)
        self.geometry = Geometry(abi, block=source.page_size, end=source.end, notes_size=notes.size)
        self._flat = isinstance(output, FlatOutput)
        in_place = (output.fd, self.geometry.bitmap2)
        self.bitmap = in_place if scratch < 0 else (scratch, 0)
        self.selection: Selection
        self.zero_page = 0
        #: What a position of the board lacks to an offset of the file: the holes.
        self.skipped = 0
        self._bitmap1: list[int] = []

    def fixed_size(self, selection: Selection) -> int:
        """See DumpWriter: the zero page, too, and the rest of the last block."""
        if not self._bitmap1:  # it is the same for each selection
            ram = self._source.ram()
            if self._flat:
                self._bitmap1 = [len(data) for _, data in bitmap.pieces(ram)]
            else:
                self._bitmap1 = [bitmap.allocated(ram)]
        pages, page, notes = selection.pages, self.page_size, self._notes
        size = self.geometry.bitmap1 + sum(self._bitmap1) + selection.allocated
        size += DESCRIPTOR_SIZE * pages + 2 * page
        if not self._flat:
            return size
        # Records of: both headers, the zero page, notes, bitmaps, and pages with descriptors.
        bitmap2 = [length for _, length in self._records(selection)]
        flushes = selection.ranges + pages // _HELD + pages * page // _BUFFER
        records = 3 + len(notes.parts) + notes.size // _COPY
        records += len(self._bitmap1) + len(bitmap2) + 2 * flushes
        return size + sum(bitmap2) + self.output.heads(records)

    def begin(self, selection: Selection, level: int) -> int:
        """Write headers (marked incomplete until the end), notes, bitmaps, the zero page."""
        self.selection = selection
        self._facts = self._crash.facts(level)
        geometry, write = self.geometry, self.output.write
        if not self._flat:
            self._write_main(complete=False)
        write(pack_sub(self.abi, geometry, facts=self._facts), geometry.block)
        at = geometry.notes
        for chunk in self._notes.chunks():
            write(chunk, at)
            at += len(chunk)
        for offset, data in bitmap.pieces(self._source.ram()):
            write(data, geometry.bitmap1 + offset)
        if self._flat:
            self._copy_bitmap()
        data_at = geometry.descriptors + DESCRIPTOR_SIZE * selection.pages
        self.output.allocate(geometry.descriptors, data_at - geometry.descriptors)
        if level & LEVEL_ZERO:
            write(bytes(self.page_size), data_at)
            self.zero_page = data_at
            data_at += self.page_size
        taken = self.fixed_size(selection)
        self.skipped = data_at - taken
        return taken

    def _copy_bitmap(self) -> None:
        for at, length in self._records(self.selection):
            data = os.pread(self.bitmap[0], length, at).ljust(length, b"\0")
            self.output.write(data, self.geometry.bitmap2 + at)

    def _records(self, selection: Selection) -> Iterator[tuple[int, int]]:
        # (offset, bytes) of what a bitmap has between its holes; the rebuilt file reaches its end.
        size = self.geometry.bitmap_size
        last = (size - 1) // _COPY * _COPY
        at = 0
        while at <= last:
            at = min(selection.skip(at) // _COPY * _COPY, last)
            yield at, min(_COPY, size - at)
            at += _COPY

    def _write_main(self, *, complete: bool) -> None:
        status = self.flag | (0 if complete else INCOMPLETE)
        header = pack_main(self.abi, self.geometry, facts=self._facts, status=status)
        self.output.write(header.ljust(self.page_size, b"\0"), 0)

    def sink(self, board: Board, slot: int) -> KdumpSink:
        """See DumpWriter."""
        return KdumpSink(self, board, slot, self._facts.level)

    def finish(self, board: Board, *, complete: bool) -> int:
        """See DumpWriter."""
        try:
            self._write_main(complete=complete)
        finally:
            self.output.end(self.skipped + board.position)
        # A flattened file is larger than what it describes; a pipe has no size.
        return os.fstat(self.output.fd).st_size or self.skipped + board.position


class KdumpSink(Sink):
    """Writes data first and the descriptors that point to it after: none points to nothing."""

    def __init__(self, writer: KdumpWriter, board: Board, slot: int, level: int) -> None:
        self._board = board
        self._slot = slot
        self._output = writer.output
        self._selection = writer.selection
        self._table = writer.geometry.descriptors
        self._page = page = writer.page_size
        codec = writer.codec
        room = max(codec.room(page) if codec else 0, page)
        self._bare = codec.bare(page) if codec else (_store, (), words(3)[0])
        self._chunk = max(1, min(_CHUNK, _BUFFER // page))
        self._find_zeros = bool(level & LEVEL_ZERO)
        self._zeros = zeros(self._chunk * page)
        self._buffer = ctypes.create_string_buffer(_BUFFER + self._chunk * room)
        self._start = ctypes.addressof(self._buffer)
        self._layout = writer.abi.order
        self._lost = page + 1
        self._words = _second_words(page, writer.flag, big=writer.abi.big)
        self._zero_page = writer.zero_page
        self._skipped = writer.skipped
        self._next = 0  # offset of the next descriptor
        self._fill = 0
        #: The size of each page in the buffer; _ZERO, or self._lost, for one without data.
        self._sizes: list[int] = []

    def start(self, number: int) -> None:
        """See Sink."""
        self._next = self._table + DESCRIPTOR_SIZE * self._selection.range(number)[2]
        self._fill = 0
        self._sizes = []

    def lost(self, count: int) -> None:
        """A descriptor of zeros means "lost"."""
        self._sizes += [self._lost] * count

    def data(self, address: int, count: int) -> None:
        """Each page is compressed straight into the output buffer; zero pages have no data."""
        page = self._page
        while count:
            part = min(count, self._chunk)
            self._pack(address, part)
            if self._fill >= _BUFFER or len(self._sizes) >= _HELD:
                self.flush()
            address += part * page
            count -= part

    def _pack(self, address: int, count: int) -> None:
        page, zero = self._page, self._zeros
        sizes = self._sizes
        if self._find_zeros:
            firsts = first_words(address, count, page)
            if (
                not firsts[0]
                and firsts.count(0) == count
                and not memcmp(address, zero, count * page)
            ):
                sizes += [_ZERO] * count
                return
        else:
            firsts = [1] * count
        function, arguments, slots = self._bare
        add = sizes.append
        dest = self._start + self._fill
        for source, first in zip(range(address, address + count * page, page), firsts):
            if first or memcmp(source, zero, page):
                slots[0] = source
                slots[1] = dest
                size = function(*arguments) or slots[2]
                if not 0 < size < page:
                    memmove(dest, source, page)
                    size = page
                add(size)
                dest += size
            else:
                add(_ZERO)
        self._fill = dest - self._start

    def flush(self) -> None:
        """Write what is held. After a failure, what did not get out is "lost"."""
        sizes, length = self._sizes, self._fill
        if not sizes:
            return
        base = self._skipped + self._board.allocate(length) if length else 0
        done, code = self._output.write_from(self._start, length, base)
        if code:
            sizes = self._those_written(sizes, done)
        self._sizes, self._fill = [], 0
        self._output.write(self._descriptors(sizes, base), self._next)
        self._next += len(sizes) * DESCRIPTOR_SIZE
        self._board.add(
            self._slot,
            good=len(sizes) - sizes.count(self._lost),
            zero=sizes.count(_ZERO),
            raw=sizes.count(self._page),
        )
        if code:
            raise failure(code)

    def _descriptors(self, sizes: list[int], base: int) -> bytearray:
        lost, zero_page = self._lost, self._zero_page
        steps = sizes
        if lost in sizes:
            steps = [0 if size == lost else size for size in sizes]
        offsets = list(itertools.accumulate(steps, initial=base))
        del offsets[-1]
        if _ZERO in sizes:
            offsets = [at if size else zero_page for at, size in zip(offsets, sizes)]
        if steps is not sizes:
            offsets = [0 if size == lost else at for at, size in zip(offsets, sizes)]
        # The words of each kind go to every third place: struct knows the byte order.
        pack = struct.Struct(f"{self._layout}{len(sizes)}Q").pack
        table = bytearray(len(sizes) * DESCRIPTOR_SIZE)
        words = memoryview(table).cast("Q")
        words[::3] = memoryview(pack(*offsets)).cast("Q")
        words[1::3] = memoryview(pack(*map(self._words.__getitem__, sizes))).cast("Q")
        return table

    def _those_written(self, sizes: list[int], room: int) -> list[int]:
        # Pages whose data did not fit into room bytes are lost.
        found = []
        for size in sizes:
            here = size != self._lost
            room -= size if here else 0
            found.append(size if here and (size == _ZERO or room >= 0) else self._lost)
        return found


def _second_words(page: int, flag: int, *, big: bool) -> list[int]:
    # The second word of a descriptor (size and flags, of four bytes each) by the size of a page.
    shift, flag = (32, flag) if big else (0, flag << 32)
    raw = page << shift
    return [raw, *[size << shift | flag for size in range(1, page)], raw, 0]


def _store() -> int:
    # The codec "none": never smaller.
    return 0
