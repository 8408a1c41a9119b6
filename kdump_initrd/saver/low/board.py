# SPDX-License-Identifier: GPL-2.0-or-later
"""What the workers share: the next range of pages, the end of the file, and their tallies."""

from __future__ import annotations

import ctypes
import os

from . import libc
from .failure import SpaceError

_TEXT = 256
#: At most so many: ranges of a worker that may not be on the disk yet, such ranges of dead workers,
#: and places of the file that are given up.
PENDING, _AGAIN, _GIVEN_UP = 20, 1000, 4000
#: The last so many of those places can be extended.
_NEAR = 16
# The first numbers are shared by all, the others belong to one worker each.
_NEXT, _POSITION, _HOLES, _STOP, _CODE, _ERROR, _SYNCED, _REDONE, _PLACES, _SHARED = range(10)
_DONE, _GOOD, _ZERO, _RAW, _MOVED, _UNWRITTEN, _PEAK, _RANGE, _COUNT = range(9)
_SLOT = _COUNT + 1 + PENDING


class Lock:
    """A lock between processes that ends with its holder (fcntl(2), record locks)."""

    def __init__(self, fd: int) -> None:
        """Take an open regular file for it; -1 if there is only one process."""
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
    """Numbers in shared memory, for as long as the saver lives; each worker has a slot, from 0.

    position and limit are the bytes that the dump takes of the file system, and may take at most.
    What has been taken since the start tells where in the file the next data go.
    """

    def __init__(self, lock: Lock, *, workers: int, position: int, limit: int) -> None:
        """Begin with range 0; raises OSError."""
        self.workers = workers
        self._lock = lock
        self._limit = limit
        self._again = _SHARED + workers * _SLOT
        self._places = self._again + _AGAIN
        count = self._places + 2 * _GIVEN_UP
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
        numbers = self._numbers
        with self._lock:
            if numbers[_STOP]:
                return -1
            number = numbers[_NEXT]
            if numbers[_REDONE]:
                numbers[_REDONE] -= 1
                number = numbers[self._again + numbers[_REDONE]]
            elif number < ranges:
                numbers[_NEXT] = number + 1
            else:
                return -1
        numbers[self._at(slot, _RANGE)] = number
        return int(number)

    def set_pending(self, slot: int, ranges: list[int]) -> None:
        """Note the ranges of a worker that would be lost with it: PENDING at most."""
        at = self._at(slot, _COUNT)
        self._numbers[at] = 0
        for place, number in enumerate(ranges[:PENDING]):
            self._numbers[at + 1 + place] = number
        self._numbers[at] = min(len(ranges), PENDING)

    def redo(self, slot: int) -> None:
        """Give out again what a dead worker had pending; not the range that it was working on."""
        numbers, at = self._numbers, self._at(slot, _COUNT)
        with self._lock:
            for number in numbers[at + 1 : at + 1 + numbers[at]]:
                if number != self.range_of(slot) and numbers[_REDONE] < _AGAIN:
                    numbers[self._again + numbers[_REDONE]] = number
                    numbers[_REDONE] += 1
            numbers[at] = 0

    def allocate(self, length: int, *, gap: int = 0) -> int:
        """Reserve length bytes after a hole of gap bytes; return their position.

        Raises SpaceError if that would take room that must stay free.
        """
        return self._allocate(length, length, gap)[0]

    def allocate_part(self, length: int, unit: int) -> int:
        """Reserve as many whole units of length bytes as there is room for; return their bytes.

        Raises SpaceError when there is none for the first.
        """
        return self._allocate(length, unit, 0)[1]

    def _allocate(self, length: int, unit: int, gap: int) -> tuple[int, int]:
        numbers = self._numbers
        with self._lock:
            position = int(numbers[_POSITION]) + gap
            holes = int(numbers[_HOLES]) + gap
            if position - holes + length > self._limit:
                length = max(0, self._limit - position + holes) // unit * unit
                if not length:
                    text = "no room for the dump: the rest of the file system is kept free"
                    raise SpaceError(text)
            numbers[_POSITION], numbers[_HOLES] = position + length, holes
        return position, length

    def give_up(self, place: int, length: int) -> None:
        """Note a place of the file that the disk did not take, offset and bytes."""
        numbers, start = self._numbers, self._places
        with self._lock:
            count = int(numbers[_PLACES])
            for at in range(start + 2 * max(0, count - _NEAR), start + 2 * count, 2):
                if numbers[at] + numbers[at + 1] == place:
                    numbers[at + 1] += length
                    return
            if count < _GIVEN_UP:
                at = start + 2 * count
                numbers[at], numbers[at + 1] = place, length
                numbers[_PLACES] = count + 1

    def given_up(self) -> list[tuple[int, int]]:
        """Return those places by offset; neighbours are joined."""
        numbers, at = self._numbers, self._places
        found: list[tuple[int, int]] = []
        words = list(numbers[at : at + 2 * numbers[_PLACES]])
        for place, length in sorted(zip(words[::2], words[1::2])):
            if found and found[-1][0] + found[-1][1] >= place:
                place, length = found[-1][0], max(found[-1][1], place + length - found[-1][0])
                del found[-1]
            found.append((place, length))
        return found

    @property
    def position(self) -> int:
        """The bytes that the dump takes so far, and holes."""
        return int(self._numbers[_POSITION])

    def stop(self, code: int = 0) -> None:
        """Give out no more ranges; code is the errno of what ends all, 0 for something else."""
        self._numbers[_STOP] = 1
        self._numbers[_CODE] = self._numbers[_CODE] or code

    @property
    def code(self) -> int:
        """The errno of what has ended all; 0 for nothing."""
        return int(self._numbers[_CODE])

    def set_error(self, code: int) -> None:
        """Note the disk's first error, an errno."""
        self._numbers[_ERROR] = self._numbers[_ERROR] or code

    @property
    def error(self) -> int:
        """The first errno of the disk; 0 for none."""
        return int(self._numbers[_ERROR])

    def is_due(self, milliseconds: int, every: int) -> bool:
        """Tell whether so many milliseconds have passed since a worker was last told so."""
        due = milliseconds - int(self._numbers[_SYNCED]) >= every
        if due:
            self._numbers[_SYNCED] = milliseconds
        return due

    def add(self, slot: int, *, done: int = 0, good: int = 0, zero: int = 0, raw: int = 0) -> None:
        """Count pages of a worker: handed over, safe in the file, of them zero, stored raw."""
        numbers, at = self._numbers, _SHARED + slot * _SLOT
        numbers[at + _DONE] += done
        numbers[at + _GOOD] += good
        numbers[at + _ZERO] += zero
        numbers[at + _RAW] += raw

    def add_failed(self, slot: int, *, moved: int = 0, unwritten: int = 0) -> None:
        """Count pages that the disk did not take: safe at another place, or nowhere."""
        numbers, at = self._numbers, _SHARED + slot * _SLOT
        numbers[at + _MOVED] += moved
        numbers[at + _UNWRITTEN] += unwritten

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
    def moved(self) -> int:
        """Pages among them that the disk took at a second place only."""
        return self._sum(_MOVED)

    @property
    def unwritten(self) -> int:
        """Pages that the disk did not take."""
        return self._sum(_UNWRITTEN)

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
