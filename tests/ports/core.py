# SPDX-License-Identifier: GPL-2.0-or-later
"""A vmcore's memory by page frames, read by pyelftools."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE

from tests.saver.vmcore import Machine


class Core:
    """The page frames of an ELF core, and what is in them; ``page_size`` is in bytes.

    Of ``partial`` ones only some bytes are memory.
    """

    def __init__(self, path: Path, page_size: int) -> None:
        with path.open("rb") as file:
            self._memory = mmap(file.fileno(), 0, access=ACCESS_READ)
            elf = ELFFile(file)
            number = ENUM_E_MACHINE[elf["e_machine"]]
            self.machine = Machine(elf.elfclass // 8, not elf.little_endian, number)
            segments = list(elf.iter_segments("PT_LOAD"))
        self._page_size = page_size
        #: Page frame → where its bytes begin in it, and in the file, and how many there are.
        self._places: dict[int, tuple[int, int, int]] = {}
        for segment in segments:
            start, at, size = (segment[name] for name in ("p_paddr", "p_offset", "p_filesz"))
            for pfn in range(start // page_size, -(-(start + size) // page_size)):
                first = max(pfn * page_size, start)
                count = min((pfn + 1) * page_size, start + size) - first
                place = (first % page_size, at + first - start, count)
                self._places.setdefault(pfn, place)
        self.frames = sorted(self._places)
        self.partial = {pfn for pfn, place in self._places.items() if place[2] < page_size}

    def page(self, pfn: int) -> bytes:
        """Return the contents of a page frame; what is not in the file is zeros."""
        first, at, count = self._places[pfn]
        return (bytes(first) + self._memory[at : at + count]).ljust(self._page_size, b"\0")

    def zeros(self) -> set[int]:
        """Return the page frames that hold nothing but zeros."""
        zero = bytes(self._page_size)
        return {pfn for pfn in self.frames if self.page(pfn) == zero}
