# SPDX-License-Identifier: GPL-2.0-or-later
"""i386: with PAE and without, every split of the addresses, highmem.

Written from arch/x86/include/asm/pgtable-2level_types.h, pgtable-3level_types.h, sparsemem.h and
Kconfig of Linux.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pagetables import PageTables, Shape
from ..port import Port
from ..vmcore import I386

if TYPE_CHECKING:
    from ..layout import Layout

#: Present, writable, accessed, dirty; a large page; no execution, which only PAE has.
_PRESENT, _TABLE, _LEAF, _LARGE, _NX = 1, 0x67, 0x63, 0x80, 1 << 63
#: Addresses that are for vmalloc, and are never lowmem.
_VMALLOC = 128 << 20


class I386Port(Port):
    """See Port. Addresses from split on are the kernel's; a struct page has so many bytes."""

    machine = I386
    uname = "i686"
    section_struct = 8
    model = "flat"

    def __init__(self, split: int, *, pae: bool, page_struct: int = 32) -> None:
        self.split, self.pae, self.page_struct = split, pae, page_struct
        self.section_bits, self.physical_bits = (29, 36) if pae else (26, 32)
        self.reach = 52 if pae else 32
        self.large = 2 << 20 if pae else 4 << 20

    def lowmem(self, layout: Layout) -> int:
        """Return where memory ends that has an address."""
        return min(layout.memory[-1][1], (1 << 32) - self.split - _VMALLOC)

    def text(self, layout: Layout) -> int:
        """See Port: lowmem has it."""
        return self.split + layout.base

    def direct(self, layout: Layout) -> int:
        """See Port."""
        return self.split

    def address(self, layout: Layout, start: int) -> int:
        """See Port: highmem has none."""
        return self.split + start if start < self.lowmem(layout) else (1 << 64) - 1

    def vmemmap(self, layout: Layout) -> int:
        """See Port: there is none, but struct pages have addresses."""
        return self.split

    def shape(self, layout: Layout) -> Shape:
        """See Port."""
        if not self.pae:
            return Shape(
                [(12, 10), (22, 10)],
                table=lambda address, level: address | _TABLE,
                leaf=lambda address, level: address | _LEAF | (_LARGE if level else 0),
                size=4,
            )
        return Shape(
            [(12, 9), (21, 9), (30, 2)],
            # The entries of the first table have no more than that.
            table=lambda address, level: address | (_PRESENT if level == 2 else _TABLE),
            leaf=lambda address, level: address | _LEAF | _NX | (_LARGE if level else 0),
        )

    def spare(self, layout: Layout) -> tuple[int, int]:
        """See Port."""
        return self.split + self.lowmem(layout), 1 << 32

    def resolve(self, entry: int, level: int) -> tuple[int, int] | None:
        """See Port."""
        if not entry & _PRESENT:
            return None
        address = entry & (0xFFFFFFFFFF000 if self.pae else 0xFFFFF000)
        if level == 0 or (level == 1 and entry & _LARGE):
            size = self.large if level else 4096
            return address & -size, size
        return address, 0

    def map_kernel(self, layout: Layout, tables: PageTables) -> None:
        """See Port: all of lowmem, by large pages but for the last and the first ones."""
        for address in range(0, self.lowmem(layout), self.large):
            is_whole = 0 < address <= self.lowmem(layout) - self.large
            size = min(self.large, self.lowmem(layout) - address)
            tables.map_range(self.split + address, address, size, level=int(is_whole))

    def info(self, layout: Layout) -> dict[str, str]:
        """See Port."""
        return {"CONFIG_X86_PAE": "y"} if self.pae else {}


PORTS = {
    "i386": I386Port(0xC0000000, pae=False),
    "i386-pae": I386Port(0xC0000000, pae=True),
    "i386-40": I386Port(0xC0000000, pae=False, page_struct=40),
    "i386-pae-40": I386Port(0xC0000000, pae=True, page_struct=40),
    **{f"i386-{split:x}": I386Port(split, pae=False) for split in (0xB0000000, 0x78000000)},
    **{f"i386-pae-{split:x}": I386Port(split, pae=True) for split in (0x80000000, 0x40000000)},
}
