# SPDX-License-Identifier: GPL-2.0-or-later
"""Mapped memory split into runs of zero pages and runs of other pages."""

from __future__ import annotations

from .libc import map_zeros, memcmp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Sizes that are compared at once, from large to small, before single pages.
_LARGE = 1 << 20
_MEDIUM = 64 << 10


class ZeroScan:
    """Compares memory with zeros; page_size in bytes divides 64 KiB or is a multiple of it."""

    def __init__(self, page_size: int) -> None:
        self._page = page_size
        # Every page of this mapping is the kernel's one zero page: no memory, one cache line set.
        self._zeros = map_zeros(max(_LARGE, page_size))

    def runs(self, address: int, length: int) -> Iterator[tuple[int, int, bool]]:
        """Yield (address, bytes, is zero) of neighbouring runs; length is in whole pages."""
        compare, zeros, page = memcmp, self._zeros, self._page
        mark, kind = address, True
        for large, size in _split(address, length, max(_LARGE, page)):
            if not compare(large, zeros, size):
                if not kind:
                    yield mark, large - mark, False
                    mark, kind = large, True
                continue
            for medium, part in _split(large, size, max(_MEDIUM, page)):
                if not compare(medium, zeros, part):
                    if not kind:
                        yield mark, medium - mark, False
                        mark, kind = medium, True
                    continue
                for small in range(medium, medium + part, page):
                    if (not compare(small, zeros, page)) is not kind:
                        if small > mark:
                            yield mark, small - mark, kind
                        mark, kind = small, not kind
        yield mark, address + length - mark, kind


def _split(address: int, length: int, step: int) -> Iterator[tuple[int, int]]:
    end = address + length
    for start in range(address, end, step):
        yield start, min(step, end - start)
