# SPDX-License-Identifier: GPL-2.0-or-later
"""From a page frame to its struct page: the sections of Linux's sparse memory model."""

from __future__ import annotations

import ctypes
import struct

from ..arch import of_elf
from ..low.failure import SaverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo

_PRESENT = 1  # SECTION_MARKED_PRESENT, include/linux/mmzone.h
#: The flags below a section's address: five bits, six since Linux 6.15. The address itself is
#: a multiple of more than that.
_FLAGS = 0xFFF
_SECTION_BITS = range(20, 40)
#: Roots times sections of one that are looked at: 2^52 bytes of memory in sections of 128 MiB.
_MAX_ROOTS = 1 << 20
#: Bytes of struct pages that are read, not mapped: the vmemmap of huge pages is in pieces.
_SMALL = 64 << 10


class MemoryMap:
    """Reads struct pages of size bytes."""

    def __init__(
        self,
        memory: Memory,
        info: VmcoreInfo,
        *,
        size: int,
        page_size: int,
        frames: list[int],
    ) -> None:
        """Find the sections; raises SaverError when VMCOREINFO or memory do not tell.

        frames are some of memory, whose sections must be there.
        """
        self._memory = memory
        self._size = size
        self._page_size = page_size
        self._space = of_elf(memory.abi.machine).space(memory, info)
        bits = info.number("SECTION_SIZE_BITS")
        shift = page_size.bit_length() - 1
        if bits not in _SECTION_BITS or bits is None:
            raise SaverError("VMCOREINFO has no NUMBER(SECTION_SIZE_BITS)")
        self.section_pages = 1 << bits - shift
        self._entry = info.need("size", "mem_section")
        self._member = info.need("offset", "mem_section.section_mem_map")
        word = memory.abi.word
        if not word <= self._entry <= 1024 or not 0 <= self._member <= self._entry - word:
            raise SaverError(f"VMCOREINFO: a mem_section of {self._entry} bytes")
        self._per_root = max(1, page_size // self._entry)
        self._bases: dict[int, int] = {}
        # The struct pages that can be seen: first frame, end, and where or what they are.
        self._here: tuple[int, int, int | bytes] = (0, 0, 0)
        self._root: list[int] = []
        self._find_root(info, frames)

    def _find_root(self, info: VmcoreInfo, frames: list[int]) -> None:
        # The symbol is the table of roots, or a pointer to it (VMCOREINFO_SYMBOL of an array or
        # of a pointer): the right one leads to the struct pages of more of the frames.
        address = info.need("symbol", "mem_section")
        count = info.length("mem_section") or 1
        if not 0 < count <= _MAX_ROOTS:
            raise SaverError(f"VMCOREINFO: LENGTH(mem_section) is {count}")
        best, found = 0, self._root
        for table in self._tables(address, count):
            self._root = table
            good = sum([bool(self.read(pfn, 1)) for pfn in frames])
            if good > best:
                best, found = good, table
            self._bases.clear()
            self._here = (0, 0, 0)
        self._root = found
        if not best:
            raise SaverError("no section of memory is where SYMBOL(mem_section) says")

    def _tables(self, address: int, count: int) -> Iterator[list[int]]:
        for _ in range(2):
            yield self._longs(address, count)
            try:
                address = self._memory.abi.long(self._space.read(address, self._memory.abi.word))
            except (SaverError, OSError):
                return

    def _longs(self, address: int, count: int) -> list[int]:
        # A page that is not there counts as zeros: ELF dumps leave out zero pages.
        abi, page = self._memory.abi, self._page_size
        end = address + count * abi.word
        parts = []
        while address < end:
            length = min(end - address, page - address % page)
            try:
                parts.append(self._space.read(address, length))
            except (SaverError, OSError):
                parts.append(bytes(length))
            address += length
        layout = f"{abi.order}{count}{'Q' if abi.word == 8 else 'I'}"
        return list(struct.unpack(layout, b"".join(parts)))

    def _base(self, section: int) -> int:
        # Address of the struct page of frame 0, as if all frames were in this section; 0 without.
        found = self._bases.get(section)
        if found is None:
            self._bases.clear()
            found = self._bases[section] = self._load_base(section)
        return found

    def _load_base(self, section: int) -> int:
        index = section // self._per_root
        root = self._root[index] if index < len(self._root) else 0
        if not root:
            return 0
        place = root + section % self._per_root * self._entry + self._member
        encoded = self._longs(place, 1)[0]
        return encoded & ~_FLAGS if encoded & _PRESENT else 0

    def read(self, pfn: int, count: int) -> bytes:
        """Return the struct pages of count frames at most, at least one; b"" for none there."""
        start, end, place = self._here
        if not start <= pfn < end:
            start, end, place = self._here = self._look(pfn)
            if pfn >= end:
                return self._read_one(pfn)
        at, size = (pfn - start) * self._size, min(count, end - pfn) * self._size
        if isinstance(place, int):
            return ctypes.string_at(place + at, size)
        return place[at : at + size]

    def _look(self, pfn: int) -> tuple[int, int, int | bytes]:
        section = pfn // self.section_pages
        base = self._base(section)
        nothing = (pfn, pfn, 0)
        if not base:
            return nothing
        size = self._size
        rest = (section + 1) * self.section_pages - pfn
        try:
            physical, span = self._space.locate(base + pfn * size & self._memory.abi.mask)
            length = min(span // size, rest) * size
            if length <= _SMALL:
                data = self._memory.read_physical(physical, length)
                return pfn, pfn + length // size, data
            address, seen = self._memory.view_physical(physical, length, size)
        except (SaverError, OSError):
            return nothing
        return pfn, pfn + seen // size, address

    def _read_one(self, pfn: int) -> bytes:
        # Across the border of two pages, or not at all.
        base = self._base(pfn // self.section_pages)
        try:
            return self._space.read(base + pfn * self._size, self._size) if base else b""
        except (SaverError, OSError):
            return b""
