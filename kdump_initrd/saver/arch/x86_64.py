# SPDX-License-Identifier: GPL-2.0-or-later
"""x86_64: page tables of four or five levels, the kernel's image at the end of all addresses."""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.reader import absent
from . import Architecture, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

    ReadPhysical = Callable[[int, int], bytes]

#: __START_KERNEL_map (arch/x86/include/asm/page_64_types.h)
_KERNEL = 0xFFFFFFFF80000000
#: KERNEL_IMAGE_SIZE, where VMCOREINFO does not tell.
_IMAGE_SIZE = 1 << 30
#: The direct map begins at a multiple of this, with KASLR or without
#: (kernel_randomize_memory() in arch/x86/mm/kaslr.c), in the upper half of the addresses.
_MAP_ALIGN, _UPPER_HALF = 1 << 30, 1 << 63
#: The bits of an entry of a page table (arch/x86/include/asm/pgtable_types.h).
_FRAME = 0x000FFFFFFFFFF000
_PRESENT, _LARGE = 1, 0x80
#: Bytes of a page table, and of a large page, by which the kernel's image is mapped.
_TABLE, _LARGE_PAGE = 4096, 2 << 20


class X86_64(Architecture):
    """See Architecture."""

    elf = 62
    unames = ("x86_64",)
    word = 8
    big = False
    page = 4096
    finit_module = 313

    def phys_base(self, info: VmcoreInfo, loads: Iterable[tuple[int, int]]) -> int:
        """See Architecture: the kernel's own, or what its image says."""
        value = info.number("phys_base")
        if value is not None:
            return value
        for vaddr, paddr in loads:
            if vaddr >= _KERNEL:
                return paddr - (vaddr - _KERNEL)
        return 0

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """See Architecture."""
        phys_base = number(info, "phys_base")
        walk = _walker(info, memory.read_physical)
        size = info.number("KERNEL_IMAGE_SIZE") or _IMAGE_SIZE

        def translate(address: int) -> tuple[int, int]:
            inside = address - _KERNEL
            if 0 <= inside < size:
                return inside + phys_base, size - inside
            return walk(address)

        return translate

    def direct_map(self, memory: Memory, info: VmcoreInfo) -> int:
        """See Architecture.

        mem_section lies in the direct map; VMCOREINFO tells its address, or that of the pointer.
        """
        space = self.space(memory, info)
        address = info.need("symbol", "mem_section")
        for _ in range(2):
            physical, _ = space.locate(address)
            offset = address - physical
            if _UPPER_HALF <= address < _KERNEL and offset % _MAP_ALIGN == 0:
                return offset
            address = memory.abi.long(space.read(address, memory.abi.word))
        raise SaverError("SYMBOL(mem_section) does not lead to the direct map")

    def kernel_image(self, memory: Memory, info: VmcoreInfo) -> tuple[int, int, int] | None:
        """See Architecture: the large pages from the first to the last that is mapped there."""
        walk = _walker(info, memory.read_physical)
        size = min(info.number("KERNEL_IMAGE_SIZE") or _IMAGE_SIZE, _IMAGE_SIZE)
        places = range(_KERNEL, _KERNEL + size, _LARGE_PAGE)
        found = [address for address in places if _is_mapped(walk, address)]
        if not found:
            return None
        return found[0], walk(found[0])[0], found[-1] + _LARGE_PAGE - found[0]


def _walker(info: VmcoreInfo, read: ReadPhysical) -> Translate:
    # What follows the page tables for every address. Raises SaverError without what VMCOREINFO
    # tells of them.
    table = info.symbol("init_top_pgt") or info.need("symbol", "swapper_pg_dir")
    root = table - _KERNEL + number(info, "phys_base")
    levels = 5 if info.number("pgtable_l5_enabled") else 4
    frame = _FRAME & ~(info.number("sme_mask") or 0)
    tables: dict[int, tuple[int, bytes]] = {}

    def entry_of(level: int, base: int, index: int) -> int:
        # The last table of each level is the likely one.
        place, entries = tables.get(level, (-1, b""))
        if place != base:
            entries = read(base, _TABLE)
            tables[level] = base, entries
        return int.from_bytes(entries[index * 8 : index * 8 + 8], "little")

    def walk(address: int) -> tuple[int, int]:
        base = root
        for level in range(levels - 1, -1, -1):
            shift = 12 + 9 * level
            entry = entry_of(level, base, address >> shift & 511)
            if not entry & _PRESENT:
                break
            if level == 0 or (entry & _LARGE and level < 3):
                offset = (1 << shift) - 1
                skip = address & offset
                return (entry & frame & ~offset) + skip, offset + 1 - skip
            base = entry & frame
        raise absent("virtual", address)

    return walk


def _is_mapped(walk: Translate, address: int) -> bool:
    try:
        walk(address)
    except (SaverError, OSError):
        return False
    return True


ARCHITECTURE = X86_64()
