# SPDX-License-Identifier: GPL-2.0-or-later
"""riscv64: Sv39, Sv48 and Sv57.

Written from arch/riscv/include/asm/pgtable.h, pgtable-64.h, page.h and mm/init.c of Linux.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pagetables import Shape
from ..port import Port
from ..vmcore import Machine

if TYPE_CHECKING:
    from ..layout import Layout

_2G = 2 << 30
_64 = (1 << 64) - 1
#: PAGE_OFFSET by the bits of an address.
_PAGE_OFFSET = {39: 0xFFFFFFD600000000, 48: 0xFFFFAF8000000000, 57: 0xFF60000000000000}
#: What KASLR added to text.
_KASLR = 0x1C600000
#: Valid; readable, writable, global, accessed, dirty; a memory type of Svpbmt.
_VALID, _LEAF, _TYPE = 1, 0xE6, 1 << 61


class Riscv64(Port):
    """See Port. Addresses have so many bits."""

    uname = "riscv64"
    machine = Machine(8, False, 243)
    section_struct = 16
    physical_bits = reach = 56

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.leaves = (bits - 12) // 9

    def text(self, layout: Layout) -> int:
        """See Port."""
        return (1 << 64) - _2G + (_KASLR if layout.kaslr else 0)

    def direct(self, layout: Layout) -> int:
        """See Port."""
        return _PAGE_OFFSET[self.bits] - layout.memory[0][0]

    def vmemmap(self, layout: Layout) -> int:
        """See Port."""
        vmalloc = _PAGE_OFFSET[self.bits] - (64 << (self.bits - 9))
        start = vmalloc - (1 << self.bits - 12 - 1 + 6)
        return start - layout.memory[0][0] // self.page * self.page_struct

    def shape(self, layout: Layout) -> Shape:
        """See Port."""
        return Shape(
            [(12 + 9 * level, 9) for level in range((self.bits - 12) // 9)],
            table=lambda address, level: address >> 2 | _VALID,
            leaf=lambda address, level: address >> 2 | _VALID | _LEAF | _TYPE,
        )

    def spare(self, layout: Layout) -> tuple[int, int]:
        """See Port."""
        return (1 << 64) - (1 << self.bits - 1), _PAGE_OFFSET[self.bits]

    def resolve(self, entry: int, level: int) -> tuple[int, int] | None:
        """See Port."""
        frame, size = (entry & (1 << 54) - 1) >> 10, 4096 << 9 * level
        if not entry & _VALID:
            return None
        if not entry & 0b1110:
            return frame << 12, 0
        if entry >> 63:  # Svnapot: sixteen pages, and nothing else
            return (frame - 8 << 12, 16 << 12) if level == 0 and frame % 16 == 8 else None
        return (frame << 12) & -size, size

    def info(self, layout: Layout) -> dict[str, str]:
        """See Port."""
        text = self.text(layout)
        return {
            "NUMBER(phys_ram_base)": f"{layout.memory[0][0]}",
            "NUMBER(PAGE_OFFSET)": f"{_PAGE_OFFSET[self.bits]:#x}",
            "NUMBER(VA_BITS)": f"{self.bits}",
            # The image is as large as the place that layouts have for it.
            "NUMBER(MODULES_VADDR)": f"{text + (2 << 20) - _2G:#x}",
            "NUMBER(MODULES_END)": f"{text:#x}",
            "NUMBER(KERNEL_LINK_ADDR)": f"{(1 << 64) - _2G:#x}",
            "NUMBER(va_kernel_pa_offset)": f"{text - layout.base:#x}",
        }


PORTS = {f"riscv64-sv{bits}": Riscv64(bits) for bits in _PAGE_OFFSET}
