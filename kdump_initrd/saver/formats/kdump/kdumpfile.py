# SPDX-License-Identifier: GPL-2.0-or-later
"""The writer of kdump-compressed dumps: little memory, readable whenever it stops."""

from __future__ import annotations

import os

from ...low import bitmap
from ...store.medium import FlatOutput
from ..writer import DumpWriter
from .kdumpformat import (
    DESCRIPTOR_SIZE,
    INCOMPLETE,
    LEVEL_ZERO,
    Geometry,
    pack_main,
    pack_sub,
)
from .kdumpsink import BUFFER, HELD, KdumpSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...codec.library import Codec
    from ...crash.facts import Crash
    from ...low.board import Board
    from ...low.selection import Selection
    from ...store.medium import Output
    from ..elf.source import PageSource

_COPY = 64 << 10
#: A table of descriptors up to this many bytes is written as zeros first.
_PROVEN = 64 << 20


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

        Without one (-1), the bitmap is filled in its own place in the dump.
        """
        self.output = output
        self.abi = abi = crash.memory.abi
        self.codec = codec
        self.page_size = source.page_size
        self.flag = codec.row.flag if codec else 0
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
        #: Bytes of holes, by which offsets in the file exceed the board's positions.
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
        flushes = selection.ranges + pages // HELD + pages * page // BUFFER
        records = 3 + len(notes.parts) + notes.size // _COPY
        records += len(self._bitmap1) + len(bitmap2) + 2 * flushes
        return size + sum(bitmap2) + self.output.heads(records)

    def begin(self, selection: Selection, level: int) -> int:
        """Write headers (marked incomplete until the end), notes, bitmaps, the zero page."""
        self.selection = selection
        self._facts = self._crash.facts(level)
        geometry, write = self.geometry, self.output.write
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
        self._make_table(data_at)
        if level & LEVEL_ZERO:
            write(bytes(self.page_size), data_at)
            self.zero_page = data_at
            data_at += self.page_size
        if not self._flat:
            self._write_main(complete=False)  # from now on it is a dump
        taken = self.fixed_size(selection)
        self.skipped = data_at - taken
        self.solid = os.fstat(self.output.fd).st_size if self._flat else data_at
        return taken

    def _make_table(self, end: int) -> None:
        # Zeros mean lost pages. They are really written: a bad block there would cost many pages,
        # and can be replaced now. The table of a huge machine is too large for that.
        start = self.geometry.descriptors
        self.output.allocate(start, end - start)
        if not self._flat:
            zeros = bytes(_COPY)
            for at in range(start, min(end, start + _PROVEN), _COPY):
                self.output.write(zeros[: end - at], at)

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
        end = self.skipped + board.position
        try:
            self._write_main(complete=complete)
        finally:
            self.output.end(end)
        # A flattened file is larger than what it describes; a pipe has no size.
        size = os.fstat(self.output.fd).st_size or end
        if self._flat:
            self.solid = size
        return size

    def harmed(self, bad: list[tuple[int, int]]) -> int:
        """See DumpWriter."""
        table = self.geometry.descriptors
        if self._flat or any(offset < table for offset, _ in bad):
            return super().harmed(bad)
        found: set[int] = set()
        for offset, length in bad:
            first, end = offset - table, offset - table + length
            found.update(range(first // DESCRIPTOR_SIZE, -(-end // DESCRIPTOR_SIZE)))
        return min(len(found), self.selection.pages)
