# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit ARM: kernel addresses by the two offsets that VMCOREINFO tells, without page tables."""

from __future__ import annotations

from ..low.failure import SaverError
from . import ALL, Architecture, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

#: Bits of a virtual address that can be true.
_BITS = range(36, 53)


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
        """See Architecture.

        Documentation/arch/arm64/memory.rst: since 5.4 the direct map is the lower half.
        """
        va_bits = number(info, "VA_BITS")
        actual = 64 - (info.number("TCR_EL1_T1SZ") or 64 - va_bits)
        if va_bits not in _BITS or actual not in _BITS:
            raise SaverError(f"VMCOREINFO: virtual addresses of {va_bits} and {actual} bits")
        physical = number(info, "PHYS_OFFSET")
        voffset = number(info, "kimage_voffset")
        stext = info.need("symbol", "_stext")
        page_end = (1 << 64) - (1 << min(va_bits, 48) - 1)
        flipped = stext > page_end
        page_offset = (1 << 64) - (1 << (actual if flipped else actual - 1))

        def translate(address: int) -> tuple[int, int]:
            upper = bool(address >> (actual - 1) & 1)
            if upper is not flipped:
                return address - page_offset + physical, ALL
            return address - voffset & (1 << 64) - 1, ALL

        return translate


ARCHITECTURE = Aarch64()
