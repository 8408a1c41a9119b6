# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit s390 (IBM Z): the kernel's image, and region, segment and page tables for all else.

A vmcore has absolute addresses. Each processor sees its own prefix area at address 0, but that does
not change the order of a vmcore: there the area is where its memory was allocated (lowcore_ptr),
and absolute zero is at 0 (copy_oldmem_iter() in arch/s390/kernel/crash_dump.c, which also undoes
that the capture kernel has swapped places with the start of memory). So nothing is swapped here.
"""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.pagetables import walker
from ..memory.reader import absent
from . import Architecture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

#: All from arch/s390/include/asm/pgtable.h: three kinds of region tables, a segment table and a
#: page table, each with the lowest bit of its index in an address, and the bits of that index.
_LEVELS = [(53, 11), (42, 11), (31, 11), (20, 11), (12, 8)]
_SEGMENT, _REGION3, _PAGE = 20, 31, 12
#: Bits of entries: invalid, in page tables and in others; a page of 1 MiB or 2 GiB; the kind of
#: table that the entry is in (0 for segments, 1 to 3 for regions).
_PAGE_INVALID, _INVALID, _LARGE, _KIND = 0x400, 0x20, 0x400, 0x0C
#: KERNEL_IMAGE_SIZE (asm/page.h).
_IMAGE_SIZE = 512 << 20
_GRANULE = 1 << _PAGE


class S390x(Architecture):
    """See Architecture."""

    elf = 22
    unames = ("s390x", "s390")
    word = 8
    big = True
    page = 4096
    finit_module = 344

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """See Architecture."""
        image = _Image(info)
        walk = _walker(memory, image.physical(info.need("symbol", "swapper_pg_dir")))
        start, end = image.start, image.start + (_IMAGE_SIZE if image.start else 0)

        def translate(address: int) -> tuple[int, int]:
            if start <= address < end:
                return address - start + image.place, end - address
            return walk(address)

        return translate

    def direct_map(self, memory: Memory, info: VmcoreInfo) -> int:
        """See Architecture."""
        return _Image(info).identity

    def kernel_image(self, memory: Memory, info: VmcoreInfo) -> tuple[int, int, int] | None:
        """See Architecture: what is mapped there without a break, from _stext on."""
        image = _Image(info)
        if not image.start:
            return None
        walk = _walker(memory, image.physical(info.need("symbol", "swapper_pg_dir")))
        start = address = info.need("symbol", "_stext") & -_GRANULE
        try:
            while address < image.start + _IMAGE_SIZE:
                place, size = walk(address)
                if place != image.physical(address):
                    break
                address += size
        except SaverError:
            pass
        if address == start:
            raise SaverError("the kernel's image is not where SYMBOL(_stext) says")
        return start, image.physical(start), address - start


class _Image:
    # Where the kernel's image is: start is its virtual address, place the physical one; and
    # identity, the virtual address of the identity mapping. Before Linux 6.10 all are 0: the image
    # is in that mapping, in which addresses are physical ones.

    def __init__(self, info: VmcoreInfo) -> None:
        self.identity = self.start = self.place = 0
        if info.text("IDENTITYBASE") or info.text("KERNELOFFPHYS"):
            self.identity, self.start, self.place = [
                info.address(name) for name in ("IDENTITYBASE", "KERNELOFFSET", "KERNELOFFPHYS")
            ]

    def physical(self, symbol: int) -> int:
        # __pa() of asm/page.h
        if symbol < self.start or not self.start:
            return symbol - self.identity
        return symbol - self.start + self.place


def _walker(memory: Memory, root: int) -> Translate:
    # Each entry of the first table tells what kind of table it is, even an invalid one.
    kind = memory.abi.long(memory.read_physical(root, 8)) & _KIND
    levels = _LEVELS[3 - kind // 4 :]
    top = sum(levels[0])

    def decode(entry: int, shift: int) -> tuple[int, int] | None:
        if shift == _PAGE:
            return None if entry & _PAGE_INVALID else (entry & -_GRANULE, shift)
        if entry & _INVALID or (entry & _KIND) // 4 * 11 + _SEGMENT != shift:
            return None
        if entry & _LARGE and shift in (_SEGMENT, _REGION3):
            return entry, shift
        # A page table takes half a page; all other tables begin at whole pages.
        return entry & -(_GRANULE // 2 if shift == _SEGMENT else _GRANULE), 0

    walk = walker(memory.read_physical, root, levels, decode, big=True)

    def translate(address: int) -> tuple[int, int]:
        if address >> top:
            raise absent("virtual", address)
        return walk(address)

    return translate


ARCHITECTURE = S390x()
