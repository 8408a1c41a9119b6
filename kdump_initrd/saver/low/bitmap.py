# SPDX-License-Identifier: GPL-2.0-or-later
"""Bitmaps of page frames: bit p & 7 of byte p >> 3 is frame p."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE, _BLOCK = 64 << 10, 4096


def pieces(runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    """Yield (byte offset, bytes) of a bitmap with the pages of runs set, in ascending order.

    Runs are (first frame, count), ascend and do not overlap. Bytes that are not yielded are zero;
    a piece has 64 KiB at most.
    """
    held, edge = -1, 0  # a byte that the next run may share
    for pfn, count in runs:
        first, last = pfn >> 3, (pfn + count - 1) >> 3
        head = 0xFF << (pfn & 7) & 0xFF
        tail = 0xFF >> (7 - (pfn + count - 1 & 7))
        if first != held:
            if held >= 0:
                yield held, bytes((edge,))
            held, edge = first, 0
        if first == last:
            edge |= head & tail
            continue
        yield held, bytes((edge | head,))
        for start in range(first + 1, last, _PIECE):
            yield start, b"\xff" * min(_PIECE, last - start)
        held, edge = last, tail
    if held >= 0:
        yield held, bytes((edge,))


def allocated(runs: Iterable[tuple[int, int]]) -> int:
    """Return the bytes of blocks of 4096 that the pieces of a bitmap are in."""
    blocks, last = 0, -1
    for offset, data in pieces(runs):
        end = (offset + len(data) - 1) // _BLOCK
        blocks += end - max(last, offset // _BLOCK - 1)
        last = end
    return blocks * _BLOCK


#: Count of set bits for each value of a byte, for bytes.translate.
_ONES = bytes([bin(value).count("1") for value in range(256)])


def count_ones(data: bytes) -> int:
    """Return the number of set bits."""
    return sum(data.translate(_ONES))
