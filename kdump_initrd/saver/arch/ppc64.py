# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit POWER, of both byte orders: the direct map, vmemmap's own list, radix and hash tables.

Constants are those of arch/powerpc/include/asm/book3s/64, of all kernels since 4.7. Older ones have
other tables, which are not needed: vmemmap_list tells where their struct pages are.
"""

from __future__ import annotations

from ..low.failure import SaverError
from ..low.intervals import Intervals
from ..memory.pagetables import walker
from ..memory.reader import absent
from . import Architecture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

#: PAGE_OFFSET, and the bits below it, which are the physical address (__pa(), asm/page.h).
_DIRECT, _MASK = 0xC000000000000000, (1 << 60) - 1
#: Where the direct map ends, by the size of pages: H_KERN_VIRT_START and RADIX_KERN_VIRT_START.
_END = {4096: 0xC0003D0000000000, 65536: 0xC008000000000000}
#: Where vmemmap, behind it, ends with a hash of 4 KiB pages, and in all other cases: H_VMEMMAP_END,
#: RADIX_VMEMMAP_END. Where older kernels had their regions: VMALLOC_REGION_ID, before Linux 5.2.
_LAST_4K_HASH, _LAST, _OLD = 0xC000400000000000, 0xC00E000000000000, 0xD000000000000000
#: Bits of an index of each level, the last one first, by the size of pages: RADIX_PTE_INDEX_SIZE …
#: (radix-4k.h, radix-64k.h), H_PTE_INDEX_SIZE … (hash-4k.h, hash-64k.h).
_RADIX = {4096: (9, 9, 9, 13), 65536: (5, 9, 9, 13)}
_HASH = {4096: (9, 7, 9, 9), 65536: (8, 10, 10, 8)}
#: An entry, in big-endian order on all machines (asm/pgtable-be-types.h): _PAGE_PRESENT, _PAGE_PTE
#: (it maps memory), and the bits that are not part of a table's address (PMD_MASKED_BITS …).
_PRESENT, _LEAF, _NO_TABLE = 1 << 63, 1 << 62, 0xC0000000000000FF
#: _PAGE_PA_MAX: bits of a physical address in an entry that maps memory.
_ADDRESS_BITS = 53
#: MMU_FTR_TYPE_RADIX in cpu_spec.mmu_features (asm/mmu.h).
_TYPE_RADIX = 0x40
#: MMU_PAGE_COUNT, the number of kinds of pages, and the possible bits of an offset in one.
_KINDS, _SHIFTS = 16, range(12, 40)
#: Blocks begin at a multiple of this, in bytes.
_LEAST = 4096
#: What a block is with radix tables, in bytes (radix__vmemmap_create_mapping).
_RADIX_BLOCK = 2 << 20
#: More blocks than this are damage: 16 TiB of memory have as many, if they are the smallest.
_MOST = 1 << 18


class Ppc64(Architecture):
    """See Architecture."""

    elf = 21
    unames = ("ppc64", "ppc64le")
    word = 8
    finit_module = 353

    def uname(self, big: bool) -> str:
        """See Architecture."""
        return self.unames[0 if big else 1]

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """See Architecture.

        What lies beyond the direct map is looked for when it is needed: the log only needs the
        direct map.
        """
        end = _END.get(info.page_size() or 0, min(_END.values()))
        found: list[Translate | SaverError] = []

        def translate(address: int) -> tuple[int, int]:
            if _DIRECT <= address < end:
                return address & _MASK, end - address
            if not found:
                try:
                    found.append(_beyond(memory, info))
                except SaverError as error:
                    found.append(error)
            further = found[0]
            if isinstance(further, SaverError):
                raise further
            return further(address)

        return translate

    def direct_map(self, memory: Memory, info: VmcoreInfo) -> int:
        """See Architecture; the kernel's image is in it."""
        return _DIRECT


def _beyond(memory: Memory, info: VmcoreInfo) -> Translate:
    # Translates addresses outside of the direct map: vmemmap by its list, if there is one, and all
    # else by page tables.
    blocks = _Blocks(memory, info)
    is_radix = _is_radix(memory, info)
    if is_radix is None and info.symbol("vmemmap_list") is not None and not blocks.places:
        # Linux 6.6 and 6.7: radix has no list any more, and VMCOREINFO does not name the MMU yet.
        is_radix = True
    page = info.page_size() or 0
    # A hash has no blocks of that size.
    with_4k = _LAST if is_radix or blocks.size == _RADIX_BLOCK else _LAST_4K_HASH
    last = {4096: with_4k, 65536: _LAST}.get(page, 0)
    walk: Translate | None = None
    if is_radix is not None and page in _RADIX:
        walk = _walk(memory, info, page, _RADIX[page] if is_radix else _HASH[page])

    def translate(address: int) -> tuple[int, int]:
        if last <= address < _OLD:  # which shows that the size of pages is another
            raise absent("virtual", address)
        found = blocks.find(address)
        if found:
            return found
        if walk is None:
            raise absent("virtual", address)
        return walk(address)

    return translate


