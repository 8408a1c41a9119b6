# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's virtual addresses: where they are in physical memory, and what is there."""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.abi import EM_386, EM_AARCH64, EM_PPC64, EM_RISCV, EM_X86_64
from ..memory.reader import absent
from ..memory.vmcoreinfo import VmcoreInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..memory.reader import Memory

    ReadPhysical = Callable[[int, int], bytes]
    #: From a kernel address to a physical one, and the bytes that follow there without a break.
    Translate = Callable[[int], "tuple[int, int]"]

#: __START_KERNEL_map (arch/x86/include/asm/page_64_types.h)
X86_64_KERNEL = 0xFFFFFFFF80000000
#: KERNEL_IMAGE_SIZE, where VMCOREINFO does not tell.
X86_64_SIZE = 1 << 30
_X86_64_FRAME = 0x000FFFFFFFFFF000
_PRESENT, _LARGE = 1, 0x80
_TABLE = 4096  # bytes of a page table
_AARCH64_BITS = range(36, 53)
#: More than any memory: addresses that only need something added.
_ALL = 1 << 64


class AddressSpace:
    """The kernel's own address space in a dump."""

    def __init__(self, memory: Memory, info: VmcoreInfo) -> None:
        """Raises SaverError for a machine that is not known, or without what it needs."""
        self.memory = memory
        self.locate = _translator(memory, info)

    def read(self, address: int, length: int) -> bytes:
        """Return length bytes; raises SaverError if not all are there, OSError."""
        parts = []
        while length > 0:
            physical, span = self.locate(address)
            piece = min(length, span)
            parts.append(self.memory.read_physical(physical, piece))
            address += piece
            length -= piece
        return b"".join(parts)


def _translator(memory: Memory, info: VmcoreInfo) -> Translate:
    machine = memory.abi.machine
    if machine == EM_X86_64:
        return _x86_64(info, memory.read_physical)
    if machine == EM_AARCH64:
        return _aarch64(info)
    if machine == EM_RISCV:
        return _riscv(info)
    if machine == EM_PPC64:  # the direct map at 0xc000000000000000
        return lambda address: (address & (1 << 60) - 1, _ALL)
    if machine == EM_386:  # lowmem, with the usual 3:1 split
        return lambda address: (address - 0xC0000000, _ALL)
    name = memory.abi.uname() or machine
    raise SaverError(f"kernel addresses of machine {name} are not known")


def _number(info: VmcoreInfo, name: str) -> int:
    value = info.number(name)
    if value is None:
        raise SaverError(f"VMCOREINFO has no NUMBER({name})")
    return value


def _x86_64(info: VmcoreInfo, read: ReadPhysical) -> Translate:
    phys_base = _number(info, "phys_base")
    walk = x86_64_walk(info, read)
    size = info.number("KERNEL_IMAGE_SIZE") or X86_64_SIZE

    def translate(address: int) -> tuple[int, int]:
        inside = address - X86_64_KERNEL
        if 0 <= inside < size:
            return inside + phys_base, size - inside
        return walk(address)

    return translate


def x86_64_walk(info: VmcoreInfo, read: ReadPhysical) -> Translate:
    """Return the function that follows the page tables for every address.

    Raises SaverError without what VMCOREINFO tells of them.
    """
    table = info.symbol("init_top_pgt") or info.need("symbol", "swapper_pg_dir")
    root = table - X86_64_KERNEL + _number(info, "phys_base")
    levels = 5 if info.number("pgtable_l5_enabled") else 4
    frame = _X86_64_FRAME & ~(info.number("sme_mask") or 0)
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


def _aarch64(info: VmcoreInfo) -> Translate:
    # Documentation/arch/arm64/memory.rst: since 5.4 the direct map is the lower half.
    va_bits = _number(info, "VA_BITS")
    actual = 64 - (info.number("TCR_EL1_T1SZ") or 64 - va_bits)
    if va_bits not in _AARCH64_BITS or actual not in _AARCH64_BITS:
        raise SaverError(f"VMCOREINFO: virtual addresses of {va_bits} and {actual} bits")
    physical = _number(info, "PHYS_OFFSET")
    voffset = _number(info, "kimage_voffset")
    stext = info.need("symbol", "_stext")
    page_end = (1 << 64) - (1 << min(va_bits, 48) - 1)
    flipped = stext > page_end
    page_offset = (1 << 64) - (1 << (actual if flipped else actual - 1))

    def translate(address: int) -> tuple[int, int]:
        upper = bool(address >> (actual - 1) & 1)
        if upper is not flipped:
            return address - page_offset + physical, _ALL
        return address - voffset & (1 << 64) - 1, _ALL

    return translate


def _riscv(info: VmcoreInfo) -> Translate:
    base = _number(info, "phys_ram_base")
    page_offset = _number(info, "PAGE_OFFSET") & (1 << 64) - 1
    link = _number(info, "KERNEL_LINK_ADDR") & (1 << 64) - 1
    offset = _number(info, "va_kernel_pa_offset")

    def translate(address: int) -> tuple[int, int]:
        if address >= link:
            return address - offset & (1 << 64) - 1, _ALL
        return address - page_offset + base, _ALL

    return translate
