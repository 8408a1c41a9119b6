# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit ARM: pages of three sizes, addresses of 36 to 52 bits, on some CPUs fewer than configured.

Two numbers of VMCOREINFO tell where the direct map is (arch/arm64/kernel/vmcore_info.c). All else,
the kernel's image included, is found by page tables.
"""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.pagetables import walker
from ..memory.reader import absent
from . import Architecture, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..memory.pagetables import Decode, Levels
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

_ALL = (1 << 64) - 1
#: The possible numbers of bits of a virtual address (ARM64_VA_BITS in arch/arm64/Kconfig).
_BITS = range(36, 53)
#: By the bits of an offset in a page: those in the largest block, without and with physical
#: addresses of 52 bits (Arm Architecture Reference Manual, translation table descriptors).
_LARGEST = {12: (30, 39), 14: (25, 36), 16: (29, 42)}
#: The top byte of an address may be a tag; without one, all its bits are as bit 55
#: (__untagged_addr() in arch/arm64/include/asm/memory.h).
_TAG, _UPPER_HALF = 0xFF << 56, 1 << 55
#: The lowest bits of an entry tell what it is (arch/arm64/include/asm/pgtable-hwdef.h): a table,
#: which at the lowest level means a page, or a block.
_KIND, _TABLE, _BLOCK = 3, 3, 1
#: Bytes: the alignment of the image's segments (SEGMENT_ALIGN in memory.h), more than there is of
#: an image before _stext, and more than any image has.
_SEGMENT, _HEAD, _LARGEST_IMAGE = 64 << 10, 2 << 20, 512 << 20


class Aarch64(Architecture):
    """See Architecture."""

    elf = 183
    unames = ("aarch64", "aarch64_be")
    word = 8
    finit_module = 273

    def phys_base(self, info: VmcoreInfo, loads: Iterable[tuple[int, int]]) -> int:
        """See Architecture."""
        return info.number("PHYS_OFFSET") or 0

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """See Architecture."""
        layout = _Layout(info)
        read, big = memory.read_physical, memory.abi.big
        walk = walker(read, layout.root, layout.levels, layout.decode, big=big)
        lowest, signs = layout.lowest, layout.signs
        start, end, offset = layout.start, layout.end, layout.offset

        def translate(address: int) -> tuple[int, int]:
            if address & _UPPER_HALF:
                address |= signs
            if not lowest <= address <= _ALL:
                raise absent("virtual", address)
            if start <= address < end:
                return address - offset & _ALL, end - address
            return walk(address)

        return translate

    def direct_map(self, memory: Memory, info: VmcoreInfo) -> int:
        """See Architecture."""
        return _Layout(info).offset

    def kernel_image(self, memory: Memory, info: VmcoreInfo) -> tuple[int, int, int] | None:
        """See Architecture: all around _stext that is mapped at the same distance as _stext.

        VMCOREINFO does not tell where the image ends. The image has a hole where the code was that
        only the kernel's start needs.
        """
        voffset = number(info, "kimage_voffset")
        stext = info.need("symbol", "_stext")
        locate = self.translator(memory, info)
        place = stext - stext % _SEGMENT - _HEAD
        stop = place + _LARGEST_IMAGE
        start, end = stop, place
        while place < stop:
            try:
                physical, span = locate(place)
            except (SaverError, OSError):
                place += _SEGMENT
                continue
            if physical == place - voffset & _ALL:
                start, end = min(start, place), place + span
            place += span
        return (start, start - voffset & _ALL, end - start) if start < end else None


class _Layout:
    """What VMCOREINFO says of the kernel's addresses.

    root, levels, decode  see walker()
    start, end            the first address of the direct map, and the one after its last
    offset                virtual minus physical address there, modulo 2^64
    lowest                the lowest address that can be the kernel's
    signs                 bits that every kernel address has, but tags and signatures may replace
    """

    def __init__(self, info: VmcoreInfo) -> None:
        bits = number(info, "VA_BITS")
        actual = 64 - (info.number("TCR_EL1_T1SZ") or 64 - bits)
        size = info.page_size() or 0
        page = size.bit_length() - 1
        if bits not in _BITS or not _BITS[0] <= actual <= bits or page not in _LARGEST:
            raise SaverError(
                f"VMCOREINFO: pages of {size} bytes, and {actual} of {bits} bits of addresses"
            )
        self.root = info.need("symbol", "swapper_pg_dir") - number(info, "kimage_voffset") & _ALL
        # Entries have the layout for 52 bits if the CPU has so many (lpa2_is_enabled()). With pages
        # of 64 KiB, the bits that are needed for that are zeros otherwise.
        self.decode = _decoder(page, wide=actual == 52 or page == 16)
        self.levels = _levels(page, bits, actual)
        self.lowest = (1 << 64) - (1 << actual)
        # Tags, and signatures (ptrauth_kernel_pac_mask()).
        self.signs = (_TAG | (info.number("KERNELPACMASK") or 0)) & self.lowest
        physical = number(info, "PHYS_OFFSET") & _ALL
        # CPUs have at least VA_BITS_MIN bits (memory.h).
        fewest = bits if bits <= 48 else 47 if page == 14 else 48
        if info.need("symbol", "_stext") < (1 << 64) - (1 << fewest - 1):
            # Up to Linux 5.3 the direct map is the upper half.
            self.start, self.end = (1 << 64) - (1 << bits - 1), 1 << 64
            self.offset = self.start - physical & _ALL
            return
        self.start, self.end = self.lowest, (1 << 64) - (1 << fewest - 1)
        # PHYS_OFFSET belongs to the first address of the widest CPU; up to Linux 5.9 (commit
        # 7bc1a0f9e176 ("arm64: mm: use single quantity to represent the PA to VA translation"))
        # to that of this one. The direct map contains the kernel's image: this tells them apart.
        widest = (1 << 64) - (1 << bits)
        is_widest = self.start <= widest - physical + self.root & _ALL < self.end
        self.offset = (widest if is_widest else self.start) - physical & _ALL


def _levels(page: int, bits: int, actual: int) -> Levels:
    # A level is left out if the CPU's addresses do not need it (p4d_offset_lockless_folded() in
    # arch/arm64/include/asm/pgtable.h); otherwise the first table is that of the widest CPU.
    step = page - 3
    count = -(-(actual - page) // step)
    is_folded = -(-(bits - page) // step) > count
    shifts = [page + step * level for level in range(count - 1, -1, -1)]
    first = (actual if is_folded else bits) - shifts[0]
    return [(shift, step if shift < shifts[0] else first) for shift in shifts]


def _decoder(page: int, *, wide: bool) -> Decode:
    # The bits of an address that an entry has in their own place, and those that are elsewhere.
    largest, low, high, up = _LARGEST[page][wide], (1 << 48) - (1 << page), 0, 0
    if page == 16:
        high, up = 0xF << 12, 36
    elif wide:
        low, high, up = (1 << 50) - (1 << page), 3 << 8, 42

    def decode(entry: int, shift: int) -> tuple[int, int] | None:
        kind = entry & _KIND
        if kind != _TABLE and not (kind == _BLOCK and page < shift <= largest):
            return None
        is_leaf = kind == _BLOCK or shift == page
        return entry & low | (entry & high) << up, shift if is_leaf else 0

    return decode


ARCHITECTURE = Aarch64()
