# SPDX-License-Identifier: GPL-2.0-or-later
"""The walk over all struct pages: from the pages that a core holds to those that are kept."""

from __future__ import annotations

from ..arch import of_elf
from ..low.failure import SaverError, describe
from .memmap import MemoryMap
from .rules import KEEP, KINDS, POISON, SINGLE, Rules
from .structpage import ZERO, StructPage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..formats.elf.source import PageSource
    from ..low.selection import Selection
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo

#: Struct pages that are judged at once, and the least block that is jumped over.
_BATCH, _JUMP = 2048, 512
#: Bytes of memory, the least that hotplug adds or takes away (SUBSECTION_SHIFT, mmzone.h).
_SUBSECTION = 2 << 20
#: Runs of memory of which the first frames show where the struct pages are.
_TRIED = 64
#: Symbols in pages that are kept at any level: the kernel's own code and data.
_OWN = ("_stext", "init_uts_ns")
#: Frames between two signs of life.
_STEP = 1 << 20
#: Kept pages as the digits of a binary number.
_DIGITS = bytes([ord("0" if code else "1") for code in range(256)])


class PageFilter:
    """What can be filtered of one crashed kernel's memory.

    level is the part of the wanted dump level that can be filtered safely; note says what is
    missing for the rest, "" if nothing is.
    """

    def __init__(self, memory: Memory, info: VmcoreInfo, source: PageSource, *, level: int) -> None:
        """Look at VMCOREINFO; raises nothing: what cannot be done lowers the level."""
        self.level = level
        self.note = ""
        #: Pages left out, for each kind of rules.KINDS.
        self.left_out = [0] * len(KINDS)
        #: Free blocks whose size makes no sense: they are kept.
        self.odd_blocks = 0
        #: Frames whose struct page cannot be read: they are kept.
        self.unknown = 0
        self._rules: Rules | None = None
        try:
            self._prepare(memory, info, source, level)
        except Exception as error:  # numbers that are wild in a way that nobody has thought of
            self.give_up(f"the page filter failed: {describe(error)}")

    def _prepare(self, memory: Memory, info: VmcoreInfo, source: PageSource, level: int) -> None:
        page = StructPage(info, memory.abi)
        try:
            if not page.can_walk():
                raise SaverError("")
            if not (of_elf(memory.abi.machine).page or info.page_size()):
                raise SaverError("VMCOREINFO has no PAGESIZE")
            frames = _first_frames(source)
            # Around a frame without a struct page, this many are taken to have none.
            self._unseen = max(1, _SUBSECTION // source.page_size)
            self._map = MemoryMap(
                memory, info, size=page.size, page_size=source.page_size, frames=frames
            )
        except (SaverError, OSError) as error:
            missing = page.lower(level)[1]
            self.give_up(f"VMCOREINFO has no {', '.join(missing)}" if missing else str(error))
            return
        self.level, missing = page.lower(level)
        if missing:
            self.note = f"VMCOREINFO has no {', '.join(missing)}"
        self._rules = Rules(page, memory.abi, self.level)
        if self._loses_the_kernel(memory, info, source.page_size):
            self.give_up("VMCOREINFO is wrong about pages: the kernel's own would be left out")

    def _loses_the_kernel(self, memory: Memory, info: VmcoreInfo, page_size: int) -> bool:
        # If most pages seem to be of a kind because a number is damaged, so do the kernel's own.
        assert self._rules is not None
        kinds = []
        for name in _OWN:
            try:
                space = of_elf(memory.abi.machine).space(memory, info)
                pfn = space.locate(info.need("symbol", name))[0] // page_size
            except (SaverError, OSError):
                continue
            data = self._map.read(pfn, 2)
            if data:
                kinds.append(self._rules.first(data, pfn)[0])
        return bool(kinds) and KEEP not in kinds

    def give_up(self, reason: str) -> None:
        """Leave out nothing but zero pages; the note says why."""
        self._rules = None
        self.left_out = [0] * len(KINDS)
        self.odd_blocks = self.unknown = 0
        if self.level & ~ZERO:
            self.level, self.note = self.level & ZERO, reason

    def run(
        self, runs: Iterable[tuple[int, int]], keep: Selection, step: Callable[[int], None]
    ) -> None:
        """Hand those of some frames that are kept to a selection.

        runs are (first frame, count), ascending; step is called with frames done now and then.
        Raises SaverError if more than half of memory seems broken: then that bit is another flag's.
        """
        if self._rules is None:
            for pfn, count in runs:
                keep.add_run(pfn, count)
            return
        walk = _Walk(self, self._map, self._rules, keep, unseen=self._unseen)
        pages = 0
        for pfn, count in runs:
            pages += count
            end = pfn + count
            while pfn < end:
                stop = min(end, (pfn | _STEP - 1) + 1)
                walk.over(pfn, stop)
                step(stop - pfn)
                pfn = stop
        if 2 * self.left_out[POISON] > pages:
            raise SaverError("by NUMBER(PG_hwpoison), more than half of memory is broken")


class _Walk:
    def __init__(
        self, tally: PageFilter, memmap: MemoryMap, rules: Rules, keep: Selection, *, unseen: int
    ) -> None:
        self.tally = tally
        self.map = memmap
        self.rules = rules
        self.keep = keep
        self.unseen = unseen
        # A block that has been left out reaches to this frame.
        self.out_until = 0
        self.out_kind = 0

    def over(self, pfn: int, end: int) -> None:
        """Judge the frames from pfn to end."""
        size = self.rules.page.size
        while pfn < end:
            if pfn < self.out_until:
                stop = min(end, self.out_until)
                self.tally.left_out[self.out_kind] += stop - pfn
                pfn = stop
                continue
            stop = min(end, (pfn | _BATCH - 1) + 1)
            if not pfn & _JUMP - 1 and stop - pfn >= _JUMP and self._jump(pfn):
                continue
            data = self.map.read(pfn, stop - pfn)
            if data:
                count = len(data) // size
                self._batch(pfn, data, count)
            else:  # never a wrong page left out
                count = min(stop, (pfn | self.unseen - 1) + 1) - pfn
                self.tally.unknown += count
                self.keep.add_run(pfn, count)
            pfn += count

    def _jump(self, pfn: int) -> bool:
        # Whether a large block begins here: most of its struct pages are never looked at.
        data = self.map.read(pfn, 2)
        if not data:
            return False
        kind, count = self.rules.first(data, pfn)
        if kind == KEEP or count < _JUMP:
            return False
        self.out_until, self.out_kind = pfn + count, kind
        return True

    def _batch(self, pfn: int, data: bytes, count: int) -> None:
        codes = self.rules.codes(data, count)
        self._resolve(pfn, data, codes)
        kept = codes.count(KEEP)
        if kept == count:
            self.keep.add_run(pfn, count)
            return
        left, tally = count - kept, self.tally.left_out
        for kind in self.rules.kinds:
            found = codes.count(kind)
            tally[kind] += found
            left -= found
            if not left:
                break
        if kept:
            bits = int(codes.translate(_DIGITS)[::-1], 2)
            self.keep.add_bits(pfn, count, bits, kept)

    def _resolve(self, pfn: int, data: bytes, codes: bytearray) -> None:
        # Look at the pages that need it one by one, each with its block.
        count = len(codes)
        at = codes.find(SINGLE)
        while at >= 0:
            kind, pages = self.rules.single(data, at, pfn + at)
            end = min(at + pages, count)
            if kind == KEEP:
                end = at + 1
                codes[at] = KEEP
            else:
                codes[at:end] = bytes((kind,)) * (end - at)
                if at + pages > count:
                    self.out_until, self.out_kind = pfn + at + pages, kind
            at = codes.find(SINGLE, end)


def _first_frames(source: PageSource) -> list[int]:
    frames: list[int] = []
    for pfn, _ in source.runs():
        frames.append(pfn)
        if len(frames) == _TRIED:
            break
    return frames
