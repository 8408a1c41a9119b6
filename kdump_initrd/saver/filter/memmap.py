# SPDX-License-Identifier: GPL-2.0-or-later
"""Struct pages, by their page frames."""

from __future__ import annotations

import ctypes

from ..arch import of_elf
from ..low.failure import SaverError
from .models import models

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from .models import Model

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
        """Find them; raises SaverError when VMCOREINFO or memory do not tell where, OSError.

        frames are some that memory has: struct pages are where most of theirs are found. page_size
        is that of the dump, in bytes.
        """
        self._memory = memory
        self._size = size
        self._space = of_elf(memory.abi.machine).space(memory, info)
        # Where struct pages are, in the kernel's addresses: first frame, end, and base of Model.
        self._base: tuple[int, int, int] = (0, 0, 0)
        # The struct pages that can be seen: first frame, end, and where or what they are.
        self._here: tuple[int, int, int | bytes] = (0, 0, 0)
        self._model: Model | None = None
        # Why the last of them could not be read.
        self._reason = ""
        best, found = 0, None
        for model in models(self._space, info, size=size, page_size=page_size):
            self._model = model
            self._base = self._here = (0, 0, 0)
            good = sum([bool(self.read(pfn, 1)) for pfn in frames])
            self._reason = self._reason or model.reason
            if good > best:
                best, found = good, model
        if found is None:
            reason = f": {self._reason}" if self._reason else ""
            raise SaverError(f"no struct pages are where VMCOREINFO says{reason}")
        self._model = found
        self._base = self._here = (0, 0, 0)

    def read(self, pfn: int, count: int) -> bytes:
        """Return the struct pages of up to count frames; b"" if the first frame has none."""
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
        base, end = self._span(pfn)
        nothing = (pfn, pfn, 0)
        if not base:
            return nothing
        size = self._size
        try:
            physical, span = self._space.locate(base + pfn * size & self._memory.abi.mask)
            length = min(span // size, end - pfn) * size
            if length <= _SMALL:
                data = self._memory.read_physical(physical, length)
                return pfn, pfn + length // size, data
            address, seen = self._memory.view_physical(physical, length, size)
        except (SaverError, OSError) as error:
            self._reason = str(error)
            return nothing
        return pfn, pfn + seen // size, address

    def _span(self, pfn: int) -> tuple[int, int]:
        start, end, base = self._base
        if not start <= pfn < end:
            assert self._model
            base, end = self._model.span(pfn)
            self._base = pfn, end, base
        return base, end

    def _read_one(self, pfn: int) -> bytes:
        # One that crosses the border of two pages, or is not there at all.
        base, _ = self._span(pfn)
        if not base:
            return b""
        try:
            return self._space.read(base + pfn * self._size & self._memory.abi.mask, self._size)
        except (SaverError, OSError):
            return b""
