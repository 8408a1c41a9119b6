# SPDX-License-Identifier: GPL-2.0-or-later
"""A described machine: which memory it has, and a struct page for each page frame of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from .dialects import DIALECTS, PAGE_STRUCT, SECTION_BITS, Dialect, Place, vmcoreinfo
from .pagetables import LARGE
from .structpages import Block, StructPage
from .vmcore import DIRECT, PAGE, TEXT

#: Page frames of a memory section, and of a page of vmemmap.
SECTION, PER_PAGE = (1 << SECTION_BITS) // PAGE, PAGE // PAGE_STRUCT
_KERNEL_MAP = 0xFFFFFFFF80000000
#: Virtual addresses of the direct map and vmemmap by levels of page tables.
_BASES = {4: (DIRECT, 0xFFFFEA0000000000), 5: (0xFF11000000000000, 0xFFD4000000000000)}
#: What KASLR added to text, direct map and vmemmap on some boot.
_KASLR = (0x34600000, 0xC6E40000000, 0x3D440000000)


class DescriptionError(ValueError):
    """The description makes no sense; the text says where."""


@dataclass
class Layout:
    """A described machine."""

    dialect: Dialect = DIALECTS["6.12"]
    levels: int = 4
    memory: list[tuple[int, int]] = field(default_factory=list)
    loads: list[tuple[int, int]] = field(default_factory=list)
    structures: int | None = None
    section_flags: int = 4
    pointer: bool = False
    absent: set[int] = field(default_factory=set)
    small: bool = False
    holes: set[int] = field(default_factory=set)  # pages of vmemmap
    aliases: dict[int, int] = field(default_factory=dict)  # pages of vmemmap
    repeats: list[tuple[int, int, Block]] = field(default_factory=list)  # sections
    loops: list[int] = field(default_factory=list)
    kaslr: bool = False
    sme: int = 0
    contents: bool = True
    drops: list[str] = field(default_factory=list)
    sets: dict[str, str] = field(default_factory=dict)
    pages: dict[int, StructPage] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)

    def page(self, pfn: int) -> StructPage | None:
        """Return the struct page of a page frame, as the page tables show it; None for none."""
        at = pfn // PER_PAGE
        if pfn // SECTION not in self.sections or at in self.holes:
            return None
        return self.pages.get(self.aliases.get(at, at) * PER_PAGE + pfn % PER_PAGE, self.other)

    @cached_property
    def other(self) -> StructPage:
        """The struct page of all that is not described."""
        return StructPage(flags=StructPage().flags | self.dialect.flag("reserved"))

    @cached_property
    def ram(self) -> list[int]:
        """The page frames that the PT_LOADs hold, in ascending order."""
        found: set[int] = set()
        for start, end in self.memory + self.loads:
            found.update(range(start // PAGE, -(-end // PAGE)))
        return sorted(found)

    @cached_property
    def sections(self) -> set[int]:
        """The numbers of the memory sections that are present."""
        found = {pfn // SECTION for pfn in self.pages}
        for start, end in self.memory:
            found.update(range(start >> SECTION_BITS, (end - 1 >> SECTION_BITS) + 1))
        return found - self.absent

    @cached_property
    def own(self) -> list[int]:
        """The present sections that have memory of their own for their struct pages."""
        alike = {n for first, last, _ in self.repeats for n in range(first, last)}
        return sorted(self.sections - alike)

    @property
    def tables(self) -> int:
        """Bytes of memory that kernel text and tables take."""
        return 4 << 20 if self.levels == 4 else 6 << 20

    @property
    def size(self) -> int:
        """Bytes of memory that text, tables and struct pages take."""
        return self.tables + (len(self.own) + bool(self.absent) + len(self.repeats)) * LARGE

    @cached_property
    def base(self) -> int:
        """The physical address where they begin."""
        end = self.memory[0][1]
        base = (end - self.size) // LARGE * LARGE if self.structures is None else self.structures
        if base < 0 or base % LARGE or base + self.size > end:
            raise DescriptionError(f"no place for {self.size >> 20} MiB in the first range")
        inside = range(base // PAGE, (base + self.size) // PAGE)
        if any(pfn in inside for pfn in self.pages):
            raise DescriptionError(f"page frames from {inside.start:#x} on are the structures'")
        return base

    @property
    def page_offset(self) -> int:
        """The virtual address of the direct map."""
        return _BASES[self.levels][0] + (_KASLR[1] if self.kaslr else 0)

    @property
    def vmemmap(self) -> int:
        """The virtual address of the struct page of page frame 0."""
        return _BASES[self.levels][1] + (_KASLR[2] if self.kaslr else 0)

    @cached_property
    def place(self) -> Place:
        """The addresses that VMCOREINFO tells."""
        offset = _KASLR[0] if self.kaslr else 0
        text = TEXT + offset
        array = self.page_offset + self.base + LARGE
        return Place(
            text=text,
            utsname=text + 0x1000,
            page_table=text + 0x3000,
            sections=text + 0x2000 if self.pointer else array,
            vmemmap=self.vmemmap,
            phys_base=self.base - (text - _KERNEL_MAP),
            levels=self.levels,
            offset=offset,
            sme_mask=self.sme,
        )

    @cached_property
    def info(self) -> dict[str, str]:
        """VMCOREINFO's keys and values."""
        info = {**vmcoreinfo(self.dialect, self.place), **self.sets}
        for key in self.drops:
            del info[key]
        return info
