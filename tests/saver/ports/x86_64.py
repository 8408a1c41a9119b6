# SPDX-License-Identifier: GPL-2.0-or-later
"""x86_64: four or five levels, KASLR, memory encryption."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pagetables import Shape
from ..port import Port
from ..vmcore import DIRECT, TEXT

if TYPE_CHECKING:
    from ..layout import Layout

_KERNEL_MAP = 0xFFFFFFFF80000000
#: Virtual addresses of the direct map and vmemmap by levels of page tables.
_BASES = {4: (DIRECT, 0xFFFFEA0000000000), 5: (0xFF11000000000000, 0xFFD4000000000000)}
#: What KASLR added to text, direct map and vmemmap on some boot.
_KASLR = (0x34600000, 0xC6E40000000, 0x3D440000000)
#: Present, writable, accessed, dirty; the page size bit of a 2 MiB entry; global; no execution.
_TABLE, _LARGE, _LEAF = 0x63, 0x80, 1 << 63 | 0x163


class X86_64(Port):
    """See Port."""

    root = 0x3000
    leaves = 3

    def text(self, layout: Layout) -> int:
        """See Port."""
        return TEXT + (_KASLR[0] if layout.kaslr else 0)

    def direct(self, layout: Layout) -> int:
        """See Port."""
        return _BASES[layout.levels][0] + (_KASLR[1] if layout.kaslr else 0)

    def vmemmap(self, layout: Layout) -> int:
        """See Port."""
        return _BASES[layout.levels][1] + (_KASLR[2] if layout.kaslr else 0)

    def max_physical(self, layout: Layout) -> int:
        """See Port."""
        return 52 if layout.levels == 5 else 46

    def shape(self, layout: Layout) -> Shape:
        """See Port."""
        return Shape(
            [(12 + 9 * level, 9) for level in range(layout.levels)],
            table=lambda address, level: address | _TABLE | layout.sme,
            leaf=lambda address, level: address | _LEAF | layout.sme | (_LARGE if level else 0),
        )

    def spare(self, layout: Layout) -> tuple[int, int]:
        """See Port."""
        return (1 << 64) - (1 << 12 + 9 * layout.levels - 1), _KERNEL_MAP

    def resolve(self, entry: int, level: int) -> tuple[int, int] | None:
        """See Port."""
        if not entry & 1:
            return None
        address, size = entry & 0xFFFFFFFFFF000, 4096 << 9 * level
        if level == 0 or (level < 3 and entry & _LARGE):
            return address & -size, size
        return address, 0

    def info(self, layout: Layout) -> dict[str, str]:
        """See Port."""
        text = self.text(layout)
        return {
            "NUMBER(phys_base)": f"{layout.base - (text - _KERNEL_MAP)}",
            "SYMBOL(init_top_pgt)": f"{text + self.root:x}",
            "NUMBER(pgtable_l5_enabled)": f"{int(layout.levels == 5)}",
            "KERNELOFFSET": f"{_KASLR[0] if layout.kaslr else 0:x}",
            "NUMBER(KERNEL_IMAGE_SIZE)": f"{1 << 30}",
            "NUMBER(sme_mask)": f"{layout.sme}",
        }
