# SPDX-License-Identifier: GPL-2.0-or-later
"""The writer of sparse ELF dumps: the core's own headers, split where pages are left out."""

from __future__ import annotations

import itertools
import struct

from ..writer import DumpWriter
from .elfcore import (
    EHDR,
    ET_CORE,
    INCOMPLETE,
    MAX_HEADERS,
    PHDR,
    PN_XNUM,
    PT_NOTE,
    SH_INFO,
)
from .elfparts import ElfParts
from .elfsink import ElfSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...low.board import Board
    from ...low.selection import Selection
    from ...memory.abi import Abi
    from ...store.medium import Output
    from .elfcore import ElfCore, Segment
    from .elfheaders import ElfHeaders
    from .source import PageSource

_SHDR_SIZE = {4: 40, 8: 64}
#: Bytes of headers that are written at once, about.
_BLOCK = 64 << 10


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
        self._selection: Selection | None = None
        abi = core.headers
        self._phoff = 16 + struct.calcsize(abi.order + EHDR[abi.word])
        self._entry = struct.calcsize(abi.order + PHDR[abi.word])
        self._headers = 0
        self.level = 0
        self._size = 0
        self._notes = self._data = 0  # where they begin in the file
        self.parts: ElfParts

    def fixed_size(self, selection: Selection) -> int:
        """See DumpWriter: headers, notes, and the scratch file."""
        if selection is not self._selection:
            self._selection = selection
            self._plan(selection)
        return self._data + selection.allocated

    def _plan(self, selection: Selection) -> None:
        core, page = self._core, self.page_size
        notes = 1 if core.notes.size else 0
        self.parts = ElfParts(selection, core.loads, page_size=page, most=MAX_HEADERS - notes)
        self._headers = sum(self.parts.counts) + notes
        self._notes = self._phoff + self._headers * self._entry
        if self._headers >= PN_XNUM:
            self._notes += _SHDR_SIZE[core.headers.word]
        self._data = -(-(self._notes + core.notes.size) // page) * page

    def begin(self, selection: Selection, level: int) -> int:
        """Write headers (marked incomplete until the end) and notes."""
        taken = self.fixed_size(selection)
        self.level = level
        core, abi, at = self._core, self._core.headers, self._notes
        self._size = self._data + self.parts.place()
        self.solid = self._data
        self._write_header(complete=False)
        self._write_program_headers(at)
        if self._headers >= PN_XNUM:
            section = bytearray(_SHDR_SIZE[abi.word])
            struct.pack_into(abi.order + "I", section, SH_INFO[abi.word], self._headers)
            self.output.write(section, at - len(section))
        for chunk in core.notes.chunks():
            self.output.write(chunk, at)
            at += len(chunk)
        return taken

    def offset(self, number: int) -> int:
        """Return the file offset of the first page of a range."""
        return self._data + self.parts.start(number)

    def _write_program_headers(self, notes: int) -> None:
        core, entry, at = self._core, self._entry, self._phoff
        if core.notes.size:
            self.output.write(_note_header(core.headers, notes, core.notes.size), at)
            at += entry
        places = list(itertools.accumulate(self.parts.counts, initial=0))
        # By address, which is how parts are found in one walk, but each to its own place.
        for number in sorted(range(len(core.loads)), key=lambda number: core.loads[number].paddr):
            self._write_parts(core.loads[number], at + places[number] * entry)

    def _write_parts(self, part: Segment, at: int) -> None:
        page, offset = self.page_size, -1
        block = bytearray()
        for start, stop, end in self.parts.of(part):
            if stop > start and offset < 0:
                offset = self._data + self.parts.find(start // page) + start % page
            block += part.pack(
                self._core.headers,
                max(offset, 0),
                start=start,
                filesz=stop - start,
                memsz=end - start,
            )
            if stop > start:
                offset += -(-stop // page) * page - start
            if len(block) > _BLOCK:
                self.output.write(block, at)
                at += len(block)
                block = bytearray()
        self.output.write(block, at)

    def _write_header(self, *, complete: bool) -> None:
        abi = self._core.headers
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


def _note_header(abi: Abi, offset: int, size: int) -> bytes:
    if abi.word == 8:
        values = (PT_NOTE, 0, offset, 0, 0, size, size, 0)
    else:
        values = (PT_NOTE, offset, 0, 0, size, size, 0, 0)
    return struct.pack(abi.order + PHDR[abi.word], *values)
