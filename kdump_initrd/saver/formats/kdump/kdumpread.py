# SPDX-License-Identifier: GPL-2.0-or-later
"""The reader of kdump-compressed dumps: memory by address, pages decompressed as needed."""

from __future__ import annotations

import ctypes
import struct

from ...arch import of_elf
from ...codec.opening import open_by_flag
from ...low.bitmap import count_ones
from ...low.failure import SaverError
from ...memory.notes import Notes
from ...memory.reader import Memory, absent
from ...memory.vmcoreinfo import VmcoreInfo
from .kdumpformat import DESCRIPTOR, DESCRIPTOR_SIZE, Header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...arch import AddressSpace
    from ...codec.library import Codec
    from ...memory.window import Window

#: Bytes of bitmap between two known counts of set bits, and how many are counted at once.
_STEP, _LOOK = 4096, 64 << 10
_NOTHING = bytes(_LOOK)
#: Decompressed pages that are kept.
_PAGES = 32
#: Bytes of physical memory that are shown at once.
_VIEW = 256 << 10


class KdumpDump(Memory):
    """A dump of header version 6 or newer, in a window.

    header is what its headers say, layout that of a page descriptor, data the offset before which
    there is no page's content, if that is known.
    """

    data = 1

    def __init__(self, window: Window) -> None:
        """Read the headers; raises SaverError when they make no sense, OSError."""
        self.window = window
        self.header = Header(window.read(0, 4096), window.read)
        self.abi = self.header.abi
        self.page_size = self.header.geometry.block
        self.level = self.header.level
        self._geometry = self.header.geometry
        if self.header.damage:
            self.damage = f"the input is damaged: {self.header.damage}"
        if self._geometry.end and self._geometry.descriptors > window.size:
            raise SaverError("truncated: the dump's bitmaps are not complete")
        offset, size = self.header.notes
        size = max(0, min(size, window.size - offset)) if offset > 0 else 0
        self.notes = Notes(window.read, [(offset, size)], abi=self.abi)
        self._counts = [0]
        self._codecs: dict[int, Codec] = {}
        self._pages: dict[int, bytes] = {}
        self._view: ctypes.Array[ctypes.c_char] | None = None
        self._space: AddressSpace | None = None
        self.layout = struct.Struct(self.abi.order + DESCRIPTOR)

    def close(self) -> None:
        """Close the file."""
        self.window.close()

    def read_physical(self, address: int, length: int) -> bytes:
        """Return length bytes of physical memory; raises SaverError if not all are there."""
        page = self._geometry.block
        parts = []
        while length > 0:
            skip = address % page
            part = self._page(address // page)[skip : skip + length]
            parts.append(part)
            address += len(part)
            length -= len(part)
        return b"".join(parts)

    def read_virtual(self, address: int, length: int) -> bytes:
        """Return length bytes of the kernel's memory; raises SaverError if not all are there."""
        if self._space is None:
            info = VmcoreInfo(self.notes.vmcoreinfo)
            self._space = of_elf(self.abi.machine).space(self, info)
        return self._space.read(address, length)

    def __str__(self) -> str:
        return f"a dump of level {self.level}"

    def view_physical(self, address: int, length: int, unit: int) -> tuple[int, int]:
        """See Memory."""
        page = self._geometry.block
        if self._view is None:
            self._view = ctypes.create_string_buffer(_VIEW)
        length = min(length, _VIEW)
        seen = 0
        while seen < length:
            try:
                piece = min(length - seen, page - (address + seen) % page)
                data = self.read_physical(address + seen, piece)
            except SaverError:
                break
            ctypes.memmove(ctypes.addressof(self._view) + seen, data, piece)
            seen += piece
        return ctypes.addressof(self._view), seen - seen % unit

    def page(self, pfn: int) -> bytes | None:
        """Return a page's contents; None when it was lost as the dump was written.

        Raises SaverError when it is not in the dump, or damaged.
        """
        return self._load(pfn)

    def _page(self, pfn: int) -> bytes:
        found = self._pages.pop(pfn, None)
        if found is None:
            found = self._load(pfn)
            if found is None:
                place = f"page at {pfn * self._geometry.block:#x}"
                raise SaverError(f"{place} was lost when the dump was written")
            if len(self._pages) >= _PAGES:
                del self._pages[next(iter(self._pages))]
        self._pages[pfn] = found
        return found

    def _load(self, pfn: int) -> bytes | None:
        geometry = self._geometry
        index = self._index(pfn)
        raw = self.window.read(geometry.descriptors + index * DESCRIPTOR_SIZE, DESCRIPTOR_SIZE)
        if len(raw) < DESCRIPTOR_SIZE:
            raise SaverError("truncated: the dump's page descriptors are not complete")
        offset, size, flags, _ = self.layout.unpack(raw)
        place = f"page at {pfn * geometry.block:#x}"
        if offset == 0:
            return None
        if size > geometry.block or offset < self.data:
            raise SaverError(f"{place}: damaged descriptor ({size} bytes at {offset})")
        if not self.window.has(offset, size):
            raise SaverError(f"{place}: no record of the flattened dump has it")
        data = self.window.read(offset, size)
        if len(data) < size:
            raise SaverError(f"truncated: {place} is beyond the end of the dump")
        if flags:
            data = self._decompress(data, flags)
        if len(data) != geometry.block:
            raise SaverError(f"{place}: {len(data)} bytes instead of {geometry.block}")
        return data

    def _decompress(self, data: bytes, flags: int) -> bytes:
        size = self._geometry.block
        if flags not in self._codecs:
            self._codecs[flags] = open_by_flag(flags, size)
        source = ctypes.create_string_buffer(data, len(data))
        target = ctypes.create_string_buffer(size)
        addresses = ctypes.addressof(source), ctypes.addressof(target)
        count = self._codecs[flags].decompress(addresses[0], len(data), addresses[1], size)
        return target.raw[:count]

    def _index(self, pfn: int) -> int:
        # The descriptor of a frame: the set bits of the second bitmap below it.
        geometry = self._geometry
        byte = pfn >> 3
        if not 0 <= pfn < geometry.end:
            raise absent("physical", pfn * geometry.block)
        step = byte // _STEP
        while len(self._counts) <= step:
            self._count()
        start = step * _STEP
        data = self.window.read(geometry.bitmap2 + start, byte - start + 1)
        if len(data) < byte - start + 1:
            raise SaverError("truncated: the dump's bitmaps are not complete")
        if not data[-1] >> (pfn & 7) & 1:
            raise absent("physical", pfn * geometry.block)
        below = bytes((data[-1] & (1 << (pfn & 7)) - 1,))
        return self._counts[step] + count_ones(data[:-1] + below)

    def _count(self) -> None:
        # Count the bits of some more steps.
        counts = self._counts
        before = counts[-1]
        at = self._geometry.bitmap2 + (len(counts) - 1) * _STEP
        hole = min(self.window.skip(at), self._geometry.descriptors) - at
        if hole >= _STEP:
            counts += [before] * (hole // _STEP)
            return
        data = self.window.read(at, _LOOK)
        if data == _NOTHING:  # where there is no memory
            counts += [before] * (_LOOK // _STEP)
            return
        for at in range(0, _LOOK, _STEP):
            before += count_ones(data[at : at + _STEP])
            counts.append(before)
