# SPDX-License-Identifier: GPL-2.0-or-later
"""A flattened dump, seen as the file that it describes."""

from __future__ import annotations

import os

from .failure import SaverError
from .output import FLAT_HEADER, FLAT_RECORD
from .window import Window


class FlatWindow(Window):
    """Records in any order; what none of them has reads as zeros. A later record is on top."""

    def __init__(self, path: str) -> None:
        """Look through all records; raises SaverError where one is damaged, OSError."""
        super().__init__(path)
        #: Offset in the dump, end there, offset in the file, of each record.
        self._records: list[tuple[int, int, int]] = []
        end, at = 0, FLAT_HEADER
        while True:
            raw = os.pread(self.fd, FLAT_RECORD.size, at)
            if len(raw) < FLAT_RECORD.size:
                raise SaverError(f"{path}: truncated: the flattened dump has no end")
            offset, length = FLAT_RECORD.unpack(raw)
            at += FLAT_RECORD.size
            if offset == -1:
                break
            if offset < 0 or length <= 0 or at + length > self.size:
                raise SaverError(f"{path}: a record of the flattened dump is damaged at {at}")
            self._records.append((offset, offset + length, at))
            end = max(end, offset + length)
            at += length
        self._records.sort(key=lambda record: record[0])
        self.size = end

    def read(self, offset: int, length: int) -> bytes:
        """See Window."""
        length = max(0, min(length, self.size - offset))
        found = bytearray(length)
        # From the last record that begins before the end, back to the first that can reach here.
        index = self._before(offset + length)
        parts = []
        while index > 0:
            index -= 1
            start, end, at = self._records[index]
            if end > offset:
                parts.append((start, end, at))
            elif start < offset:
                break
        for start, end, at in sorted(parts, key=lambda part: part[2]):
            low, high = max(start, offset), min(end, offset + length)
            found[low - offset : high - offset] = os.pread(self.fd, high - low, at + low - start)
        return bytes(found)

    def _before(self, offset: int) -> int:
        # The count of records that begin before an offset.
        low, high = 0, len(self._records)
        while low < high:
            middle = (low + high) // 2
            if self._records[middle][0] < offset:
                low = middle + 1
            else:
                high = middle
        return low

    def _map(self, offset: int, length: int) -> int:
        return 0

    def _fill(self, buffer: memoryview, offset: int) -> int:
        data = self.read(offset, len(buffer))
        buffer[: len(data)] = data
        return len(data)
