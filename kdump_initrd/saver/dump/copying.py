# SPDX-License-Identifier: GPL-2.0-or-later
"""The copy of the chosen pages by the workers, and what is known of it when it has ended."""

from __future__ import annotations

import os
import time

from ..low.failure import describe
from ..low.writeback import Writeback
from ..store.medium import FULL, failure
from .pagechoice import took
from .pagecopy import PageCopier
from .workers import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.elf.source import PageSource
    from ..formats.writer import DumpWriter, Work
    from ..low.board import Board
    from ..low.console import Console
    from ..low.progress import Progress
    from ..low.selection import Selection


class Copying:
    """One attempt to fill a dump file with the pages of a selection.

    fields are those of the dump in the report. stopped is the errno that ended it, 0 for none.
    """

    def __init__(
        self,
        writer: DumpWriter,
        source: PageSource,
        selection: Selection,
        *,
        console: Console,
        progress: Progress,
        fields: dict[str, object],
        damage: str,
    ) -> None:
        """Nothing is written yet; damage is what is lost in the source already, "" for nothing."""
        self._writer = writer
        self._source = source
        self._selection = selection
        self._console = console
        self._progress = progress
        self._fields = fields
        self._damage = damage
        self._disk = Writeback(writer.output.fd)
        self.stopped = 0

    def close(self) -> None:
        """Close what was opened for it."""
        self._writer.output.release(None)
        self._disk.close()

    def begin(self, level: int) -> int:
        """Write what precedes the pages, and have it on the disk; return the bytes that it takes.

        Raises SpaceError, also for a disk that does not take it.
        """
        writer, disk = self._writer, self._disk
        taken = writer.begin(self._selection, level)
        code = disk.wait(0, writer.solid) or disk.commit()
        if code and (disk.mend(0, writer.solid) or disk.commit()):
            raise failure(code)
        writer.output.release(writer.solid)
        return taken

    def copy(self, board: Board) -> str:
        """Have all pages copied; return what went wrong, "" for nothing."""
        start = time.monotonic()
        page, progress, source = self._source.page_size, self._progress, self._source
        progress.start("", self._selection.pages * page)

        def tell() -> None:
            # Pages that are written again are a sign of life, too, though they hardly count.
            progress.update(board.done * page + board.moved + board.unwritten)

        def begin(slot: int) -> Work:
            return PageCopier(
                source,
                self._selection,
                self._writer.sink(board, slot),
                advance=lambda count: board.add(slot, done=count),
                tick=tell if board.workers == 1 else lambda: None,
            )

        try:
            problem = run(board, self._selection.ranges, begin, tell)
        except BaseException as error:
            problem = describe(error)
        progress.others = board.peak if board.workers > 1 else 0
        took(self._fields, "copy", start)
        return self._finish(board, problem)

    def _finish(self, board: Board, problem: str) -> str:
        start = time.monotonic()
        if problem and board.good == self._selection.pages:
            self._console.warning(problem)  # a worker that could not start: the others did all
            problem = ""
        self.stopped = board.code
        problem = problem or self._missing(board)
        size = harmed = 0
        try:
            size = self._writer.finish(board, complete=not problem)
            harmed = self._secure(board)
            if harmed and not problem:
                problem = _unwritten(harmed, board)
                size = self._writer.finish(board, complete=False)
                self._disk.commit()
        except BaseException as error:
            problem = problem or describe(error)
        if board.moved:
            said = f"{board.moved} pages were written again, elsewhere"
            self._console.warning(f"{said}: {os.strerror(board.error)}")
        took(self._fields, "finish", start)
        lost = min(self._lost(board) + harmed, self._selection.pages) + self._source.missing
        self._fields.update(
            bytes=size or os.fstat(self._writer.output.fd).st_size,
            zero_pages=board.zero,
            raw_pages=board.raw,
            moved_pages=board.moved,
            unwritten_pages=board.unwritten + harmed,
            lost_pages=lost,
        )
        if problem:
            self._console.error(
                f"dump: {problem}; {lost} of {self._selection.pages} pages are lost"
            )
        return problem

    def _secure(self, board: Board) -> int:
        # Get all onto the disk; return the pages that are lost with what readers need to find them.
        code = self._disk.commit()
        board.set_error(code)
        if not board.error:
            return 0
        if board.code and board.code not in FULL:  # it is dead
            raise failure(board.code)
        for place, length in board.given_up():
            self._disk.punch(place, length)  # so that the file can be read from end to end
        harmed = self._writer.harmed(self._disk.mend(0, self._writer.solid))
        code = self._disk.commit()
        if code:
            raise failure(code)
        return harmed if harmed >= 0 else board.good

    def _lost(self, board: Board) -> int:
        return max(0, self._selection.pages - board.good)

    def _missing(self, board: Board) -> str:
        missing = self._source.missing
        if self._damage:
            return self._damage
        if missing:
            return f"the vmcore is truncated: {missing} pages are missing"
        if board.unwritten:
            return _unwritten(board.unwritten, board)
        if self._lost(board):
            return f"{self._lost(board)} pages could not be read"
        if not self._selection.pages:
            return "there is no page of memory in it"
        return ""


def _unwritten(pages: int, board: Board) -> str:
    return f"{pages} pages could not be written: {os.strerror(board.error)}"
