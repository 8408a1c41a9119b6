# SPDX-License-Identifier: GPL-2.0-or-later
"""Mapped memory split into runs of zero pages and runs of other pages."""

from __future__ import annotations

import ctypes

from .libc import map_zeros, memcmp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Sizes that are compared at once, from large to small, before single pages.
_LARGE = 1 << 20
_MEDIUM = 64 << 10


_mapped: list[tuple[int, int]] = []


def zeros(length: int) -> int:
    """Return the address of length zero bytes, the same each time."""
    if not _mapped or _mapped[0][1] < length:
        size = max(length, _LARGE)
        # Every page of this mapping is the kernel's one zero page: no memory of its own.
        _mapped[:] = [(map_zeros(size), size)]
    return _mapped[0][0]


class ZeroScan:
    """Compares memory with zeros; page_size in bytes divides 64 KiB or is a multiple of it."""

    def __init__(self, page_size: int) -> None:
        self._page = page_size
        self._zeros = zeros(page_size)

    def runs(self, address: int, length: int) -> Iterator[tuple[int, int, bool]]:
        """Yield (address, bytes, is zero) of neighbouring runs; length is in whole pages."""
        compare, zero, page = memcmp, self._zeros, self._page
        mark, kind = address, True
        for large, size in _split(address, length, max(_LARGE, page)):
            if not compare(large, zero, size):
                if not kind:
                    yield mark, large - mark, False
                    mark, kind = large, True
                continue
            for medium, part in _split(large, size, max(_MEDIUM, page)):
                if not compare(medium, zero, part):
                    if not kind:
                        yield mark, medium - mark, False
                        mark, kind = medium, True
                    continue
                for small in range(medium, medium + part, page):
                    if (not compare(small, zero, page)) is not kind:
                        if small > mark:
                            yield mark, small - mark, kind
                        mark, kind = small, not kind
        yield mark, address + length - mark, kind


def _split(address: int, length: int, step: int) -> Iterator[tuple[int, int]]:
    end = address + length
    for start in range(address, end, step):
        yield start, min(step, end - start)


def first_words(address: int, count: int, page_size: int) -> list[int]:
    """Return the first 8 bytes of count pages as a number each: most pages show there that they
    are not zero.
    """
    step = page_size // 8
    words = (ctypes.c_uint64 * (count * step)).from_address(address)
    found: list[int] = memoryview(words).cast("B").cast("Q")[::step].tolist()
    return found
