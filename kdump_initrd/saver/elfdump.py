# SPDX-License-Identifier: GPL-2.0-or-later
"""The writer of sparse ELF dumps: the core's own headers, zero pages as holes."""

from __future__ import annotations

import errno
import os
import struct

from .elfcore import EHDR, ET_CORE, INCOMPLETE, PHDR, PN_XNUM, PT_NOTE, SH_INFO
from .writer import DumpWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .abi import Abi
    from .elfcore import ElfCore
    from .extents import Extents

_SHDR_SIZE = {4: 40, 8: 64}


class ElfWriter(DumpWriter):
    """Memory that two PT_LOADs hold lies in the file once: both point to it."""

    def __init__(self, path: str, core: ElfCore, *, page_size: int, extents: Extents) -> None:
        """Create the file; raises OSError."""
        super().__init__(path, page_size)
        self._core = core
        self._extents = extents
        abi = core.abi
        self._headers = len(core.loads) + (1 if core.notes.size else 0)
        self._phoff = 16 + struct.calcsize(abi.order + EHDR[abi.word])
        self._shoff = self._phoff + self._headers * struct.calcsize(abi.order + PHDR[abi.word])
        extended = self._headers >= PN_XNUM
        self._notes = self._shoff + (_SHDR_SIZE[abi.word] if extended else 0)
        self._runs, self._end = self._place(_round(self._notes + core.notes.size, page_size))
        self._position = 0

    def _place(self, offset: int) -> tuple[list[tuple[int, int, int]], int]:
        # Physically contiguous runs of pages (first frame, end, file offset), and the file's end.
        runs: list[tuple[int, int, int]] = []
        page = self.page_size
        for part in sorted(self._core.loads, key=lambda part: part.paddr):
            first, end = part.paddr // page, -(-(part.paddr + part.filesz) // page)
            if runs and first <= runs[-1][1]:
                before, stop, at = runs[-1]
                runs[-1] = (before, max(stop, end), at)
                continue
            if runs:
                offset += (runs[-1][1] - runs[-1][0]) * page
            runs.append((first, end, offset))
        return runs, offset + (runs[-1][1] - runs[-1][0]) * page

    def _locate(self, pfn: int) -> int:
        # File offset of a page frame, by halving.
        low, high = 0, len(self._runs)
        while high - low > 1:
            middle = (low + high) // 2
            if pfn < self._runs[middle][0]:
                high = middle
            else:
                low = middle
        first, _, offset = self._runs[low]
        return offset + (pfn - first) * self.page_size

    def begin(self) -> None:
        """Write headers (marked incomplete until the end) and notes."""
        self._write_header(complete=False)
        core, at = self._core, self._phoff
        page = self.page_size
        headers = []
        if core.notes.size:
            headers.append(_note_header(core.abi, self._notes, core.notes.size))
        for part in core.loads:
            offset = self._locate(part.paddr // page) + part.paddr % page
            headers.append(part.pack(core.abi, offset))
        for start in range(0, len(headers), 1024):
            block = b"".join(headers[start : start + 1024])
            self.write(block, at)
            at += len(block)
        if self._headers >= PN_XNUM:
            section = bytearray(_SHDR_SIZE[core.abi.word])
            struct.pack_into(core.abi.order + "I", section, SH_INFO[core.abi.word], self._headers)
            self.write(section, at)
        at = self._notes
        for chunk in core.notes.chunks():
            self.write(chunk, at)
            at += len(chunk)

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
            self._shoff if extended else 0,
            flags,
            self._phoff,
            struct.calcsize(abi.order + PHDR[abi.word]),
            PN_XNUM if extended else self._headers,
            _SHDR_SIZE[abi.word] if extended else 0,
            1 if extended else 0,
            0,
        )
        self.write(self._core.ident + header, 0)

    def seek(self, pfn: int) -> None:
        """Go on at another page frame."""
        self._position = self._locate(pfn)

    def zero(self, length: int) -> None:
        """Take length bytes of zero pages: a hole."""
        self.tally.pages += length // self.page_size
        self.tally.zero += length // self.page_size
        self._position += length

    def lost(self, length: int) -> None:
        """Take length bytes of unreadable pages: a hole as well, and the mark at the end."""
        self.tally.pages += length // self.page_size
        self.tally.lost += length // self.page_size
        self._position += length

    def data(self, address: int, length: int) -> None:
        """Take length bytes of pages: written from where they are."""
        done, code = self.write_from(address, length, self._position)
        count = done // self.page_size
        self.tally.pages += count
        self.tally.raw += count
        if code:
            raise self.failure(code)
        self._position += length

    def finish(self, *, complete: bool) -> int:
        """Set the final size and mark, fsync; pages never handed over count as lost."""
        self.tally.lost += self._extents.pages - self.tally.pages
        self.tally.pages = self._extents.pages
        try:
            os.ftruncate(self.fd, self._end)
        except OSError as error:
            complete = False
            if error.errno != errno.EFBIG:
                raise
        self._write_header(complete=complete and not self.tally.lost)
        os.fsync(self.fd)
        return self._end


def _note_header(abi: Abi, offset: int, size: int) -> bytes:
    if abi.word == 8:
        values = (PT_NOTE, 0, offset, 0, 0, size, size, 0)
    else:
        values = (PT_NOTE, offset, 0, 0, size, size, 0, 0)
    return struct.pack(abi.order + PHDR[abi.word], *values)


def _round(size: int, unit: int) -> int:
    return -(-size // unit) * unit
