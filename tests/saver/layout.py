# SPDX-License-Identifier: GPL-2.0-or-later
"""A described machine: which memory it has, and a struct page for each page frame of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from .dialects import DIALECTS, ORDERS, Dialect, Place, vmcoreinfo
from .pagetables import LARGE
from .port import Port
from .ports import PORTS
from .structpages import Block, StructPage, masked
from .vmcore import CRASH_TIME


class DescriptionError(ValueError):
    """The description makes no sense; the text says where."""


@dataclass
class Layout:
    """A described machine. model is vmemmap, sparse (sections without it), static (the same, with a
    table of sections instead of pages of them) or flat.
    """

    port: Port = PORTS["x86_64"]
    dialect: Dialect = DIALECTS["6.12"]
    levels: int = 4
    model: str = "vmemmap"
    physical_bits: int = 0
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
        at = pfn // self.per_page
        if pfn // self.section not in self.sections or at in self.holes:
            return None
        page = self.pages.get(self.aliases.get(at, at) * self.per_page + pfn % self.per_page)
        return masked(page or self.other, self.port.machine)

    @property
    def max_physical(self) -> int:
        """MAX_PHYSMEM_BITS."""
        return self.physical_bits or self.port.max_physical(self)

    @cached_property
    def section(self) -> int:
        """The page frames of a memory section."""
        return (1 << self.port.section_bits) // self.port.page

    @cached_property
    def per_page(self) -> int:
        """The struct pages of a page of vmemmap."""
        return self.port.page // self.port.page_struct

    @cached_property
    def part(self) -> int:
        """The bytes of struct pages that lie behind each other in memory."""
        if self.model == "flat":
            end = self.memory[-1][1] // self.port.page
            return (-(-end >> ORDERS - 1 << ORDERS - 1) - self.start) * self.port.page_struct
        section = self.section * self.port.page_struct
        return max(section, self.port.block) if self.model == "vmemmap" else section

    @cached_property
    def per_part(self) -> int:
        """The struct pages of a part."""
        return self.part // self.port.page_struct

    @cached_property
    def other(self) -> StructPage:
        """The struct page of all that is not described."""
        return StructPage(flags=StructPage().flags | self.dialect.flag("reserved"))

    @cached_property
    def ram(self) -> list[int]:
        """The page frames that the PT_LOADs hold, in ascending order."""
        found: set[int] = set()
        for start, end in self.memory + self.loads:
            found.update(range(start // self.port.page, -(-end // self.port.page)))
        return sorted(found)

    @cached_property
    def sections(self) -> set[int]:
        """The numbers of the memory sections that are present."""
        found = {pfn // self.section for pfn in self.pages}
        bits = self.port.section_bits
        for start, end in self.memory:
            found.update(range(start >> bits, (end - 1 >> bits) + 1))
        return found - self.absent

    @cached_property
    def own(self) -> list[int]:
        """The parts that have memory of their own."""
        if self.model == "flat":
            return [0]
        alike = {n for first, last, _ in self.repeats for n in range(first, last)}
        parts = {number * self.section // self.per_part for number in self.sections - alike}
        return sorted(parts)

    @cached_property
    def start(self) -> int:
        """The page frame that the first struct page of a machine without sections is of."""
        return self.memory[0][0] // self.port.page & -(1 << ORDERS - 1)

    def where(self, pfn: int) -> tuple[int, int]:
        """Return which part has the struct page of a page frame, and its number there."""
        if self.model == "flat":
            return 0, pfn - self.start
        return divmod(pfn, self.per_part)

    @property
    def roots(self) -> int:
        """The entries of mem_section: each a page full of sections, or one section."""
        sections = 1 << self.max_physical - self.port.section_bits
        static = self.model == "static"
        return sections if static else sections // (self.port.page // self.port.section_struct)

    @property
    def root_size(self) -> int:
        """Bytes of one of them."""
        return self.port.section_struct if self.model == "static" else self.port.machine.word

    @property
    def tables(self) -> int:
        """Bytes of memory that kernel text and tables take."""
        return 2 * LARGE + self.roots * self.root_size // LARGE * LARGE

    @property
    def size(self) -> int:
        """Bytes of memory that text, tables and struct pages take."""
        parts = len(self.own) + bool(self.absent) + len(self.repeats)
        pages = parts * -(-self.part // self.port.page)
        return self.tables + -(-pages * self.port.page // LARGE) * LARGE

    @cached_property
    def base(self) -> int:
        """The physical address where they begin."""
        end = self.memory[0][1]
        base = (end - self.size) // LARGE * LARGE if self.structures is None else self.structures
        if base < 0 or base % LARGE or base + self.size > end:
            raise DescriptionError(f"no place for {self.size >> 20} MiB in the first range")
        inside = range(base // self.port.page, (base + self.size) // self.port.page)
        if any(pfn in inside for pfn in self.pages):
            raise DescriptionError(f"page frames from {inside.start:#x} on are the structures'")
        return base

    @property
    def page_offset(self) -> int:
        """The virtual address of the direct map."""
        return self.port.direct(self)

    @property
    def vmemmap(self) -> int:
        """The virtual address of the struct page of page frame 0."""
        return self.port.vmemmap(self)

    @cached_property
    def place(self) -> Place:
        """The addresses that VMCOREINFO tells."""
        text, array = self.port.text(self), self.page_offset + self.base + LARGE
        return Place(
            text=text,
            utsname=text + 0x1000,
            page_table=text + self.port.root,
            sections=text + 0x2000 if self.pointer else array,
            vmemmap=self.vmemmap,
            node=text + 0x2100,
            roots=self.roots,
            physical_bits=self.max_physical,
            model=self.model,
        )

    @cached_property
    def info(self) -> dict[str, str]:
        """VMCOREINFO's keys and values."""
        info = {**vmcoreinfo(self.dialect, self.port, self.place), **self.port.info(self)}
        info.update({"CRASHTIME": f"{CRASH_TIME}", **self.sets})
        for key in self.drops:
            del info[key]
        return info
