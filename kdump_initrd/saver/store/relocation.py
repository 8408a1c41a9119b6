# SPDX-License-Identifier: GPL-2.0-or-later
"""A place on the disk for data that may not have reached it: their own, another one, or none."""

from __future__ import annotations

import errno
import time

from ..low.failure import SpaceError
from .medium import FULL, failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..low.board import Board
    from .medium import Output
    from .steps import Piece, Steps

#: Other places that are tried for each piece of data, and how far away they are in the file, in
#: bytes: farther each time, since the neighbours of a bad block are often bad, too.
_TRIES = 4
_GAP, _MOST_GAP = 64 << 10, 4 << 20
#: Failures in a row, and seconds of them, after which a disk is taken for dead.
_MOST, _SECONDS = 40, 5.0


class Places:
    """Looks for places, and gives up when the disk takes nothing any more.

    moved says that the place found last has other blocks of the disk now, away that it is another
    place in the dump; dead that the disk takes nothing any more.
    """

    def __init__(self, output: Output, board: Board, steps: Steps, *, skipped: int = 0) -> None:
        """Offsets in the dump are skipped bytes more than the board's positions."""
        self._skipped = skipped
        self._output = output
        self._board = board
        self._steps = steps
        self._place = self._base = 0
        self._failures, self._since = 0, 0.0
        self.moved = self.away = self.dead = False

    def start(self, piece: Piece) -> None:
        """Turn to a piece; its data follow, from the first byte on."""
        self._place, self._base = piece.place, piece.base

    def keep(self, place: int, length: int) -> bool:
        """Have the disk take a record where it is, if the output can do that; tell whether."""
        disk = self._steps.disk
        before = disk.rewritten
        kept = self._output.mend(disk, length, place)
        if disk.rewritten != before:
            self._steps.doubt_all()  # all errors have been reported to that
        return kept

    def find(self, address: int, length: int) -> int:
        """Return the offset in the dump where the next length bytes are safe; -1 for none.

        Raises SpaceError for a disk that is dead.
        """
        place, base = self._place, self._base
        self._place += length
        self._base += length
        self.moved = self.away = False
        if self.holds(address, length, place):
            return base
        if self.keep(place, length):
            self.moved = self.holds(address, length, place)
            if self.moved:
                return base
        self._board.give_up(place, length)
        self.away = True
        for _ in range(_TRIES):
            try:
                gap = min(_GAP << self._failures, _MOST_GAP) if self._failures else 0
                base = self._skipped + self._board.allocate(length, gap=gap)
            except SpaceError:
                return -1
            code = self.write(address, length, base)
            if gap and self._output.place == base:
                self._board.give_up(base - gap, gap)
            if not code:
                self.moved = True
                return base
            self._board.give_up(self._output.place, length)
            if code in FULL:
                return -1
        return -1

    def rewrite(self, address: int, length: int, place: int) -> bool:
        """Write data to their place in the file once more, in other blocks of the disk.

        Raises SpaceError for a disk that is dead.
        """
        for _ in range(_TRIES):
            # What is given back is not given out again before the file system's next commit; then
            # it may be, and fails again.
            self._steps.disk.punch(place, length)
            code = self.write(address, length, place)
            if not code:
                return True
            if code in FULL:
                break
        self._board.give_up(place, length)
        return False

    def holds(self, address: int, length: int, place: int) -> bool:
        """Tell whether the disk has data in a place of the file."""
        if not length or self._steps.disk.holds(address, length, place):
            self._failures = 0
            return True
        return False

    def write(self, address: int, length: int, base: int) -> int:
        """Write data; return 0 when the disk has them, else an errno.

        Raises SpaceError for a disk that is dead.
        """
        code = self._output.write_from(address, length, base)[1]
        if not code:
            # Only a look tells: ext4 forgets a block that was written well beside one that was not.
            self._steps.wait(self._output.place, length)
            if self._output.head:
                self.keep(self._output.place, length)
            if self.holds(address, length, self._output.place):
                return 0
        if code not in FULL:
            self.fail(code or self._steps.code)
        return code or self._steps.code

    def fail(self, code: int) -> None:
        """Count a failure; raises SpaceError when there have been too many."""
        self._board.set_error(code or errno.EIO)
        now = time.monotonic()
        if not self._failures:
            self._since = now
        self._failures += 1
        if self._failures >= _MOST or (self._failures > 1 and now - self._since > _SECONDS):
            self.dead = True
            raise failure(code or errno.EIO)