def _walk(memory: Memory, info: VmcoreInfo, page: int, bits: tuple[int, ...]) -> Translate:
    shift = page.bit_length() - 1
    levels: list[tuple[int, int]] = []
    for index in bits:
        levels.insert(0, (shift, index))
        shift += index
    frame = (1 << _ADDRESS_BITS) - page

    def decode(entry: int, shift: int) -> tuple[int, int] | None:
        if not entry & _PRESENT:
            return None
        if entry & _LEAF or shift == levels[-1][0]:
            return entry & frame, shift
        return entry & ~_NO_TABLE, 0

    root = info.need("symbol", "swapper_pg_dir") & _MASK
    return walker(memory.read_physical, root, levels, decode, big=True)


def _is_radix(memory: Memory, info: VmcoreInfo) -> bool | None:
    # Whether the MMU uses radix tables or a hash; None if VMCOREINFO does not tell (before 6.8).
    told = info.number("RADIX_MMU")
    if told is not None:
        return bool(told)
    spec, features = info.symbol("cur_cpu_spec"), info.offset("cpu_spec.mmu_features")
    if spec is None or features is None:
        return None
    read, abi = memory.read_physical, memory.abi
    place = abi.long(read(spec & _MASK, abi.word)) + features
    return bool(abi.number(read(place & _MASK, 4), 0, 4) & _TYPE_RADIX)


class _Blocks:
    # vmemmap_list: the addresses of the blocks of vmemmap, which hash page tables lack
    # (arch/powerpc/mm/init_64.c). Blocks that are neighbours in both address spaces are joined.

    def __init__(self, memory: Memory, info: VmcoreInfo) -> None:
        #: (virtual address, end, physical address), ascending.
        self.places: list[tuple[int, int, int]] = []
        #: Bytes of a block, 0 if there is none.
        self.size = 0
        head = info.symbol("vmemmap_list")
        if head is not None:
            self._memory, self._info = memory, info
            first = memory.abi.long(self._read(head, memory.abi.word))
            if first:
                self.size = 1 << self._shift()
                self._follow(first, self.size)
        self.places.sort()
        self._intervals = Intervals([(start, end) for start, end, _ in self.places])

    def _read(self, address: int, length: int) -> bytes:
        return self._memory.read_physical(address & _MASK, length)

    def _shift(self) -> int:
        need, abi = self._info.need, self._memory.abi
        kind = abi.number(self._read(need("symbol", "mmu_vmemmap_psize"), 4), 0, 4)
        place = need("symbol", "mmu_psize_defs") + need("offset", "mmu_psize_def.shift")
        place += kind % _KINDS * need("size", "mmu_psize_def")
        shift = abi.number(self._read(place, 4), 0, 4)
        if kind >= _KINDS or shift not in _SHIFTS:
            raise SaverError(f"vmemmap is in pages of kind {kind}, of 2^{shift} bytes")
        return shift

    def _follow(self, node: int, size: int) -> None:
        need, long, places = self._info.need, self._memory.abi.long, self.places
        length = need("size", "vmemmap_backing")
        names = ("virt_addr", "phys", "list")
        offsets = [need("offset", f"vmemmap_backing.{name}") for name in names]
        word = self._memory.abi.word
        edges = [-word, *sorted(offsets), length]
        if length > 4096 or min([end - at for at, end in zip(edges, edges[1:])]) < word:
            raise SaverError(f"VMCOREINFO: a vmemmap_backing of {length} bytes")
        count, milestone = 0, node
        while node:
            raw = self._read(node, length)
            start, physical, following = [long(raw, at) for at in offsets]
            physical &= _MASK
            if start % size or physical % _LEAST:
                raise SaverError(f"vmemmap_list has a block at {start:#x}, of {physical:#x}")
            if places and (start + size, physical + size) == (places[-1][0], places[-1][2]):
                places[-1] = (start, places[-1][1], physical)
            else:
                places.append((start, start + size, physical))
            count += 1
            # A list that goes in circles comes back to the node at the last power of two.
            if following == milestone or count > _MOST:
                raise SaverError("vmemmap_list has no end")
            if not count & count - 1:
                milestone = node
            node = following

    def find(self, address: int) -> tuple[int, int] | None:
        """Return the physical address, and the bytes from there on; None if it is in no block."""
        for number in self._intervals.touching(address, address + 1):
            start, end, physical = self.places[number]
            return physical + address - start, end - address
        return None


ARCHITECTURE = Ppc64()
