# SPDX-License-Identifier: GPL-2.0-or-later
"""How much room a dump will take, before its first byte is written."""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..codec.library import Codec
    from ..formats.elf.source import PageSource
    from ..low.selection import Selection

#: Pages that are compressed to learn how large all will be.
_SAMPLE = 128
#: The golden ratio times 65536: its multiples, modulo 65536, are spread evenly.
_GOLDEN = 40503


class Forecast:
    """An estimate of the pages' contents in a dump: almost certainly from least to most bytes."""

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
    """Return frames of a selection, some from each part of it, ascending: count or fewer.

    Their distances are irregular: no pattern in the use of memory can distort the sample.
    """
    ranges = selection.ranges
    each = max(1, count // ranges) if ranges else 0
    found: list[int] = []
    for number in range(0, ranges, max(1, -(-ranges // count))):
        pfn, end, _ = selection.range(number)
        runs = list(selection.runs(pfn, end))
        pages = sum([length for _, length in runs])
        parts = min(each, pages)
        shift = number * _GOLDEN & 0xFFFF
        wanted = [pages * ((step << 16) + shift) // (parts << 16) for step in range(parts)]
        before = 0
        for first, length in runs:
            while wanted and wanted[0] < before + length:
                found.append(first + wanted.pop(0) - before)
            before += length
    return found


def _stored(source: PageSource, pfn: int, codec: Codec | None, zero_free: bool) -> int:
    data = source.page(pfn)
    if data is None or (zero_free and not data.strip(b"\0")):
        return 0
    size = len(data)
    if codec is None:
        return size
    here = ctypes.create_string_buffer(data, size)
    there = ctypes.create_string_buffer(max(codec.room(size), size))
    return codec.compress(ctypes.addressof(here), size, ctypes.addressof(there))
