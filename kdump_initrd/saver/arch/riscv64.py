# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit RISC-V: kernel addresses by the offsets that VMCOREINFO tells, without page tables."""

from __future__ import annotations

from . import ALL, Architecture, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

_MASK = (1 << 64) - 1


class Riscv64(Architecture):
    """See Architecture."""

    elf = 243
    unames = ("riscv64", "riscv*")
    word = 8
    big = False
    page = 4096
    finit_module = 273

    def phys_base(self, info: VmcoreInfo, loads: Iterable[tuple[int, int]]) -> int:
        """See Architecture."""
        return info.number("phys_ram_base") or 0

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """See Architecture."""
        base = number(info, "phys_ram_base")
        page_offset = number(info, "PAGE_OFFSET") & _MASK
        link = number(info, "KERNEL_LINK_ADDR") & _MASK
        offset = number(info, "va_kernel_pa_offset")

        def translate(address: int) -> tuple[int, int]:
            if address >= link:
                return address - offset & _MASK, ALL
            return address - page_offset + base, ALL

        return translate


ARCHITECTURE = Riscv64()
