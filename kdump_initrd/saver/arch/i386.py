# SPDX-License-Identifier: GPL-2.0-or-later
"""32-bit x86: page tables of two levels, or of three with PAE, for lowmem as for all else."""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.pagetables import walker
from ..memory.reader import absent
from . import Architecture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.pagetables import Decode
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

#: PAGE_OFFSET, where lowmem begins, for each split between programs and the kernel in
#: arch/x86/Kconfig (VMSPLIT_…), the usual one first.
_SPLITS = (0xC0000000, 0x80000000, 0xB0000000, 0x78000000, 0x40000000)
#: Levels, see walker(); bits of an offset in the largest page; bytes of an entry; mask of the
#: address in it (arch/x86/include/asm/pgtable-2level_types.h, pgtable-3level_types.h).
_PLAIN = ((22, 10), (12, 10)), 22, 4, 0xFFFFF000
_PAE = ((30, 2), (21, 9), (12, 9)), 21, 8, 0x000FFFFFFFFFF000
#: Bits of an entry (arch/x86/include/asm/pgtable_types.h), and of the offset in a page.
_PRESENT, _LARGE, _PAGE = 1, 0x80, 12


class I386(Architecture):
    """See Architecture."""

    elf = 3
    unames = ("i686", "i586", "i486", "i386")
    word = 4
    big = False
    packed = True
    page = 4096
    finit_module = 350

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """See Architecture."""
        _, walk = _find(memory, info)

        def translate(address: int) -> tuple[int, int]:
            if address >> 32:
                raise absent("virtual", address)
            return walk(address)

        return translate

    def direct_map(self, memory: Memory, info: VmcoreInfo) -> int:
        """See Architecture."""
        return _find(memory, info)[0]

    def direct_end(self, memory: Memory, info: VmcoreInfo) -> int:
        """See Architecture: where the contiguous mapping of lowmem ends; the rest is highmem."""
        split, walk = _find(memory, info)
        address = split
        while address < 1 << 32:
            try:
                physical, span = walk(address)
            except (SaverError, OSError):
                break
            if physical != address - split:
                break
            address += span
        return address - split


def _find(memory: Memory, info: VmcoreInfo) -> tuple[int, Translate]:
    # Where lowmem begins, and the walker of the page tables. The first table is in lowmem: with the
    # right split, the tables say that they are where they were read.
    symbol = info.need("symbol", "swapper_pg_dir")
    levels, largest, size, frame = _PAE if info.text("CONFIG_X86_PAE") == "y" else _PLAIN
    decode = _decoder(largest, frame)
    for split in _SPLITS:
        root = symbol - split
        walk = walker(memory.read_physical, root, levels, decode, size=size)
        try:
            if root >= 0 and walk(symbol)[0] == root:
                return split, walk
        except (SaverError, OSError):
            continue
    raise SaverError(f"no page tables are where SYMBOL(swapper_pg_dir)={symbol:x} says")


def _decoder(largest: int, frame: int) -> Decode:
    def decode(entry: int, shift: int) -> tuple[int, int] | None:
        if not entry & _PRESENT:
            return None
        is_leaf = shift == _PAGE or (entry & _LARGE and shift == largest)
        return entry & frame, shift if is_leaf else 0

    return decode


ARCHITECTURE = I386()
