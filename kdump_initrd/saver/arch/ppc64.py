# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit POWER, of both byte orders: the direct map, without page tables."""

from __future__ import annotations

from . import ALL, Architecture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from . import Translate

#: The direct map begins at 0xc000000000000000.
_MASK = (1 << 60) - 1


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
        """See Architecture."""
        return lambda address: (address & _MASK, ALL)


ARCHITECTURE = Ppc64()
