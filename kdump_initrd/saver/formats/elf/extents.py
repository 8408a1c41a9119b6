# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages of memory a core holds, and where: the union of its PT_LOADs."""

from __future__ import annotations

from .elfcore import ElfCore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .elfcore import Segment

    #: First page frame, pages, file offset of the first page; offset PIECES for a page that the
    #: core holds in part only, or in pieces.
    Extent = tuple[int, int, int]

PIECES = -1
#: Bytes of memory beyond which p_memsz is taken for damage.
_MAX_MEMORY = 1 << 44
#: Page frames that a dump can have: its bitmaps have a hole of 8 GiB where there is no memory.
#: Pages of 4 KiB beyond 256 TiB are those of a damaged header.
_MAX_FRAMES = 1 << 36
#: Less than a section of memory after so large a gap is damage, too; bytes of both.
_FAR, _SECTION = 1 << 44, 128 << 20


class Extents:
    """The pages of a core in ascending order, each once.

    runs     list of Extent, not overlapping
    ram      (first frame, pages) of all memory that the headers tell of, including pages that a
             filter has left out of the core before (p_memsz beyond p_filesz)
    pages    pages in all runs
    end      the highest page frame + 1
    pieces   the PT_LOADs that share a page in PIECES, by its frame
    missing  pages that the headers promise beyond the end of the file, or where no memory can be;
             they are in no run
    """

    def __init__(self, core: ElfCore, page_size: int) -> None:
        self.runs: list[Extent] = []
        self.pieces: dict[int, list[Segment]] = {}
        wanted: list[Extent] = []
        loads = _sane_loads(core, page_size)
        self.missing = sum([-(-part.filesz // page_size) for part in core.loads])
        for part in loads:
            size = _size_there(part, core.window.size, page_size)
            self.missing -= -(-size // page_size)
            for run in _pages(part.paddr, size, part.offset, page_size) if size else ():
                wanted.append(run)
                if run[2] == PIECES:
                    self.pieces.setdefault(run[0], []).append(part)
        # At the same frame, whole pages come before one in pieces.
        wanted.sort(key=lambda run: (run[0], run[2] == PIECES))
        end = 0
        for pfn, count, offset in wanted:
            skip = max(0, end - pfn)
            if skip < count:
                self._add(pfn + skip, count - skip, offset, skip * page_size, page_size)
                end = pfn + count
        self.pages = sum([count for _, count, _ in self.runs])
        self.ram = _union(loads, core.window.size, page_size)
        self.end = max(end, sum(self.ram[-1]) if self.ram else 0)

    def find(self, pfn: int) -> Extent:
        """Return the run that a page is in; it must be in one."""
        low, high = 0, len(self.runs)
        while high - low > 1:
            middle = (low + high) // 2
            if pfn < self.runs[middle][0]:
                high = middle
            else:
                low = middle
        return self.runs[low]

    def _add(self, pfn: int, count: int, offset: int, skip: int, page_size: int) -> None:
        if offset != PIECES:
            offset += skip
            if self.runs:
                before, pages, place = self.runs[-1]
                joined = before + pages == pfn and place + pages * page_size == offset
                if joined and place != PIECES:
                    self.runs[-1] = (before, pages + count, place)
                    return
        self.runs.append((pfn, count, offset))


def _sane_loads(core: ElfCore, page_size: int) -> list[Segment]:
    # Without those at impossible addresses: the bitmaps of a dump reach to the last one.
    groups: list[list[Segment]] = [[]]
    end, file_size = 0, core.window.size
    for part in sorted(core.loads, key=lambda part: part.paddr):
        if part.paddr + min(part.filesz, file_size) > _MAX_FRAMES * page_size:
            continue
        if part.paddr - end > _FAR and groups[0]:
            groups.append([])
        groups[-1].append(part)
        end = max(end, part.paddr + min(part.filesz, file_size))
    while len(groups) > 1 and sum([_size(part, file_size) for part in groups[-1]]) < _SECTION:
        del groups[-1]
    return [part for group in groups for part in group]


def _size_there(part: Segment, file_size: int, page_size: int) -> int:
    # Bytes in the file; a page that is cut off by the file's end does not count.
    size = max(0, file_size - part.offset)
    if size >= part.filesz:
        return part.filesz
    return max(0, size - (part.paddr + size) % page_size)


def _size(part: Segment, file_size: int) -> int:
    return max(min(part.filesz, file_size), part.memsz)


def _union(loads: list[Segment], file_size: int, page_size: int) -> list[tuple[int, int]]:
    # A filtered core, ours or makedumpfile's, has less in the file than in memory.
    total = sum([max(part.filesz, part.memsz) for part in loads])
    spans = []
    for part in loads:
        size = _size_there(part, file_size, page_size)
        if part.memsz > part.filesz and total <= _MAX_MEMORY:
            size = part.memsz
        if size and part.paddr + size <= _MAX_FRAMES * page_size:
            spans.append((part.paddr // page_size, part.paddr + size))
    found: list[tuple[int, int]] = []
    for first, stop in sorted(spans):
        end = -(-stop // page_size)
        if found and first <= sum(found[-1]):
            before, count = found[-1]
            found[-1] = (before, max(count, end - before))
        else:
            found.append((first, end - first))
    return found


def _pages(address: int, size: int, offset: int, page_size: int) -> list[Extent]:
    # Whole pages of one PT_LOAD, and those at its ends that it covers in part.
    found: list[Extent] = []
    first = -(-address // page_size)
    last = (address + size) // page_size
    if address % page_size:
        found.append((address // page_size, 1, PIECES))
    if last > first:
        found.append((first, last - first, offset + first * page_size - address))
    if (address + size) % page_size and last >= first:
        found.append((last, 1, PIECES))
    return found


def assemble(core: ElfCore, extents: Extents, *, pfn: int, page_size: int) -> bytes:
    """Return a page that is held in pieces; what the core does not hold of it is zeros.

    Raises OSError.
    """
    page = bytearray(page_size)
    start = pfn * page_size
    for part in extents.pieces[pfn]:
        low = max(start, part.paddr)
        high = min(start + page_size, part.paddr + part.filesz)
        piece = core.window.read(part.offset + low - part.paddr, high - low)
        page[low - start : low - start + len(piece)] = piece
    return bytes(page)
