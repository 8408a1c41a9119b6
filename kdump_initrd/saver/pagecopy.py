# SPDX-License-Identifier: GPL-2.0-or-later
"""The page loop: the pages of a range, from their source to a sink."""

from __future__ import annotations

from .kdumpformat import LEVEL_ZERO
from .zeros import ZeroScan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .selection import Selection
    from .source import PageSource
    from .writer import Sink


class PageCopier:
    """Copies ranges of a selection in one worker; what cannot be read is handed over as lost."""

    def __init__(
        self,
        source: PageSource,
        selection: Selection,
        sink: Sink,
        *,
        level: int,
        advance: Callable[[int], None],
    ) -> None:
        """Zero pages are looked for if level has that bit; advance gets a range's pages."""
        self._source = source
        self._selection = selection
        self._sink = sink
        self._advance = advance
        self._scan = ZeroScan(source.page_size) if level & LEVEL_ZERO else None

    def copy(self, number: int) -> None:
        """Copy a range; raises SpaceError of the sink."""
        sink, view, hand_over = self._sink, self._source.view, self._hand_over
        pfn, end, _ = self._selection.range(number)
        sink.start(number)
        done = 0
        for first, count in self._selection.runs(pfn, end):
            sink.seek(first)
            while count:
                address, seen = view(first, count)
                if seen:
                    hand_over(address, seen)
                else:
                    seen = 1
                    sink.lost(1)
                first += seen
                count -= seen
                done += seen
        sink.flush()
        self._advance(done)

    def _hand_over(self, address: int, count: int) -> None:
        sink = self._sink
        if self._scan is None:
            sink.data(address, count)
            return
        page = self._source.page_size
        for start, size, is_zero in self._scan.runs(address, count * page):
            if is_zero:
                sink.zero(size // page)
            else:
                sink.data(start, size // page)
