# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel addresses by architecture: where each is in memory, and the notes that say so."""

from __future__ import annotations

from .vmcore import I386, PPC64, X86_64, Machine

AARCH64 = Machine(8, False, 183)
RISCV64 = Machine(8, False, 243)
#: machine, kernel address and physical address of the ring, VMCOREINFO lines that say so
CASES = {
    "i386 lowmem": (I386, 0xC0100000, 0x100000, []),
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
    183: ["SYMBOL(_stext)=ffff800008010000", "NUMBER(kimage_voffset)=0xffff7fffc8000000"],
    243: [
        "NUMBER(phys_ram_base)=0x80200000",
        "NUMBER(PAGE_OFFSET)=0xff60000000000000",
        "NUMBER(KERNEL_LINK_ADDR)=0xffffffff80000000",
        f"NUMBER(va_kernel_pa_offset)={0xFFFFFFFF80000000 - 0x80200000:#x}",
    ],
}
