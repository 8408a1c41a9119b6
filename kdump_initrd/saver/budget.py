# SPDX-License-Identifier: GPL-2.0-or-later
"""How much room a dump may take, and how much it will: before its first byte is written."""

from __future__ import annotations

import ctypes
import os

from .libc import memcmp
from .zeros import zeros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .codec.library import Codec
    from .selection import Selection
    from .source import PageSource

#: Pages that are compressed to learn how large all will be.
_SAMPLE = 128


def room(path: str, keep_free: int) -> int:
    """Return the bytes that a new file may take; keep_free is in per cent of the file system.

    Raises OSError.
    """
    info = os.statvfs(path)
    size = info.f_frsize or info.f_bsize
    return max(0, info.f_bavail * size - info.f_blocks * size * keep_free // 100)


class Forecast:
    """The size of the pages' contents in a dump: least and most are bytes, nearly certain."""

    def __init__(
        self, source: PageSource, selection: Selection, codec: Codec | None, *, zero_free: bool
    ) -> None:
        """Compress a sample; zero_free says that zero pages take nothing."""
        sizes = [_stored(source, pfn, codec, zero_free) for pfn in sample(selection, _SAMPLE)]
        self.least = self.most = 0
        if sizes:
            mean = sum(sizes) / len(sizes)
            variance = sum([(size - mean) ** 2 for size in sizes]) / len(sizes)
            error = 2 * (variance / len(sizes)) ** 0.5
            self.least = int(max(0, mean - error) * selection.pages)
            self.most = int((mean + error) * selection.pages)


def sample(selection: Selection, count: int) -> list[int]:
    """Return frames of a selection, some from each part of it, ascending: count or fewer."""
    ranges = selection.ranges
    each = -(-count // ranges) if ranges else 0
    found: list[int] = []
    for number in range(0, ranges, max(1, -(-ranges // count))):
        pfn, end, _ = selection.range(number)
        runs = list(selection.runs(pfn, end))
        pages = sum([length for _, length in runs])
        wanted = [pages * step // each for step in range(min(each, pages))]
        before = 0
        for first, length in runs:
            while wanted and wanted[0] < before + length:
                found.append(first + wanted.pop(0) - before)
            before += length
    return found


def _stored(source: PageSource, pfn: int, codec: Codec | None, zero_free: bool) -> int:
    page = source.page_size
    address, seen = source.view(pfn, 1)
    if not seen:
        return 0
    if zero_free and not memcmp(address, zeros(page), page):
        return 0
    if codec is None:
        return page
    buffer = ctypes.create_string_buffer(max(codec.room(page), page))
    size = codec.compress(address, page, ctypes.addressof(buffer), len(buffer))
    return min(size, page)
