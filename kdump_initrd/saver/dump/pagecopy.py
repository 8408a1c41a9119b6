# SPDX-License-Identifier: GPL-2.0-or-later
"""The page loop: the pages of a range, from their source to a sink."""

from __future__ import annotations

from ..formats.writer import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.elf.source import PageSource
    from ..formats.writer import Sink
    from ..low.selection import Selection


class PageCopier(Work):
    """Copies ranges of a selection in one worker; what cannot be read is handed over as lost."""

    def __init__(
        self,
        source: PageSource,
        selection: Selection,
        sink: Sink,
        *,
        advance: Callable[[int], None],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Tell advance a range's pages when they are done, and tick of a piece done again."""
        self._source = source
        self._selection = selection
        self._sink = sink
        self._advance = advance
        self._tick = tick

    def copy(self, number: int) -> None:
        """Copy a range; raises SpaceError of the sink."""
        sink = self._sink
        sink.start(number)
        done = self._feed(number, 0, self._selection.pages)
        sink.flush()
        self._advance(done)
        self._repeat(last=False)

    def end(self) -> None:
        """Wait until the disk has all; raises SpaceError when that is dead."""
        try:
            self._repeat(last=True)
        finally:
            self._sink.close()

    def _repeat(self, *, last: bool) -> None:
        for piece in self._sink.doubtful(last=last):
            self._sink.repeat(piece)
            self._feed(piece.number, piece.first, piece.count)
            self._sink.flush()
            self._tick()

    def _feed(self, number: int, skip: int, most: int) -> int:
        # Pages of a range, without the first ones; return how many.
        sink, view = self._sink, self._source.view
        pfn, end, _ = self._selection.range(number)
        done = 0
        for first, count in self._selection.runs(pfn, end):
            if skip >= count:
                skip -= count
                continue
            first += skip
            count = min(count - skip, most - done)
            skip = 0
            if not count:
                break
            sink.seek(first)
            while count:
                address, seen = view(first, count)
                if seen:
                    sink.data(address, seen)
                else:
                    seen = 1
                    sink.lost(1)
                first += seen
                count -= seen
                done += seen
        return done
