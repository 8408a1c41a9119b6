# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the pages of a dump come from: the memory in an ELF core, page by page."""

from __future__ import annotations

import ctypes

from .extents import PIECES, Extents, assemble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .elfcore import ElfCore


class PageSource:
    """Pages of memory by their frames.

    page_size  in bytes
    end        the highest frame + 1
    pages      frames that are there
    missing    pages that the headers promise beyond the end of the file
    """

    page_size: int
    end: int
    pages: int
    missing: int

    def ram(self) -> Iterable[tuple[int, int]]:
        """Return (first frame, count) of all memory, ascending: the first bitmap of a dump."""
        raise NotImplementedError

    def runs(self) -> Iterable[tuple[int, int]]:
        """Return (first frame, count) of the frames that are there, ascending."""
        raise NotImplementedError

    def view(self, pfn: int, count: int) -> tuple[int, int]:
        """Return the address of a page's contents, and how many pages of count follow there.

        They are valid until the next call. No page at all means that the first cannot be read.
        The frames must be there.
        """
        raise NotImplementedError

    def page(self, pfn: int) -> bytes | None:
        """Return a page's contents; None when it cannot be read. For a few pages here and there."""
        raise NotImplementedError


class ElfPages(PageSource):
    """The pages of an ELF core."""

    def __init__(self, core: ElfCore, page_size: int) -> None:
        self._core = core
        self.page_size = page_size
        self._extents = extents = Extents(core, page_size)
        self.end, self.pages, self.missing = extents.end, extents.pages, extents.missing
        self._view = core.window.view
        self._run = (0, 0, 0)
        self._piece = ctypes.create_string_buffer(0)

    def ram(self) -> Iterable[tuple[int, int]]:
        """See PageSource."""
        return self._extents.ram

    def runs(self) -> Iterable[tuple[int, int]]:
        """See PageSource."""
        return [(pfn, count) for pfn, count, _ in self._extents.runs]

    def view(self, pfn: int, count: int) -> tuple[int, int]:
        """See PageSource."""
        first, pages, offset = self._run
        if not first <= pfn < first + pages:
            first, pages, offset = self._run = self._extents.find(pfn)
        page = self.page_size
        if offset == PIECES:
            return self._assembled(pfn)
        skip = pfn - first
        count = min(count, pages - skip)
        address, seen = self._view(offset + skip * page, count * page, page)
        return address, seen // page

    def page(self, pfn: int) -> bytes | None:
        """See PageSource."""
        first, _, offset = self._extents.find(pfn)
        page = self.page_size
        try:
            if offset == PIECES:
                return assemble(self._core, self._extents, pfn=pfn, page_size=page)
            data = self._core.window.read(offset + (pfn - first) * page, page)
        except OSError:
            return None
        return data if len(data) == page else None

    def _assembled(self, pfn: int) -> tuple[int, int]:
        data = self.page(pfn)
        if data is None:
            return 0, 0
        self._piece = ctypes.create_string_buffer(data, self.page_size)
        return ctypes.addressof(self._piece), 1
