# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a core's PT_LOADs that an ELF dump has, and where in its file they lie."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...low.selection import Selection
    from .elfcore import Segment

#: If fewer pages than this are left out in a row, they are a hole in a PT_LOAD; more end it.
BRIDGE = 256
#: If that makes too many PT_LOADs, holes may be this many times as large, and again, up to more
#: than any memory has.
_STEP, _LAST = 4, 1 << 40
_OFFSET = struct.Struct("Q")


class ElfParts:
    """The pages of a selection one after another in a file, and the PT_LOADs that show them.

    bridge   fewer pages than this that are left out in a row are a hole in the file
    counts   the parts of each PT_LOAD
    """

    def __init__(
        self, selection: Selection, loads: list[Segment], *, page_size: int, most: int
    ) -> None:
        """Split PT_LOADs into at most so many parts, or one each if there are more of them."""
        self._selection = selection
        self._page = page_size
        self.bridge = BRIDGE
        # Whether pages left out at the start of a PT_LOAD become a part of their own, without data.
        self._leads = True
        self.counts = self._count(loads, most)
        while loads and not self.counts:
            self._leads = self.bridge < _LAST
            self.bridge *= _STEP
            self.counts = self._count(loads, most if self._leads else len(loads))
        #: Offset of the first page of each range, from the start of all data.
        self._table = bytearray()
        # The run of pages that was asked for last, its place, and what follows it in its range.
        self._run, self._at, self._end = (0, 0), 0, 0
        self._runs: Iterator[tuple[int, int]] = iter(())

    def _count(self, loads: list[Segment], most: int) -> list[int]:
        # An empty list if there would be more than that.
        counts = []
        for part in loads:
            count = 0
            for _ in self.of(part):
                count += 1
                if count > most:
                    return []
            most -= count
            counts.append(count)
        return counts

    def of(self, part: Segment) -> Iterator[tuple[int, int, int]]:
        """Yield (address, end in the file, end in memory) of a PT_LOAD's parts.

        Without data in the file, the first two are equal.
        """
        page = self._page
        end, least = part.paddr + part.filesz, self.bridge * page
        low, high = part.paddr, part.paddr
        for pfn, count in self._selection.runs(part.paddr // page, -(-end // page)):
            start, stop = max(part.paddr, pfn * page), min(end, (pfn + count) * page)
            if high == low:
                if start > low and self._leads:
                    yield low, low, start
                low = start
            elif start - high >= least:
                yield low, high, start
                low = start
            high = stop
        yield low, high, max(end, part.paddr + part.memsz)

    def place(self) -> int:
        """Give each page its place; return the bytes of all of them, with the holes."""
        offset, last = 0, -1
        for number in range(self._selection.ranges):
            pfn, end, _ = self._selection.range(number)
            first = True
            for start, count in self._selection.runs(pfn, end):
                offset += self.hole(last, start) * self._page
                if first:
                    self._table += _OFFSET.pack(offset)
                    first = False
                offset += count * self._page
                last = start + count
            if first:
                self._table += _OFFSET.pack(offset)
        return offset

    def hole(self, last: int, pfn: int) -> int:
        """Return the pages of the file between the end of a run of pages and the next run.

        last is -1 before the first.
        """
        return pfn - last if last >= 0 and pfn - last < self.bridge else 0

    def start(self, number: int) -> int:
        """Return the place of a range's first page."""
        return int(_OFFSET.unpack_from(self._table, number * _OFFSET.size)[0])

    def find(self, pfn: int) -> int:
        """Return the place of a page of the selection; ascending ones are found in one walk."""
        start, count = self._run
        if not start <= pfn < self._end:
            number = self._selection.range_of(pfn)
            first, self._end, _ = self._selection.range(number)
            self._runs = self._selection.runs(first, self._end)
            self._at = self.start(number)
            start, count = next(self._runs)
        while pfn >= start + count:
            following, pages = next(self._runs)
            self._at += (count + self.hole(start + count, following)) * self._page
            start, count = following, pages
        self._run = start, count
        return self._at + (pfn - start) * self._page
