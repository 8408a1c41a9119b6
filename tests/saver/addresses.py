# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel addresses by architecture: where each is in memory, and the notes that say so."""

from __future__ import annotations

from .vmcore import I386, PAGE, PPC64, X86_64, Core, Machine

AARCH64 = Machine(8, False, 183)
RISCV64 = Machine(8, False, 243)
#: machine, kernel address and physical address of the ring, VMCOREINFO lines that say so
CASES = {
    "i386 lowmem": (I386, 0xC0100000, 0x100000, ["SYMBOL(swapper_pg_dir)=c0380000"]),
    "ppc64 direct map": (PPC64, 0xC000000000100000, 0x100000, []),
    "x86_64 kernel image": (
        X86_64,
        0xFFFFFFFF82000000,
        0x5000000,
        ["NUMBER(phys_base)=50331648", "SYMBOL(init_top_pgt)=ffffffff81000000"],
    ),
    "aarch64 direct map": (
        AARCH64,
        0xFFFF000000100000,
        0x40100000,
        ["NUMBER(VA_BITS)=48", "NUMBER(TCR_EL1_T1SZ)=0x10", "NUMBER(PHYS_OFFSET)=0x40000000"],
    ),
    "aarch64 kernel image": (
        AARCH64,
        0xFFFF800009000000,
        0x41000000,
        ["NUMBER(VA_BITS)=48", "NUMBER(TCR_EL1_T1SZ)=0x10", "NUMBER(PHYS_OFFSET)=0x40000000"],
    ),
    "riscv64 direct map": (RISCV64, 0xFF60000000100000, 0x80300000, []),
    "riscv64 kernel image": (RISCV64, 0xFFFFFFFF81000000, 0x81200000, []),
}
#: Further lines of VMCOREINFO, by the number of the machine (elf.h).
LATER = {
    183: [
        "SYMBOL(_stext)=ffff800008010000",
        "SYMBOL(swapper_pg_dir)=ffff800009c00000",
        "NUMBER(kimage_voffset)=0xffff7fffc8000000",
    ],
    243: [
        "NUMBER(VA_BITS)=57",
        "NUMBER(phys_ram_base)=0x80200000",
        "NUMBER(PAGE_OFFSET)=0xff60000000000000",
        "NUMBER(KERNEL_LINK_ADDR)=0xffffffff80000000",
        f"NUMBER(va_kernel_pa_offset)={0xFFFFFFFF80000000 - 0x80200000:#x}",
    ],
}
#: Page tables, by the same number: physical address of the first, bytes of an entry, and (index,
#: entry) of the only one of each table; they lie behind each other.
_TABLES = {
    3: (0x380000, 4, [(0x300, 0xE3)]),
    183: (0x41C00000, 8, [(256, 0x41C01003), (0, 0x41C02003), (72, 0x41000701)]),
}


def _entries(number: int) -> list[tuple[int, bytes]]:
    # The entries of the tables that a machine needs, and how far behind the first.
    _, size, found = _TABLES.get(number, (0, 0, []))
    raws = [(index * size, entry.to_bytes(size, "little")) for index, entry in found]
    return [(table * PAGE + at, raw) for table, (at, raw) in enumerate(raws)]


def add_tables(core: Core) -> Core:
    """Put page tables into a core of one of the CASES that needs them, as its first load."""
    found = _entries(core.machine.number)
    raw = bytearray(len(found) * PAGE)
    for at, entry in found:
        raw[at : at + len(entry)] = entry
    return core.load(_TABLES[core.machine.number][0], bytes(raw)) if found else core
