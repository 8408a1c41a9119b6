# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel addresses to physical ones, for dumps that have no virtual addresses in their headers."""

from __future__ import annotations

from .abi import EM_386, EM_AARCH64, EM_PPC64, EM_RISCV, EM_X86_64, Abi
from .failure import SaverError
from .memory import absent
from .vmcoreinfo import VmcoreInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    ReadPhysical = Callable[[int, int], bytes]
    Translate = Callable[[int], int]

#: __START_KERNEL_map (arch/x86/include/asm/page_64_types.h)
X86_64_KERNEL = 0xFFFFFFFF80000000
_X86_64_FRAME = 0x000FFFFFFFFFF000
_PRESENT, _LARGE = 1, 0x80


def translator(abi: Abi, info: VmcoreInfo, read: ReadPhysical) -> Translate:
    """Return the function from a kernel address to a physical one.

    It raises SaverError for an address that is not mapped; so does this function for a machine
    that it does not know, or without the VMCOREINFO that the machine needs.
    """
    if abi.machine == EM_X86_64:
        return _x86_64(info, read)
    if abi.machine == EM_AARCH64:
        return _aarch64(info)
    if abi.machine == EM_RISCV:
        return _riscv(info)
    if abi.machine == EM_PPC64:
        return lambda address: address & (1 << 60) - 1  # the direct map at 0xc000000000000000
    if abi.machine == EM_386:
        return lambda address: address - 0xC0000000  # lowmem, with the usual 3:1 split
    raise SaverError(f"kernel addresses of machine {abi.uname() or abi.machine} are not known")


def _number(info: VmcoreInfo, name: str) -> int:
    value = info.number(name)
    if value is None:
        raise SaverError(f"VMCOREINFO has no NUMBER({name})")
    return value


def _x86_64(info: VmcoreInfo, read: ReadPhysical) -> Translate:
    phys_base = _number(info, "phys_base")
    table = info.symbol("init_top_pgt") or info.need("symbol", "swapper_pg_dir")
    root = table - X86_64_KERNEL + phys_base
    levels = 5 if info.number("pgtable_l5_enabled") else 4
    frame = _X86_64_FRAME & ~(info.number("sme_mask") or 0)
    size = info.number("KERNEL_IMAGE_SIZE") or 1 << 30

    def translate(address: int) -> int:
        if 0 <= address - X86_64_KERNEL < size:
            return address - X86_64_KERNEL + phys_base
        base = root
        for level in range(levels - 1, -1, -1):
            shift = 12 + 9 * level
            entry = int.from_bytes(read(base + (address >> shift & 511) * 8, 8), "little")
            if not entry & _PRESENT:
                raise absent("virtual", address)
            if level == 0 or (entry & _LARGE and level < 3):
                offset = (1 << shift) - 1
                return (entry & frame & ~offset) + (address & offset)
            base = entry & frame
        raise absent("virtual", address)

    return translate


def _aarch64(info: VmcoreInfo) -> Translate:
    # Documentation/arch/arm64/memory.rst: since 5.4 the direct map is the lower half.
    va_bits = _number(info, "VA_BITS")
    actual = 64 - (info.number("TCR_EL1_T1SZ") or 64 - va_bits)
    physical = _number(info, "PHYS_OFFSET")
    voffset = _number(info, "kimage_voffset")
    stext = info.need("symbol", "_stext")
    page_end = (1 << 64) - (1 << min(va_bits, 48) - 1)
    flipped = stext > page_end
    page_offset = (1 << 64) - (1 << (actual if flipped else actual - 1))

    def translate(address: int) -> int:
        upper = bool(address >> (actual - 1) & 1)
        if upper is not flipped:
            return address - page_offset + physical
        return address - voffset & (1 << 64) - 1

    return translate


def _riscv(info: VmcoreInfo) -> Translate:
    base = _number(info, "phys_ram_base")
    page_offset = _number(info, "PAGE_OFFSET") & (1 << 64) - 1
    link = _number(info, "KERNEL_LINK_ADDR") & (1 << 64) - 1
    offset = _number(info, "va_kernel_pa_offset")

    def translate(address: int) -> int:
        if address >= link:
            return address - offset & (1 << 64) - 1
        return address - page_offset + base

    return translate
