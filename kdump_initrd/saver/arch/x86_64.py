# SPDX-License-Identifier: GPL-2.0-or-later
"""x86_64: page tables of four or five levels, the kernel's image at the end of the addresses."""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.pagetables import walker
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
#: Bits of a page's offset, of an index, and of the offset in the largest page, 1 GiB.
_PAGE_SHIFT, _INDEX_BITS, _LARGEST = 12, 9, 30
#: Bytes of a large page, by which the kernel's image is mapped.
_LARGE_PAGE = 2 << 20


class X86_64(Architecture):
    """See Architecture."""

    elf = 62
    unames = ("x86_64",)
    word = 8
    big = False
    page = 4096
    finit_module = 313

    def phys_base(self, info: VmcoreInfo, loads: Iterable[tuple[int, int]]) -> int:
        """See Architecture: VMCOREINFO's, or else by the PT_LOAD of the kernel's image."""
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

        mem_section lies in the direct map; VMCOREINFO has its address, or that of a pointer to it.
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
    # The walker of the page tables, without any shortcut. Raises SaverError if VMCOREINFO does not
    # tell where they are.
    table = info.symbol("init_top_pgt") or info.need("symbol", "swapper_pg_dir")
    root = table - _KERNEL + number(info, "phys_base")
    levels = 5 if info.number("pgtable_l5_enabled") else 4
    frame = _FRAME & ~(info.number("sme_mask") or 0)

    def decode(entry: int, shift: int) -> tuple[int, int] | None:
        if not entry & _PRESENT:
            return None
        is_leaf = shift == _PAGE_SHIFT or (entry & _LARGE and shift <= _LARGEST)
        return entry & frame, shift if is_leaf else 0

    shifts = range(_PAGE_SHIFT + _INDEX_BITS * (levels - 1), 0, -_INDEX_BITS)
    return walker(read, root, [(shift, _INDEX_BITS) for shift in shifts], decode)


def _is_mapped(walk: Translate, address: int) -> bool:
    try:
        walk(address)
    except (SaverError, OSError):
        return False
    return True


ARCHITECTURE = X86_64()
