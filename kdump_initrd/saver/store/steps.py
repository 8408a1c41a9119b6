# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps in which one worker's data go to the disk: one is on its way while the next is made."""

from __future__ import annotations

import time

from ..low.writeback import Writeback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..low.board import Board
    from .medium import Output

#: A step's bytes and ranges, roughly: some tenths of a second of a slow disk.
_BYTES, _RANGES = 4 << 20, 8
#: Milliseconds between two times that the file's size and blocks are made safe.
_EVERY = 4000


class Piece:
    """Pages of a range that went out at once: count of them, from the first one in the range.

    Their data are length bytes at the place in the file. failed says that writing them failed.
    told and told_length are place and length of what tells readers about them, if that is written
    with the data.
    """

    def __init__(self, number: int, first: int, count: int) -> None:
        self.number = number
        self.first = first
        self.count = count
        self.place = self.length = self.told = self.told_length = 0
        self.failed = False
        self.good = self.zero = self.raw = 0
        #: The format's own: an offset that readers are told, what tells them, and where that is.
        self.base = self.at = 0
        self.table = b""


class _Step:
    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.ranges: list[int] = []
        self.doubt = False
        self.low, self.high = 1 << 62, 0

    @property
    def length(self) -> int:
        return max(0, self.high - self.low)


class Steps:
    """Waits for a step when the next one is on its way, so that disk and processor both work."""

    def __init__(
        self, output: Output, board: Board, slot: int, settle: Callable[[Piece], None]
    ) -> None:
        """Settle is told of each piece that the disk has. code is the last errno of the disk."""
        self.disk = Writeback(output.fd)
        self.code = 0
        self._output = output
        self._board = board
        self._slot = slot
        self._settle = settle
        self._range: list[Piece] = []
        self._filling = _Step()
        self._going: list[_Step] = []
        self._bytes = 0

    def add(self, piece: Piece) -> None:
        """Take what has been written of the range in the making."""
        self._range.append(piece)
        self._bytes += piece.length

    def end_range(self) -> None:
        """Add the finished range to the step."""
        if not self._range:
            return
        step = self._filling
        for piece in self._range:
            step.pieces.append(piece)
            step.doubt = step.doubt or piece.failed
            for place, length in (
                (piece.place, piece.length),
                (piece.told, piece.told_length),
            ):
                if length:
                    step.low = min(step.low, place - self._output.head)
                    step.high = max(step.high, place + length)
        step.ranges.append(self._range[0].number)
        self._range = []
        self._register()

    def turn(self) -> list[Piece]:
        """End the step if it is large enough; return what may not be on the disk."""
        if self._bytes < _BYTES and len(self._filling.ranges) < _RANGES:
            return []
        self._close()
        doubtful = self._wait() if len(self._going) > 1 else []
        if self._board.is_due(int(time.monotonic() * 1000), _EVERY):
            self._look(self.disk.commit())
        return doubtful

    def end(self) -> list[Piece]:
        """End all steps; return what may not be on the disk."""
        self.end_range()
        self._close()
        doubtful: list[Piece] = []
        while self._going:
            doubtful += self._wait()
        return doubtful

    def wait(self, place: int, length: int) -> None:
        """Wait until a part of the file has been written, well or not."""
        self._look(self.disk.wait(place, length))

    def _close(self) -> None:
        step = self._filling
        self._going.append(step)
        self._filling, self._bytes = _Step(), 0
        self._look(self.disk.begin(step.low, step.length))

    def _wait(self) -> list[Piece]:
        # For the first step: settle it, or return its pieces.
        step = self._going[0]
        self._look(self.disk.wait(step.low, step.length))
        del self._going[0]
        self._register()
        if step.doubt:
            return step.pieces
        for piece in step.pieces:
            self._settle(piece)
        self._output.release(step.high)
        return []

    def doubt_all(self) -> None:
        """Assume that what is on its way may not arrive, nor what shares a block with that."""
        for step in (*self._going, self._filling):
            step.doubt = True

    def _look(self, code: int) -> None:
        # The error may be about anything that is on its way.
        if code:
            self.code = code
            self._board.set_error(code)
            self.doubt_all()

    def _register(self) -> None:
        ranges = [number for step in (*self._going, self._filling) for number in step.ranges]
        self._board.set_pending(self._slot, ranges)
