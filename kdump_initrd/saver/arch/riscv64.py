# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit RISC-V: page tables of three to five levels, and two ranges that need none.

They are the direct map and the kernel's image, which VMCOREINFO describes
(arch/riscv/kernel/vmcore_info.c): a vmcore may lack the page tables.
"""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.pagetables import walker
from ..memory.reader import absent
from . import Architecture, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

_ALL = (1 << 64) - 1
#: Bits of a page's offset, and of an index.
_PAGE, _INDEX = 12, 9
#: Levels of page tables by the bits of an address: Sv39, Sv48, Sv57.
_LEVELS = {39: 3, 48: 4, 57: 5}
#: Entries of the first table that belong to the direct map (KERN_VIRT_SIZE in
#: arch/riscv/include/asm/pgtable.h).
_DIRECT_ENTRIES = 128
#: Bytes from the first place of modules to the end of the image (MODULES_VADDR in pgtable.h).
_MODULES = 2 << 30
#: An entry (arch/riscv/include/asm/pgtable-bits.h, pgtable-64.h): it is valid; it may be read,
#: written or executed, which makes it a leaf; its page frame; one of sixteen that map a larger page
#: together, whose size the lowest bits of the page frame tell.
_VALID, _LEAF, _FRAME, _NAPOT = 1, 0xE, (1 << 54) - (1 << 10), 1 << 63
_NAPOT_MASK, _NAPOT_64K, _NAPOT_SHIFT = 0xF << 10, 8 << 10, 16


class Riscv64(Architecture):
    """See Architecture."""

    elf = 243
    unames = ("riscv64", "riscv*")
    word = 8
    big = False
    page = 4096
    finit_module = 273

    def phys_base(self, info: VmcoreInfo, loads: Iterable[tuple[int, int]]) -> int:
        """See Architecture."""
        return info.number("phys_ram_base") or 0

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """See Architecture."""
        bits = number(info, "VA_BITS")
        if bits not in _LEVELS:
            raise SaverError(f"VMCOREINFO: addresses of {bits} bits")
        shifts = [_PAGE + _INDEX * level for level in range(_LEVELS[bits] - 1, -1, -1)]
        start = number(info, "PAGE_OFFSET") & _ALL
        end = start + (_DIRECT_ENTRIES << shifts[0])
        offset = self.direct_map(memory, info)
        link = number(info, "KERNEL_LINK_ADDR") & _ALL
        image = number(info, "va_kernel_pa_offset")
        root = info.need("symbol", "swapper_pg_dir") - image & _ALL
        levels = [(shift, _INDEX) for shift in shifts]
        walk = walker(memory.read_physical, root, levels, _decode)
        lowest = (1 << 64) - (1 << bits - 1)

        def translate(address: int) -> tuple[int, int]:
            if not lowest <= address <= _ALL:
                raise absent("virtual", address)
            if address >= link:
                return address - image & _ALL, (1 << 64) - address
            if start <= address < end:
                return address - offset & _ALL, end - address
            return walk(address)

        return translate

    def direct_map(self, memory: Memory, info: VmcoreInfo) -> int:
        """See Architecture."""
        return number(info, "PAGE_OFFSET") - number(info, "phys_ram_base") & _ALL

    def kernel_image(self, memory: Memory, info: VmcoreInfo) -> tuple[int, int, int] | None:
        """See Architecture: what follows the range of modules."""
        start = number(info, "MODULES_END") & _ALL
        size = (number(info, "MODULES_VADDR") & _ALL) + _MODULES - start
        if not 0 < size <= _MODULES:
            raise SaverError(f"VMCOREINFO: a kernel image of {size} bytes")
        return start, start - number(info, "va_kernel_pa_offset") & _ALL, size


def _decode(entry: int, shift: int) -> tuple[int, int] | None:
    if not entry & _VALID:
        return None
    address = (entry & _FRAME) << 2
    if not entry & _LEAF:
        return address, 0
    if entry & _NAPOT:
        # The Svnapot extension defines no other size.
        is_one = shift == _PAGE and entry & _NAPOT_MASK == _NAPOT_64K
        return (address, _NAPOT_SHIFT) if is_one else None
    return address, shift


ARCHITECTURE = Riscv64()
