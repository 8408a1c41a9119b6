# SPDX-License-Identifier: GPL-2.0-or-later
"""32-bit x86: memory that the kernel always sees, without page tables."""

from __future__ import annotations

from . import ALL, Architecture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

#: PAGE_OFFSET with the usual split, three gigabytes for programs and one for the kernel.
_LOWMEM = 0xC0000000


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
        return lambda address: (address - _LOWMEM, ALL)


ARCHITECTURE = I386()
