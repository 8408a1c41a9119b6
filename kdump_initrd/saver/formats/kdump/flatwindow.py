# SPDX-License-Identifier: GPL-2.0-or-later
"""A flattened dump, seen as the file that it describes."""

from __future__ import annotations

import os

from ...low.failure import SaverError
from ...low.intervals import Intervals
from ...memory.window import Window
from ...store.medium import FLAT_HEADER, FLAT_RECORD

#: No dump is as large as this: 64 PiB.
_MAX_OFFSET = 1 << 56


class FlatWindow(Window):
    """Records in any order; what none of them has reads as zeros. A later record overrides."""

    def __init__(self, path: str) -> None:
        """Look through all records; raises SaverError where one is damaged, OSError."""
        super().__init__(path)
        #: Offset in the dump, end there, offset in the file, of each record.
        self._records: list[tuple[int, int, int]] = []
        try:
            self._look_through()
        except BaseException:
            self.close()
            raise
        self._records.sort(key=lambda record: record[0])
        self._places = Intervals([record[:2] for record in self._records])
        self.size = self._places.end

    def _look_through(self) -> None:
        at = FLAT_HEADER
        while True:
            raw = os.pread(self.fd, FLAT_RECORD.size, at)
            if len(raw) < FLAT_RECORD.size:
                raise SaverError(f"{self.path}: truncated: the flattened dump has no end")
            offset, length = FLAT_RECORD.unpack(raw)
            at += FLAT_RECORD.size
            if offset == -1:
                return
            if not 0 <= offset < _MAX_OFFSET or length <= 0 or at + length > self.size:
                raise SaverError(f"{self.path}: a record of the flattened dump is damaged at {at}")
            self._records.append((offset, offset + length, at))
            at += length

    def read(self, offset: int, length: int) -> bytes:
        """See Window."""
        length = max(0, min(length, self.size - offset))
        found = bytearray(length)
        parts = [self._records[place] for place in self._places.touching(offset, offset + length)]
        for start, end, at in sorted(parts, key=lambda part: part[2]):
            low, high = max(start, offset), min(end, offset + length)
            found[low - offset : high - offset] = os.pread(self.fd, high - low, at + low - start)
        return bytes(found)

    def has(self, offset: int, length: int) -> bool:
        """See Window: whether records have all of them."""
        end = offset + length
        touching = [self._records[at] for at in self._places.touching(offset, end)]
        for low, high, _ in sorted(touching):
            if low > offset:
                return False
            offset = max(offset, high)
        return offset >= end

    def skip(self, offset: int) -> int:
        """See Window."""
        return self._places.following(offset)

    def data(self, start: int, end: int) -> int:
        """See Window; what is in two records counts twice."""
        parts = [self._records[place] for place in self._places.touching(start, end)]
        return sum([min(high, end) - max(low, start) for low, high, _ in parts])

    def _map(self, offset: int, length: int) -> int:
        return 0

    def _fill(self, buffer: memoryview, offset: int) -> int:
        data = self.read(offset, len(buffer))
        buffer[: len(data)] = data
        return len(data)
