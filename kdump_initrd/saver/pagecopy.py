# SPDX-License-Identifier: GPL-2.0-or-later
"""The page loop: the pages of a range, from their source to a sink."""

from __future__ import annotations

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
        advance: Callable[[int], None],
    ) -> None:
        """Tell advance a range's pages when they are done."""
        self._source = source
        self._selection = selection
        self._sink = sink
        self._advance = advance

    def copy(self, number: int) -> None:
        """Copy a range; raises SpaceError of the sink."""
        sink, view = self._sink, self._source.view
        pfn, end, _ = self._selection.range(number)
        sink.start(number)
        done = 0
        for first, count in self._selection.runs(pfn, end):
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
        sink.flush()
        self._advance(done)
