# SPDX-License-Identifier: GPL-2.0-or-later
"""The writer of sparse ELF dumps: the core's own headers, split where pages are left out."""

from __future__ import annotations

import struct

from .elfcore import EHDR, ET_CORE, INCOMPLETE, PHDR, PN_XNUM, PT_NOTE, SH_INFO
from .kdumpformat import LEVEL_ZERO
from .output import failure
from .writer import DumpWriter, Sink
from .zeros import ZeroScan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .abi import Abi
    from .board import Board
    from .elfcore import ElfCore, Segment
    from .elfheaders import ElfHeaders
    from .output import Output
    from .selection import Selection
    from .source import PageSource

_SHDR_SIZE = {4: 40, 8: 64}
#: Fewer pages than this that are left out stay a hole in a PT_LOAD; more of them end it.
BRIDGE = 256
_OFFSET = struct.Struct("Q")


class ElfWriter(DumpWriter):
    """Pages that are left out are in memory, but not in the file (p_memsz beyond p_filesz).

    Memory that two PT_LOADs hold lies in the file once: both point to it. Zero pages are holes.
    """

    def __init__(
        self, output: Output, source: PageSource, *, core: ElfCore | ElfHeaders, scratch: int
    ) -> None:
        """Take over the core's headers; scratch is an open file for the selection's bitmap."""
        self.output = output
        self.bitmap = (scratch, 0)
        self.page_size = source.page_size
        self._core = core
        self._selection: Selection
        self._phoff = 16 + struct.calcsize(core.abi.order + EHDR[core.abi.word])
        self._entry = struct.calcsize(core.abi.order + PHDR[core.abi.word])
        self._headers = 0
        self.level = 0
        self._size = 0
        self._data = 0
        #: File offset of the first page of each range, without that of all data.
        self._table = bytearray()

    def fixed_size(self, pages: int) -> int:
        """See DumpWriter: pages of headers and notes; the number of PT_LOADs is a guess."""
        count = len(self._core.loads) + 1 + pages // BRIDGE
        return self._phoff + count * self._entry + self._core.notes.size + self.page_size

    def begin(self, selection: Selection, level: int) -> int:
        """Write headers (marked incomplete until the end) and notes."""
        self._selection = selection
        self.level = level
        core, abi = self._core, self._core.abi
        self._headers = sum([1 for part in core.loads for _ in self._parts(part)])
        self._headers += 1 if core.notes.size else 0
        shoff = self._phoff + self._headers * self._entry
        extended = self._headers >= PN_XNUM
        notes = shoff + (_SHDR_SIZE[abi.word] if extended else 0)
        self._data = -(-(notes + core.notes.size) // self.page_size) * self.page_size
        self._size = self._data + self._place()
        self._write_header(complete=False)
        self._write_program_headers(notes)
        if extended:
            section = bytearray(_SHDR_SIZE[abi.word])
            struct.pack_into(abi.order + "I", section, SH_INFO[abi.word], self._headers)
            self.output.write(section, shoff)
        for chunk in core.notes.chunks():
            self.output.write(chunk, notes)
            notes += len(chunk)
        return self._data

    def _place(self) -> int:
        # Fill the table; return the bytes of all data.
        offset, last = 0, -1
        for number in range(self._selection.ranges):
            pfn, end, _ = self._selection.range(number)
            first = True
            for start, count in self._selection.runs(pfn, end):
                offset += _bridged(last, start) * self.page_size
                if first:
                    self._table += _OFFSET.pack(offset)
                    first = False
                offset += count * self.page_size
                last = start + count
            if first:
                self._table += _OFFSET.pack(offset)
        return offset

    def offset(self, number: int) -> int:
        """Return the file offset of the first page of a range."""
        return self._data + int(_OFFSET.unpack_from(self._table, number * _OFFSET.size)[0])

    def _locate(self, pfn: int) -> int:
        # File offset of a page of the selection.
        number = self._selection.range_of(pfn)
        first, _, _ = self._selection.range(number)
        at, last = self.offset(number), -1
        for start, count in self._selection.runs(first, pfn + 1):
            at += _bridged(last, start) * self.page_size
            at += count * self.page_size
            last = start + count
        return at - self.page_size

    def _parts(self, part: Segment) -> Iterator[tuple[int, int, int]]:
        # (address, end in the file, end in memory) of a PT_LOAD's parts; without a part in the
        # file the first two are equal.
        page = self.page_size
        end = part.paddr + part.filesz
        low, high = part.paddr, part.paddr
        for pfn, count in self._selection.runs(part.paddr // page, -(-end // page)):
            start, stop = max(part.paddr, pfn * page), min(end, (pfn + count) * page)
            if start - high >= BRIDGE * page or (high == low and start > low):
                yield low, high, start
                low = start
            high = stop
        yield low, high, max(end, part.paddr + part.memsz)

    def _write_program_headers(self, notes: int) -> None:
        core, at, page = self._core, self._phoff, self.page_size
        block = b""
        if core.notes.size:
            block = _note_header(core.abi, notes, core.notes.size)
        for part in core.loads:
            offset = -1
            for start, stop, end in self._parts(part):
                if stop > start and offset < 0:
                    offset = self._locate(start // page) + start % page
                block += part.pack(
                    core.abi, max(offset, 0), start=start, filesz=stop - start, memsz=end - start
                )
                if stop > start:
                    offset += -(-stop // page) * page - start
                if len(block) > 64 << 10:
                    self.output.write(block, at)
                    at += len(block)
                    block = b""
        self.output.write(block, at)

    def _write_header(self, *, complete: bool) -> None:
        abi = self._core.abi
        extended = self._headers >= PN_XNUM
        flags = self._core.flags & ~INCOMPLETE | (0 if complete else INCOMPLETE)
        header = struct.pack(
            abi.order + EHDR[abi.word],
            ET_CORE,
            abi.machine,
            1,
            0,
            self._phoff,
            self._phoff + self._headers * self._entry if extended else 0,
            flags,
            self._phoff,
            self._entry,
            PN_XNUM if extended else self._headers,
            _SHDR_SIZE[abi.word] if extended else 0,
            1 if extended else 0,
            0,
        )
        self.output.write(self._core.ident + header, 0)

    def sink(self, board: Board, slot: int) -> ElfSink:
        """See DumpWriter."""
        return ElfSink(self, board, slot)

    def finish(self, board: Board, *, complete: bool) -> int:
        """See DumpWriter."""
        try:
            self._write_header(complete=complete)
        finally:
            self.output.end(self._size)
        return self._size


def _bridged(last: int, pfn: int) -> int:
    # Pages of the file between the end of a run of pages and the next run; last is -1 before one.
    return pfn - last if last >= 0 and pfn - last < BRIDGE else 0


class ElfSink(Sink):
    """Writes pages from where they are to where they belong."""

    def __init__(self, writer: ElfWriter, board: Board, slot: int) -> None:
        self._writer = writer
        self._board = board
        self._slot = slot
        self._position = self._pfn = 0
        zeros = writer.level & LEVEL_ZERO
        self._scan = ZeroScan(writer.page_size) if zeros else None

    def start(self, number: int) -> None:
        """See Sink."""
        self._position, self._pfn = self._writer.offset(number), -1

    def seek(self, pfn: int) -> None:
        """See Sink."""
        self._position += _bridged(self._pfn, pfn) * self._writer.page_size
        self._pfn = pfn

    def _advance(self, count: int) -> None:
        self._position += count * self._writer.page_size
        self._pfn += count

    def lost(self, count: int) -> None:
        """A hole as well; the header says at the end that something is lost."""
        self._advance(count)

    def data(self, address: int, count: int) -> None:
        """Written from where they are; zero pages are holes."""
        page = self._writer.page_size
        if self._scan is None:
            self._write(address, count)
            return
        for start, size, is_zero in self._scan.runs(address, count * page):
            if is_zero:
                self._board.add(self._slot, good=size // page, zero=size // page)
                self._advance(size // page)
            else:
                self._write(start, size // page)

    def _write(self, address: int, count: int) -> None:
        page = self._writer.page_size
        self._board.allocate(count * page)
        done, code = self._writer.output.write_from(address, count * page, self._position)
        self._board.add(self._slot, good=done // page, raw=done // page)
        if code:
            raise failure(code)
        self._advance(count)


def _note_header(abi: Abi, offset: int, size: int) -> bytes:
    if abi.word == 8:
        values = (PT_NOTE, 0, offset, 0, 0, size, size, 0)
    else:
        values = (PT_NOTE, offset, 0, 0, size, size, 0, 0)
    return struct.pack(abi.order + PHDR[abi.word], *values)
