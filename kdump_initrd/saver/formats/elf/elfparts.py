# SPDX-License-Identifier: GPL-2.0-or-later
"""What an ELF dump has of a core's PT_LOADs: parts of them, and where in its file they lie."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...low.selection import Selection
    from .elfcore import Segment

#: Fewer pages than this that are left out stay a hole in a PT_LOAD; more of them end it.
BRIDGE = 256
#: Where that makes too many PT_LOADs, larger holes stay too, so many times as large; no memory
#: has one as large as the last.
_STEP, _LAST = 4, 1 << 40
_OFFSET = struct.Struct("Q")


class ElfParts:
    """The pages of a selection behind each other in a file, and the PT_LOADs that show them.

    bridge   fewer pages than this that are left out stay a hole in the file
    counts   the parts of each PT_LOAD
    """

    def __init__(
        self, selection: Selection, loads: list[Segment], *, page_size: int, most: int
    ) -> None:
        """Split PT_LOADs into as few parts as a reader takes: most, or as many as there are."""
        self._selection = selection
        self._page = page_size
        self.bridge = BRIDGE
        # Whether what is left out at a PT_LOAD's start is a part: memory without data.
        self._leads = True
        self.counts = self._count(loads, most)
        while loads and not self.counts:
            self._leads = self.bridge < _LAST
            self.bridge *= _STEP
            self.counts = self._count(loads, most if self._leads else len(loads))
        #: File offset of the first page of each range, from that of all data on.
        self._table = bytearray()
        # The run of pages that was asked for last, its place, and what follows it in its range.
        self._run, self._at, self._end = (0, 0), 0, 0
        self._runs: Iterator[tuple[int, int]] = iter(())

    def _count(self, loads: list[Segment], most: int) -> list[int]:
        # None at all if they are more than that.
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
