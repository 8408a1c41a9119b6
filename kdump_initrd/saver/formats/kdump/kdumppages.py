# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of a kdump-compressed dump, to be filtered, compressed or checked again."""

from __future__ import annotations

import ctypes

from ...low.failure import SaverError
from ...low.selection import bitmap_runs
from ..elf.source import PageSource
from .kdumpcheck import disagreement
from .kdumpformat import DESCRIPTOR_SIZE
from .kdumpread import KdumpDump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Pages that are decompressed at once.
_BATCH = 16


class KdumpPages(PageSource):
    """What an older dump left out is not there; pages that it has lost cannot be read."""

    def __init__(self, dump: KdumpDump) -> None:
        """Count the pages; raises SaverError when there is no memory, OSError.

        Pages without a descriptor in the file are missing.
        """
        self._dump = dump
        geometry = dump.header.geometry
        self.page_size = page = geometry.block
        self.end = geometry.end
        if not self.end:
            raise SaverError("no memory in the dump")
        self._buffer = ctypes.create_string_buffer(_BATCH * page)
        self._here = (0, 0)
        promised = sum([count for _, count in self._bits(geometry.bitmap2)])
        if not promised:
            raise SaverError(dump.damage or "no page is in the dump: its bitmap is empty")
        found = disagreement(dump, promised)
        if found and not dump.damage:
            dump.damage = f"the input is damaged: {found}"
        dump.data = geometry.descriptors + promised * DESCRIPTOR_SIZE
        there = (dump.window.size - geometry.descriptors) // DESCRIPTOR_SIZE
        self.pages = min(promised, there)
        self.missing = promised - self.pages

    def ram(self) -> Iterable[tuple[int, int]]:
        """See PageSource."""
        return self._bits(self._dump.header.geometry.bitmap1)

    def runs(self) -> Iterator[tuple[int, int]]:
        """See PageSource."""
        left = self.pages
        for pfn, count in self._bits(self._dump.header.geometry.bitmap2):
            if count >= left:
                if left:
                    yield pfn, left
                return
            yield pfn, count
            left -= count

    def _bits(self, offset: int) -> Iterator[tuple[int, int]]:
        window = self._dump.window
        return bitmap_runs(window.read, offset, 0, self.end, skip=window.skip)

    def view(self, pfn: int, count: int) -> tuple[int, int]:
        """See PageSource."""
        page, start = self.page_size, ctypes.addressof(self._buffer)
        first, end = self._here
        if first <= pfn < end:
            return start + (pfn - first) * page, min(count, end - pfn)
        good = 0
        for good in range(min(count, _BATCH)):
            data = self.page(pfn + good)
            if data is None:
                break
            ctypes.memmove(start + good * page, data, page)
        else:
            good = min(count, _BATCH)
        self._here = (pfn, pfn + good)
        return (start, good) if good else (0, 0)

    def page(self, pfn: int) -> bytes | None:
        """See PageSource."""
        try:
            return self._dump.page(pfn)
        except (SaverError, OSError):
            return None
