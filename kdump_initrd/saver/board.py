# SPDX-License-Identifier: GPL-2.0-or-later
"""What the workers share: the next range of pages, the end of the file, and their tallies."""

from __future__ import annotations

import ctypes
import os

from . import libc
from .failure import SpaceError

_TEXT = 256
# The first numbers are of all, the others of one worker each.
_NEXT, _POSITION, _STOP, _SHARED = 0, 1, 2, 4
_DONE, _GOOD, _ZERO, _RAW, _PEAK, _RANGE, _SLOT = 0, 1, 2, 3, 4, 5, 6


class Lock:
    """A lock between processes that ends with its holder (fcntl(2), record locks)."""

    def __init__(self, fd: int) -> None:
        """Take an open regular file for it; -1 for a lock that nobody else wants."""
        self._fd = fd

    def works(self) -> bool:
        """Tell whether the file system has locks."""
        try:
            with self:
                return True
        except OSError:
            return False

    def __enter__(self) -> None:
        if self._fd >= 0:
            os.lockf(self._fd, os.F_LOCK, 1)

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.lockf(self._fd, os.F_ULOCK, 1)


class Board:
    """Numbers in memory that survives none of the workers; each has a slot, from 0.

    position and limit are the bytes that the dump takes of the file system, and may take at most.
    What has been taken since the start tells where in the file the next data go.
    """

    def __init__(self, lock: Lock, *, workers: int, position: int, limit: int) -> None:
        """Begin with range 0; raises OSError."""
        self.workers = workers
        self._lock = lock
        self._limit = limit
        count = _SHARED + workers * _SLOT
        self._size = count * 8 + workers * _TEXT
        self._address = libc.map_shared(self._size)
        self._numbers = (ctypes.c_uint64 * count).from_address(self._address)
        self._texts = self._address + count * 8
        self._numbers[_POSITION] = position

    def close(self) -> None:
        """Give the memory back."""
        if self._address:
            libc.unmap(self._address, self._size)
            self._address = 0

    def take(self, slot: int, ranges: int) -> int:
        """Return the number of the next range for a worker; -1 when there is none."""
        with self._lock:
            number = self._numbers[_NEXT]
            if number >= ranges or self._numbers[_STOP]:
                return -1
            self._numbers[_NEXT] = number + 1
        self._numbers[self._at(slot, _RANGE)] = number
        return int(number)

    def allocate(self, length: int) -> int:
        """Return the position of length bytes that are the caller's now.

        Raises SpaceError when that would take room that is to be kept free.
        """
        return self._allocate(length, length)[0]

    def allocate_part(self, length: int, unit: int) -> int:
        """Take as many units of length bytes as there is room for; return their bytes.

        Raises SpaceError when there is none for the first.
        """
        return self._allocate(length, unit)[1]

    def _allocate(self, length: int, unit: int) -> tuple[int, int]:
        with self._lock:
            position = int(self._numbers[_POSITION])
            if position + length > self._limit:
                length = max(0, self._limit - position) // unit * unit
                if not length:
                    text = "no room for the dump: the rest of the file system is kept free"
                    raise SpaceError(text)
            self._numbers[_POSITION] = position + length
        return position, length

    @property
    def position(self) -> int:
        """The bytes that the dump takes so far."""
        return int(self._numbers[_POSITION])

    def stop(self) -> None:
        """Give out no more ranges."""
        self._numbers[_STOP] = 1

    def add(self, slot: int, *, done: int = 0, good: int = 0, zero: int = 0, raw: int = 0) -> None:
        """Count pages of a worker: handed over, safe in the file, of them zero, stored raw."""
        numbers, at = self._numbers, _SHARED + slot * _SLOT
        numbers[at + _DONE] += done
        numbers[at + _GOOD] += good
        numbers[at + _ZERO] += zero
        numbers[at + _RAW] += raw

    def set_peak(self, slot: int, kib: int) -> None:
        """Note a worker's anonymous memory in KiB."""
        self._numbers[self._at(slot, _PEAK)] = kib

    def _at(self, slot: int, field: int) -> int:
        return _SHARED + slot * _SLOT + field

    def _sum(self, field: int) -> int:
        return sum([self._numbers[self._at(slot, field)] for slot in range(self.workers)])

    @property
    def done(self) -> int:
        """Pages that all workers have handed over."""
        return self._sum(_DONE)

    @property
    def good(self) -> int:
        """Pages that are safe in the file."""
        return self._sum(_GOOD)

    @property
    def zero(self) -> int:
        """Zero pages among them."""
        return self._sum(_ZERO)

    @property
    def raw(self) -> int:
        """Pages among them that no codec has made smaller."""
        return self._sum(_RAW)

    @property
    def peak(self) -> int:
        """The anonymous memory of all workers in KiB."""
        return self._sum(_PEAK)

    def range_of(self, slot: int) -> int:
        """Return the last range that a worker has taken."""
        return int(self._numbers[self._at(slot, _RANGE)])

    def complain(self, slot: int, text: str) -> None:
        """Leave a line on why a worker cannot go on."""
        data = text.encode("utf-8", "replace")[: _TEXT - 1] + b"\0"
        ctypes.memmove(self._texts + slot * _TEXT, data, len(data))

    def complaint(self, slot: int) -> str:
        """Return that line; "" for none."""
        return ctypes.string_at(self._texts + slot * _TEXT).decode("utf-8", "replace")
