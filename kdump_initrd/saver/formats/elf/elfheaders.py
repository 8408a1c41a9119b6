# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF headers for the memory in a kdump-compressed dump, which has no virtual addresses itself.

They are those of /proc/vmcore: the kernel's image, then the direct map of all memory.
"""

from __future__ import annotations

from ...arch import of_elf
from ...low.failure import SaverError
from .elfcore import MAX_HEADERS, PT_LOAD, ElfCore, Segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...crash.facts import Crash
    from .source import PageSource

_READ_WRITE_EXECUTE = 7


def headers_of(crash: Crash, source: PageSource) -> ElfCore | ElfHeaders:
    """Return what an ELF dump of a crash begins with; raises SaverError, OSError."""
    memory = crash.memory
    return memory if isinstance(memory, ElfCore) else ElfHeaders(crash, source)


class ElfHeaders:
    """Stands for the ElfCore of an ELF dump whose input is another dump: all but the window."""

    flags = 0

    def __init__(self, crash: Crash, source: PageSource) -> None:
        """Find the addresses; raises SaverError where the dump does not tell them, OSError."""
        memory, info = crash.memory, crash.info
        architecture = of_elf(memory.abi.machine)
        try:
            offset = architecture.direct_map(memory, info)
            end = architecture.direct_end(memory, info)
            image = architecture.kernel_image(memory, info)
        except SaverError as error:
            raise SaverError(
                f"ELF needs virtual addresses, which this dump lacks: {error}"
            ) from None
        self.notes = memory.notes
        # As kexec-tools decides (get_core_type() in kexec/arch/i386/crashdump-x86.c).
        is_far = source.end * source.page_size > 1 << 32
        self.headers = abi = architecture.abi(8 if is_far else memory.abi.word, memory.abi.big)
        kind = bytes((abi.word // 4, 2 if abi.big else 1, 1))
        self.ident = (b"\x7fELF" + kind).ljust(16, b"\0")
        self.loads = [_load(*image)] if image else []
        for pfn, count in source.ram():
            start, stop = pfn * source.page_size, (pfn + count) * source.page_size
            middle = min(max(start, end), stop)
            if start < middle:
                self.loads.append(_load(start + offset & memory.abi.mask, start, middle - start))
            if middle < stop:  # without a virtual address
                self.loads.append(_load(abi.mask, middle, stop - middle))
            if len(self.loads) >= MAX_HEADERS:
                raise SaverError("memory in more pieces than an ELF dump can have")


def _load(vaddr: int, paddr: int, size: int) -> Segment:
    return Segment((PT_LOAD, _READ_WRITE_EXECUTE, 0, vaddr, paddr, size, size, 0), 8)
