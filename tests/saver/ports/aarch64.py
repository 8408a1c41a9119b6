# SPDX-License-Identifier: GPL-2.0-or-later
"""aarch64: pages of 4, 16 and 64 KiB, addresses of 36 to 52 bits, and CPUs that have fewer.

Written from arch/arm64/include/asm/memory.h, pgtable-hwdef.h, pgtable.h and mm/init.c of Linux.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pagetables import LARGE, Shape
from ..port import Port
from ..vmcore import Machine

if TYPE_CHECKING:
    from ..layout import Layout

_64 = (1 << 64) - 1
_GIB = 1 << 30
#: What KASLR added to text, and how much lower than memory the direct map's first address is.
_KASLR = (0x3A400000, 5 * _GIB)
#: Valid; a table or page, no block; inner shareable; accessed; contiguous; of no program.
_VALID, _TABLE, _SHARED, _LEAF = 1, 2, 3 << 8, 1 << 54 | 1 << 52 | 1 << 51 | 1 << 10


class Aarch64(Port):
    """See Port. The kernel is built for so many bits, and the CPU has so many (actual).

    old    Linux 5.3: the direct map is the upper half of all addresses
    still  Linux 5.9: PHYS_OFFSET is where memory starts, however many bits the CPU has
    """

    uname = "aarch64"

    def __init__(
        self,
        page_shift: int,
        bits: int,
        actual: int = 0,
        *,
        old: bool = False,
        still: bool = False,
        big: bool = False,
    ) -> None:
        self.machine = Machine(8, big, 183)
        self.bits, self.actual = bits, actual or bits
        self.shift, self.page = page_shift, 1 << page_shift
        self.old, self.still = old, still
        self.section_bits = 29 if page_shift == 16 else 27
        self.physical_bits = 52 if bits == 52 else 48
        # A block of 2 MiB is there with pages of 4 KiB only.
        self.level = int(page_shift == 12)
        self.block = LARGE if self.level else self.page
        # With 52 bits of a physical address, blocks of one more level.
        self.leaves = 2 + (page_shift == 12) + (self._has_lpa2 or page_shift == 16)
        self.reach = 52 if self._has_lpa2 or page_shift == 16 else 48
        self.least = bits if bits < 52 else 47 if page_shift == 14 else 48
        self.page_offset = -(1 << (bits - 1 if old else bits))
        self.page_end = 0 if old else -(1 << self.least - 1)

    def memstart(self, layout: Layout) -> int:
        """Return memstart_addr, a signed number."""
        start = layout.memory[0][0] & -_GIB
        if self.bits == 52 and self.actual < 52 and not self.still:
            start -= (1 << 52) - (1 << self.actual)
        return start - (_KASLR[1] if layout.kaslr else 0)

    def text(self, layout: Layout) -> int:
        """See Port."""
        modules = -(1 << self.bits) + (128 << 20) if self.old else self.page_end + 2 * _GIB
        return modules + (_KASLR[0] if layout.kaslr else 0) & _64

    def direct(self, layout: Layout) -> int:
        """See Port."""
        first = -(1 << self.actual) if self.still else self.page_offset
        return first - self.memstart(layout) & _64

    def vmemmap(self, layout: Layout) -> int:
        """See Port."""
        size = (self.page_end - self.page_offset >> self.shift) * self.page_struct
        start = self.page_offset - size // 2 if self.old else -_GIB - size
        if self.still:
            start += ((1 << 52) - (1 << self.actual) >> self.shift) * self.page_struct
        return start - (self.memstart(layout) >> self.shift) * self.page_struct & _64

    def shape(self, layout: Layout) -> Shape:
        """See Port."""
        step, levels = self.shift - 3, (self.bits - 4) // (self.shift - 3)
        is_folded = self.bits == 52 and self.actual < 52 and self.shift < 16
        shifts = [self.shift + step * level for level in range(levels - is_folded)]
        top = step if is_folded else self.bits - shifts[-1]

        def table(address: int, level: int) -> int:
            return self._address(address) | _TABLE | _VALID

        def leaf(address: int, level: int) -> int:
            return self._address(address) | _VALID | _LEAF | self._shared | (0 if level else _TABLE)

        sizes = [step] * (len(shifts) - 1) + [top]
        return Shape(list(zip(shifts, sizes)), table, leaf, big=self.machine.big)

    def spare(self, layout: Layout) -> tuple[int, int]:
        """See Port."""
        if self.old:
            return -(1 << self.bits) & _64, self.page_offset & _64
        return self.page_end & _64, _64 + 1

    def resolve(self, entry: int, level: int) -> tuple[int, int] | None:
        """See Port."""
        if not entry & _VALID or not (entry & _TABLE or 0 < level < self.leaves):
            return None
        size = self.page << level * (self.shift - 3)
        if self._has_lpa2:
            address = entry & ((1 << 50) - 1) | (entry >> 8 & 3) << 50
        elif self.shift == 16:
            address = entry & ((1 << 48) - 1) | (entry >> 12 & 15) << 48
        else:
            address = entry & ((1 << 48) - 1)
        if entry & _TABLE and level:
            return address & -self.page, 0
        return address & -size, size

    @property
    def _has_lpa2(self) -> bool:
        return self.actual == 52 and self.shift < 16

    @property
    def _shared(self) -> int:
        return 0 if self._has_lpa2 else _SHARED

    def _address(self, address: int) -> int:
        # __phys_to_pte_val(): the highest bits are elsewhere.
        if self._has_lpa2:
            return address & (1 << 50) - 1 | (address >> 50) << 8
        if self.shift == 16:
            return address & (1 << 48) - 1 | (address >> 48) << 12
        return address

    def info(self, layout: Layout) -> dict[str, str]:
        """See Port."""
        return {
            "NUMBER(VA_BITS)": f"{self.bits}",
            "NUMBER(VMEMMAP_START)": f"{self.vmemmap(layout):#x}",
            "NUMBER(kimage_voffset)": f"{self.text(layout) - layout.base & _64:#x}",
            "NUMBER(PHYS_OFFSET)": f"{self.memstart(layout) & _64:#x}",
            # Linux 5.3 did not tell it.
            **({} if self.old else {"NUMBER(TCR_EL1_T1SZ)": f"{64 - self.actual:#x}"}),
            "KERNELOFFSET": f"{_KASLR[0] if layout.kaslr else 0:x}",
            "NUMBER(KERNELPACMASK)": f"{-(1 << self.actual) & _64:#x}",
        }


PORTS = {
    "aarch64-4k-39": Aarch64(12, 39),
    "aarch64-4k-48": Aarch64(12, 48),
    "aarch64-4k-52": Aarch64(12, 52),
    "aarch64-4k-52-48": Aarch64(12, 52, 48),
    "aarch64-16k-36": Aarch64(14, 36),
    "aarch64-16k-47": Aarch64(14, 47),
    "aarch64-16k-48": Aarch64(14, 48),
    "aarch64-16k-52": Aarch64(14, 52),
    "aarch64-16k-52-47": Aarch64(14, 52, 47),
    "aarch64-64k-42": Aarch64(16, 42),
    "aarch64-64k-48": Aarch64(16, 48),
    "aarch64-64k-52": Aarch64(16, 52),
    "aarch64-64k-52-48": Aarch64(16, 52, 48),
    "aarch64-64k-52-48-still": Aarch64(16, 52, 48, still=True),
    "aarch64-4k-48-old": Aarch64(12, 48, old=True),
    "aarch64-4k-39-old": Aarch64(12, 39, old=True),
    "aarch64-64k-42-old": Aarch64(16, 42, old=True),
    "aarch64_be-4k-48": Aarch64(12, 48, big=True),
    "aarch64_be-64k-52": Aarch64(16, 52, big=True),
}
