# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of a sparse ELF dump in one worker."""

from __future__ import annotations

from ...low.zeros import ZeroScan
from ...store.medium import FULL, failure
from ...store.relocation import Places
from ...store.steps import Piece, Steps
from ..kdump.kdumpformat import LEVEL_ZERO
from ..writer import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...low.board import Board
    from .elfdump import ElfWriter

#: Bytes that are written at once when pages are written again.
_AGAIN = 32 << 10


class ElfSink(Sink):
    """Writes pages from where they are to where they belong."""

    def __init__(self, writer: ElfWriter, board: Board, slot: int) -> None:
        self._writer = writer
        self._board = board
        self._slot = slot
        self._steps = Steps(writer.output, board, slot, self._settle)
        self._places = Places(writer.output, board, self._steps)
        self._position = self._pfn = 0
        self._piece = Piece(0, 0, 0)
        self._again = False
        zeros = writer.level & LEVEL_ZERO
        self._scan = ZeroScan(writer.page_size) if zeros else None

    def start(self, number: int) -> None:
        """See Sink."""
        self._end_piece()  # of a range that was broken off
        self._position, self._pfn = self._writer.offset(number), -1
        self._piece = Piece(number, 0, 0)
        self._piece.place = self._position
        self._again = False

    def seek(self, pfn: int) -> None:
        """See Sink."""
        self._position += self._writer.parts.hole(self._pfn, pfn) * self._writer.page_size
        self._pfn = pfn

    def _advance(self, count: int) -> None:
        self._position += count * self._writer.page_size
        self._pfn += count
        self._piece.count += count

    def lost(self, count: int) -> None:
        """A hole as well; the header says at the end that something is lost."""
        self._advance(count)

    def data(self, address: int, count: int) -> None:
        """Written from where they are; zero pages are holes."""
        page = self._writer.page_size
        if self._scan is None:
            self._write(address, count)
            return
        for start, size, is_zero in self._scan.runs(address, count * page):
            if is_zero:
                self._piece.good += size // page
                self._piece.zero += size // page
                self._advance(size // page)
            else:
                self._write(start, size // page)

    def _write(self, address: int, count: int) -> None:
        page, piece = self._writer.page_size, self._piece
        while count:
            if self._again:
                size = min(count, max(1, _AGAIN // page)) * page
                self._write_again(address, size)
            else:
                size = self._board.allocate_part(count * page, page)
                done, code = self._writer.output.write_from(address, size, self._position)
                piece.length = self._position + size - piece.place
                piece.good += done // page
                piece.raw += done // page
                if code in FULL:
                    raise failure(code)
                piece.failed = piece.failed or bool(code)
            self._advance(size // page)
            address += size
            count -= size // page

    def _write_again(self, address: int, size: int) -> None:
        # Where it is, if the disk has it there, else in other blocks of the disk.
        places, pages = self._places, size // self._writer.page_size
        if not places.holds(address, size, self._position):
            if not places.rewrite(address, size, self._position):
                self._board.add_failed(self._slot, unwritten=pages)
                return
            self._board.add_failed(self._slot, moved=pages)
        self._piece.good += pages
        self._piece.raw += pages

    def flush(self) -> None:
        """See Sink."""
        if self._again:
            self._settle(self._piece)
            self._piece = Piece(0, 0, 0)
        else:
            self._end_piece()

    def _end_piece(self) -> None:
        if self._piece.count and not self._again:
            self._steps.add(self._piece)
            self._steps.end_range()
        self._piece = Piece(0, 0, 0)

    def _settle(self, piece: Piece) -> None:
        self._board.add(self._slot, good=piece.good, zero=piece.zero, raw=piece.raw)

    def doubtful(self, *, last: bool) -> list[Piece]:
        """See Sink."""
        self._end_piece()
        if self._places.dead:
            return []
        return self._steps.end() if last else self._steps.turn()

    def repeat(self, piece: Piece) -> None:
        """See Sink."""
        self.start(piece.number)
        self._again = True

    def close(self) -> None:
        """See Sink."""
        self._steps.disk.close()
