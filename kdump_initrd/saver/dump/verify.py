# SPDX-License-Identifier: GPL-2.0-or-later
"""The check of a finished dump: read back as any reader would, and compared with the vmcore."""

from __future__ import annotations

import ctypes
import struct

from ..formats.dumpfile import open_dump
from ..formats.elf.elfcore import ElfCore
from ..formats.elf.extents import PIECES, Extents, assemble
from ..formats.kdump.kdumpformat import DESCRIPTOR_SIZE
from ..formats.kdump.kdumpread import KdumpDump
from ..formats.writer import Work
from ..low import bitmap
from ..low.bitmap import count_ones
from ..low.board import Board, Lock
from ..low.failure import SaverError
from ..low.libc import memcmp
from ..memory.reader import absent
from .budget import sample
from .workers import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.elf.source import PageSource
    from ..low.selection import Selection

    Tell = Callable[[int], None]

#: Pages that are compared by --verify sample.
_SAMPLE = 256
_LOOK = 64 << 10


class Verification:
    """Compares a dump with its source. checked is the count of pages compared."""

    def __init__(self, path: str, source: PageSource, selection: Selection) -> None:
        """Open the dump; raises SaverError when its headers make no sense, OSError."""
        self._dump = open_dump(path)
        self._source = source
        self._selection = selection
        self._extents: Extents | None = None
        if isinstance(self._dump, ElfCore):
            self._extents = Extents(self._dump, source.page_size)
        self.checked = 0

    @property
    def size(self) -> int:
        """The bytes that structure() looks at: the bitmaps without their holes, and descriptors."""
        if not isinstance(self._dump, KdumpDump):
            return 0
        geometry, window = self._dump.header.geometry, self._dump.window
        first = window.data(geometry.bitmap1, geometry.bitmap2)
        second = window.data(geometry.bitmap2, geometry.descriptors)
        return 2 * first + second + DESCRIPTOR_SIZE * self._selection.pages

    def close(self) -> None:
        """Close the dump."""
        self._dump.close()

    def structure(self, lost: int, tell: Tell = lambda length: None) -> None:
        """Check bitmaps and descriptors; lost of the latter must be all zeros. Raises SaverError.

        tell gets bytes looked at, now and then: those of a huge dump take their time.
        """
        if isinstance(self._dump, KdumpDump):
            _check_bitmaps(self._dump, self._source, self._selection, tell)
            _check_descriptors(self._dump, self._selection.pages, lost, tell)
        elif isinstance(self._dump, ElfCore):
            _check_segments(self._dump)

    def compare_sample(self) -> None:
        """Compare some pages from all over memory; raises SaverError for one that differs."""
        size = self._source.page_size
        for pfn in sample(self._selection, _SAMPLE):
            found, wanted = self._page(pfn, size), self._source.page(pfn)
            if found is not None and wanted is not None:
                if found != wanted:
                    raise _differs(pfn * size)
                self.checked += 1

    def compare_all(self, lock: Lock, *, jobs: int, tell: Callable[[int], None]) -> None:
        """Compare every page, by so many workers; tell gets pages done. Raises SaverError."""
        board = Board(lock, workers=jobs, position=0, limit=0)
        selection = self._selection

        def start(slot: int) -> Work:
            return _Comparing(selection, self._compare, board, slot)

        try:
            problem = run(board, selection.ranges, start, lambda: tell(board.done))
            self.checked = board.good
        finally:
            board.close()
        if problem:
            raise SaverError(problem)

    def _compare(self, pfn: int) -> bool:
        # Whether the page could be compared; raises SaverError when it differs.
        size = self._source.page_size
        address, seen = self._source.view(pfn, 1)
        found = self._page(pfn, size) if seen else None
        if found is None:
            return False
        here = ctypes.create_string_buffer(found, size)
        if memcmp(ctypes.addressof(here), address, size):
            raise _differs(pfn * size)
        return True

    def _page(self, pfn: int, size: int) -> bytes | None:
        # None for a page that was lost: that is known already.
        dump, extents = self._dump, self._extents
        if isinstance(dump, KdumpDump):
            return dump.page(pfn)
        assert isinstance(dump, ElfCore) and extents is not None
        first, count, offset = extents.find(pfn) if extents.runs else (0, 0, 0)
        if not first <= pfn < first + count:
            raise absent("physical", pfn * size)
        if offset == PIECES:  # as memory's own ends may be
            return assemble(dump, extents, pfn=pfn, page_size=size)
        return dump.window.read(offset + (pfn - first) * size, size).ljust(size, b"\0")


