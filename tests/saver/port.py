# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a synthetic vmcore depends on the architecture, its page size and its memory model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pagetables import LARGE, Arena, Image, PageTables, Shape
from .vmcore import Machine

if TYPE_CHECKING:
    from .layout import Layout

#: (virtual address, physical address, bytes) of a part of vmemmap.
Piece = tuple[int, int, int]


class Port:
    """One architecture with one page size. What its class does not say is as on x86_64.

    machine        word, byte order, ELF machine number; uname is what uname -m says
    page           bytes of a page
    page_struct    bytes of struct page, section_struct of struct mem_section
    section_bits   SECTION_SIZE_BITS; physical_bits MAX_PHYSMEM_BITS
    model          the usual memory model (layout.py)
    block          bytes by which vmemmap is mapped, unless it is by pages
    root           where swapper_pg_dir is in the kernel's image
    level          level of page tables (0 the lowest) whose entries map the kernel
    leaves         levels of page tables whose entries can map memory, and reach, the bits of
                   physical addresses that entries have
    """

    machine = Machine()
    uname = "x86_64"
    page = 4096
    page_struct = 64
    section_struct = 32
    section_bits = 27
    physical_bits = 46
    model = "vmemmap"
    block = LARGE
    root = 0x10000
    level = 1
    leaves = 2
    reach = 52

    def text(self, layout: Layout) -> int:
        """Return the virtual address of the kernel's image, which begins at layout.base."""
        raise NotImplementedError

    def direct(self, layout: Layout) -> int:
        """Return the virtual address of the direct map."""
        raise NotImplementedError

    def address(self, layout: Layout, start: int) -> int:
        """Return the virtual address that a vmcore tells of the memory from start on."""
        return self.direct(layout) + start

    def vmemmap(self, layout: Layout) -> int:
        """Return the virtual address of the struct page of page frame 0."""
        raise NotImplementedError

    def max_physical(self, layout: Layout) -> int:
        """Return MAX_PHYSMEM_BITS."""
        return self.physical_bits

    def info(self, layout: Layout) -> dict[str, str]:
        """Return the keys of VMCOREINFO that only this architecture has."""
        raise NotImplementedError

    def shape(self, layout: Layout) -> Shape:
        """Return how its page tables are."""
        raise NotImplementedError

    def spare(self, layout: Layout) -> tuple[int, int]:
        """Return addresses of the kernel between which only page tables say what is where."""
        raise NotImplementedError

    def resolve(self, entry: int, level: int) -> tuple[int, int] | None:
        """Return what the MMU takes an entry of a level for.

        That is the physical address in it and the bytes that are mapped there; 0 bytes are a table.
        None leads nowhere.
        """
        raise NotImplementedError

    def data(self, layout: Layout, image: Image) -> None:
        """Write what else VMCOREINFO leads to."""

    def map_kernel(self, layout: Layout, tables: PageTables) -> None:
        """Map the kernel's image, and the direct map of what the structures take."""
        base = layout.base
        size = layout.tables if layout.model == "vmemmap" else layout.size
        tables.map_range(self.text(layout), base, LARGE, level=self.level)
        tables.map_range(self.direct(layout) + base, base, size, level=self.level)

    def map_vmemmap(
        self, layout: Layout, tables: PageTables, pieces: list[Piece], image: Image, arena: Arena
    ) -> None:
        """Map the struct pages; a piece is a page, or as large as block."""
        for vaddr, paddr, size in pieces:
            tables.map(vaddr, paddr, level=0 if size == self.page else 1)
