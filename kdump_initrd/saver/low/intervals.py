# SPDX-License-Identifier: GPL-2.0-or-later
"""Ranges of numbers that may overlap: which of them touch another one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Intervals:
    """Ranges by (start, end), sorted by their start; each is known by its place in that order."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        """Keep the ranges."""
        self._ranges = ranges
        #: The highest end of the ranges up to each one.
        self._reach: list[int] = []
        self.end = 0
        for _, end in ranges:
            self.end = max(self.end, end)
            self._reach.append(self.end)

    def touching(self, low: int, high: int) -> Iterator[int]:
        """Yield the places of the ranges that hold something from low to high, the last first."""
        # From the last range that begins before high, back to the first that can reach to low.
        place = self._before(high)
        while place > 0 and self._reach[place - 1] > low:
            place -= 1
            if self._ranges[place][1] > low:
                yield place

    def following(self, number: int) -> int:
        """Return the first number, from one on, that is in a range; not below end if none is."""
        first, last = 0, len(self._reach)
        while first < last:
            middle = (first + last) // 2
            if self._reach[middle] > number:
                last = middle
            else:
                first = middle + 1
        return max(number, self._ranges[first][0] if first < len(self._ranges) else self.end)

    def _before(self, high: int) -> int:
        # The count of ranges that begin before a number.
        first, last = 0, len(self._ranges)
        while first < last:
            middle = (first + last) // 2
            if self._ranges[middle][0] < high:
                first = middle + 1
            else:
                last = middle
        return first