class _Comparing(Work):
    def __init__(
        self, selection: Selection, compare: Callable[[int], bool], board: Board, slot: int
    ) -> None:
        self._selection = selection
        self._compare = compare
        self._board = board
        self._slot = slot

    def copy(self, number: int) -> None:
        """See Work: compare a range."""
        pfn, end, _ = self._selection.range(number)
        for first, count in self._selection.runs(pfn, end):
            same = sum([self._compare(page) for page in range(first, first + count)])
            self._board.add(self._slot, done=count, good=same)


def _differs(address: int) -> SaverError:
    return SaverError(f"the page at {address:#x} differs from memory")


def _check_bitmaps(dump: KdumpDump, source: PageSource, selection: Selection, tell: Tell) -> None:
    geometry, read = dump.header.geometry, dump.window.read
    if geometry.end != source.end or geometry.block != source.page_size:
        raise SaverError("the size of memory in the dump's header is wrong")
    ones = _ones(dump, geometry.bitmap2, tell)
    if ones != selection.pages:
        raise SaverError(f"the dump's bitmap has {ones} pages instead of {selection.pages}")
    for offset, wanted in bitmap.pieces(source.ram()):
        if read(geometry.bitmap1 + offset, len(wanted)) != wanted:
            raise SaverError("the dump's first bitmap is not that of memory")
        tell(len(wanted))
    if _ones(dump, geometry.bitmap1, tell) != sum([count for _, count in source.ram()]):
        raise SaverError("the dump's first bitmap has more pages than memory")


def _ones(dump: KdumpDump, bitmap_at: int, tell: Tell) -> int:
    size, nothing = dump.header.geometry.bitmap_size, bytes(_LOOK)
    ones = at = 0
    while True:
        # If some memory has a very high address, nearly all of the bitmap is a hole, or zeros.
        at = max(at, dump.window.skip(bitmap_at + at) - bitmap_at)
        length = min(_LOOK, size - at)
        if length <= 0:
            return ones
        data = dump.window.read(bitmap_at + at, length)
        if data != nothing[:length]:
            ones += count_ones(data)
        tell(length)
        at += length


def _check_segments(core: ElfCore) -> None:
    for part in core.loads:
        if part.filesz and part.offset + part.filesz > core.window.size:
            raise SaverError(f"the dump ends before its memory at {part.paddr:#x}")


def _check_descriptors(dump: KdumpDump, pages: int, lost: int, tell: Tell) -> None:
    # Each points into the file, behind the descriptors, and is no larger than a page.
    geometry, window = dump.header.geometry, dump.window
    data_at = geometry.descriptors + pages * DESCRIPTOR_SIZE
    shift = 32 if dump.abi.big else 0
    low = (1 << 32) - 1
    step = _LOOK // DESCRIPTOR_SIZE * DESCRIPTOR_SIZE
    zero = 0
    for at in range(geometry.descriptors, data_at, step):
        length = min(step, data_at - at)
        raw = window.read(at, length)
        if len(raw) < length:
            raise SaverError("the dump's page descriptors are not complete")
        words = struct.unpack(f"{dump.abi.order}{length // 8}Q", raw)
        offsets, sizes = words[::3], [word >> shift & low for word in words[1::3]]
        here = offsets.count(0)
        zero += here
        ends = max(map(int.__add__, offsets, sizes))
        least = min([offset for offset in offsets if offset] or [data_at])
        if least < data_at or ends > window.size or max(sizes) > geometry.block:
            raise SaverError("a page descriptor of the dump points nowhere")
        tell(length)
    if zero != lost:
        raise SaverError(f"{zero} page descriptors are empty, and {lost} pages were lost")
