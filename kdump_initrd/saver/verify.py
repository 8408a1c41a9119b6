# SPDX-License-Identifier: GPL-2.0-or-later
"""The check of a finished dump: read back as any reader would, and compared with the vmcore."""

from __future__ import annotations

import ctypes

from . import bitmap
from .bitmap import count_ones
from .board import Board, Lock
from .budget import sample
from .dumpfile import open_dump
from .failure import SaverError
from .kdumpformat import DESCRIPTOR_SIZE
from .kdumpread import KdumpDump
from .libc import memcmp
from .workers import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .memory import Memory
    from .selection import Selection
    from .source import PageSource

#: Pages that are compared by --verify sample.
_SAMPLE = 256
_LOOK = 64 << 10
#: Differing pages after which no more are looked for.
_ENOUGH = 16


class Verification:
    """Compares a dump with its source. checked is the count of pages compared."""

    def __init__(self, path: str, source: PageSource, selection: Selection) -> None:
        """Open the dump; raises SaverError when its headers make no sense, OSError."""
        self._dump = open_dump(path)
        self._source = source
        self._selection = selection
        self.checked = 0

    def close(self) -> None:
        """Close the dump."""
        self._dump.close()

    def structure(self, lost: int) -> None:
        """Check bitmaps and descriptors, of which lost are all zeros; raises SaverError."""
        if isinstance(self._dump, KdumpDump):
            _check_bitmaps(self._dump, self._source, self._selection)
            _check_descriptors(self._dump, self._selection.pages, lost)

    def compare_sample(self) -> None:
        """Compare some pages from all over memory; raises SaverError for one that differs."""
        for pfn in sample(self._selection, _SAMPLE):
            self._compare(pfn)

    def compare_all(self, lock: Lock, *, jobs: int, tell: Callable[[int], None]) -> None:
        """Compare every page, by so many workers; tell gets pages done. Raises SaverError."""
        board = Board(lock, workers=jobs, position=0, limit=0)
        selection = self._selection

        def start(slot: int) -> Callable[[int], None]:
            def compare(number: int) -> None:
                pfn, end, _ = selection.range(number)
                for first, count in selection.runs(pfn, end):
                    for page in range(first, first + count):
                        self._compare(page)
                    board.add(slot, done=count)

            return compare

        try:
            problem = run(board, selection.ranges, start, lambda: tell(board.done))
            self.checked = board.done
        finally:
            board.close()
        if problem:
            raise SaverError(problem)

    def _compare(self, pfn: int) -> None:
        size = self._source.page_size
        address, seen = self._source.view(pfn, 1)
        if not seen:
            return
        place = f"the page at {pfn * size:#x}"
        found = self._page(pfn, size, place)
        if found is None:
            return
        here = ctypes.create_string_buffer(found, size)
        if memcmp(ctypes.addressof(here), address, size):
            raise SaverError(f"{place} is not what is in memory")
        self.checked += 1

    def _page(self, pfn: int, size: int, place: str) -> bytes | None:
        # None for a page that was lost: that is known already.
        dump: Memory = self._dump
        if isinstance(dump, KdumpDump):
            return dump.page(pfn)
        return dump.read_physical(pfn * size, size)


def _check_bitmaps(dump: KdumpDump, source: PageSource, selection: Selection) -> None:
    geometry, read = dump.header.geometry, dump.window.read
    if geometry.end != source.end or geometry.block != source.page_size:
        raise SaverError("the dump's header has another size of memory")
    ones = 0
    for at in range(0, geometry.bitmap_size, _LOOK):
        length = min(_LOOK, geometry.bitmap_size - at)
        data = read(geometry.bitmap2 + at, length)
        if len(data) < length:
            raise SaverError("the dump's bitmaps are not complete")
        ones += count_ones(data)
    if ones != selection.pages:
        raise SaverError(f"the dump's bitmap has {ones} pages instead of {selection.pages}")
    for offset, wanted in bitmap.pieces(source.ram()):
        if read(geometry.bitmap1 + offset, len(wanted)) != wanted:
            raise SaverError("the dump's first bitmap is not that of memory")


def _check_descriptors(dump: KdumpDump, pages: int, lost: int) -> None:
    # Each points into the file, behind the descriptors, and is no larger than a page.
    geometry, window = dump.header.geometry, dump.window
    data_at = geometry.descriptors + pages * DESCRIPTOR_SIZE
    shift = 32 if dump.abi.big else 0
    low = (1 << 32) - 1
    step = _LOOK // DESCRIPTOR_SIZE * DESCRIPTOR_SIZE
    zero = 0
    for at in range(geometry.descriptors, data_at, step):
        raw = window.read(at, min(step, data_at - at))
        if dump.abi.big:
            words = [int.from_bytes(raw[i : i + 8], "big") for i in range(0, len(raw), 8)]
        else:
            words = memoryview(raw).cast("Q").tolist()
        offsets, sizes = words[::3], [word >> shift & low for word in words[1::3]]
        here = offsets.count(0)
        zero += here
        ends = max(map(int.__add__, offsets, sizes))
        least = min([offset for offset in offsets if offset] or [data_at])
        if least < data_at or ends > window.size or max(sizes) > geometry.block:
            raise SaverError("a page descriptor of the dump points to nowhere")
    if zero != lost:
        raise SaverError(f"{zero} page descriptors are empty, and {lost} pages were lost")
