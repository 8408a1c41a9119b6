# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF headers for the memory in a kdump-compressed dump, which has no virtual addresses itself.

They are those of /proc/vmcore: the kernel's image, then the direct map of all memory.
"""

from __future__ import annotations

from ...arch.translate import X86_64_KERNEL, X86_64_SIZE, AddressSpace, x86_64_walk
from ...low.failure import SaverError
from ...memory.abi import EM_X86_64
from .elfcore import MAX_HEADERS, PT_LOAD, ElfCore, Segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...arch.translate import Translate
    from ...crash.facts import Crash
    from .source import PageSource

_READ_WRITE_EXECUTE = 7
#: A large page, by which the kernel's image is mapped.
_LARGE = 2 << 20
#: The direct map of x86_64 begins at a multiple of this, with KASLR or without
#: (kernel_randomize_memory() in arch/x86/mm/kaslr.c), in the upper half of the addresses.
_MAP_ALIGN, _UPPER_HALF = 1 << 30, 1 << 63


def headers_of(crash: Crash, source: PageSource) -> ElfCore | ElfHeaders:
    """Return what an ELF dump of a crash begins with; raises SaverError, OSError."""
    memory = crash.memory
    return memory if isinstance(memory, ElfCore) else ElfHeaders(crash, source)


class ElfHeaders:
    """What an ELF dump takes from an ElfCore, for another dump: ident, abi, flags, loads, notes."""

    flags = 0

    def __init__(self, crash: Crash, source: PageSource) -> None:
        """Find the addresses; raises SaverError where the dump does not tell them, OSError."""
        memory = crash.memory
        self.abi, self.notes = memory.abi, memory.notes
        self.ident = b"\x7fELF\2\1\1".ljust(16, b"\0")
        try:
            if self.abi.machine != EM_X86_64:
                raise SaverError(f"{self.abi.uname() or 'this machine'} is not known that well")
            offset = _page_offset(crash)
        except SaverError as error:
            raise SaverError(
                f"ELF needs virtual addresses, which this dump lacks: {error}"
            ) from None
        self.loads = _image(crash)
        for pfn, count in source.ram():
            start, size = pfn * source.page_size, count * source.page_size
            self.loads.append(_load(start + offset, start, size))
            if len(self.loads) >= MAX_HEADERS:
                raise SaverError("memory in more pieces than an ELF dump can have")


def _load(vaddr: int, paddr: int, size: int) -> Segment:
    return Segment((PT_LOAD, _READ_WRITE_EXECUTE, 0, vaddr, paddr, size, size, 0), 8)


def _page_offset(crash: Crash) -> int:
    # mem_section lies in the direct map; VMCOREINFO tells its address, or that of the pointer.
    space = AddressSpace(crash.memory, crash.info)
    address = crash.info.need("symbol", "mem_section")
    for _ in range(2):
        physical, _ = space.locate(address)
        offset = address - physical
        if _UPPER_HALF <= address < X86_64_KERNEL and offset % _MAP_ALIGN == 0:
            return offset
        address = crash.memory.abi.long(space.read(address, crash.memory.abi.word))
    raise SaverError("SYMBOL(mem_section) does not lead to the direct map")


def _image(crash: Crash) -> list[Segment]:
    # The large pages from the first to the last that is mapped there.
    walk = x86_64_walk(crash.info, crash.memory.read_physical)
    size = min(crash.info.number("KERNEL_IMAGE_SIZE") or X86_64_SIZE, X86_64_SIZE)
    places = range(X86_64_KERNEL, X86_64_KERNEL + size, _LARGE)
    found = [address for address in places if _is_mapped(walk, address)]
    if not found:
        return []
    return [_load(found[0], walk(found[0])[0], found[-1] + _LARGE - found[0])]


def _is_mapped(walk: Translate, address: int) -> bool:
    try:
        walk(address)
    except (SaverError, OSError):
        return False
    return True
