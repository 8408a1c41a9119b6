# SPDX-License-Identifier: GPL-2.0-or-later
"""The choice of the pages of a dump: by the level, and by the room that there is."""

from __future__ import annotations

import os
import time

from ..filter.rules import KINDS
from ..filter.walk import PageFilter
from ..low.failure import SpaceError, describe
from ..low.selection import Selection
from . import budget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..codec.library import Codec
    from ..crash.facts import Crash
    from ..formats.elf.source import PageSource
    from ..formats.writer import DumpWriter
    from ..low.console import Console
    from ..low.progress import Progress

#: Bits of a level that are added when there is no room: first what no analysis misses.
_STRONGER = (0x11, 0x1F)


class Choice:
    """Fills the bitmap of a dump, and the report's fields about it."""

    def __init__(
        self,
        crash: Crash,
        source: PageSource,
        codec: Codec | None,
        *,
        console: Console,
        progress: Progress,
        fields: dict[str, object],
        wanted: int,
    ) -> None:
        """Nothing is chosen yet; wanted is the dump level that was asked for."""
        self._crash = crash
        self._source = source
        self._codec = codec
        self._console = console
        self._progress = progress
        self._fields = fields
        self._levels = [wanted, *[wanted | more for more in _STRONGER if wanted | more != wanted]]
        self._level = -1  # the level by which the pages were chosen last
        self._mean, self._scale = 0.0, 1.0  # bytes per page: the forecast; the truth, times that
        self._anew = False
        self._why = ""

    def choose(self, writer: DumpWriter, *, room: Callable[[int], int]) -> tuple[Selection, int]:
        """Filter at the wanted level, and more if that does not fit.

        room tells how many bytes may be used by a dump of so many. Returns the pages and the level
        that they are of. Raises SpaceError, OSError.
        """
        while True:
            last = len(self._levels) == 1
            selection, level = self._filter(writer, self._levels.pop(0))
            forecast = budget.Forecast(
                self._source, selection, self._codec, zero_free=bool(level & 1)
            )
            fixed = writer.fixed_size(selection)
            middle = (forecast.least + forecast.most) // 2
            self._mean = middle / max(1, selection.pages)
            self._fields["predicted_bytes"] = fixed + int(middle * self._scale)
            # Only the last step is tried by luck: half of a dump is better than none.
            size = fixed + int((forecast.least if last else forecast.most) * self._scale)
            limit = room(size)
            if size <= limit or (last and self._anew):
                self._level = level
                return selection, level
            said = f"about {size / 1e6:.0f} MB at dump level {level}"
            most = f"{limit / 1e6:.0f} MB may be used"
            self._console.warning(f"the dump would take {said}, and {most}")
            if last:
                raise SpaceError(f"no room for the dump: {said}, and {most}")
            self._why = self._why or f"the dump would take {said}, and {most}"
            os.ftruncate(writer.bitmap[0], 0)

    def choose_less(self, problem: str, *, pages: int, size: int) -> bool:
        """Turn to the levels that leave out more, for choose() to take the next; False without any.
        problem says why; so far, pages took size bytes. At the last level, whatever fits is taken.
        """
        crash = self._crash
        while self._levels:
            level = self._levels[0]
            level = PageFilter(crash.memory, crash.info, self._source, level=level).level
            if level | crash.memory.level != self._level:
                break
            del self._levels[0]
        if not self._levels:
            return False
        if pages and self._mean:
            self._scale = max(1.0, size / pages / self._mean)
        else:  # the forecast was of no use
            del self._levels[:-1]
        self._anew = True
        self._why = f"{problem} at dump level {self._level}"
        self._console.warning(f"{self._why}: the dump is started again")
        return True

    def _filter(self, writer: DumpWriter, wanted: int) -> tuple[Selection, int]:
        start = time.monotonic()
        chosen = PageFilter(self._crash.memory, self._crash.info, self._source, level=wanted)
        if chosen.level != wanted:
            lower = f"dump level {wanted} is lowered to {chosen.level}"
            self._console.warning(f"{lower}: {chosen.note}")
        try:
            selection = self._run(writer, chosen)
        except OSError:
            raise
        except Exception as error:  # a dump with too many pages is better than none
            reason = f"the page filter failed: {describe(error)}"
            chosen.give_up(reason)
            self._console.warning(f"{reason}: dump level {chosen.level} is used")
            os.ftruncate(writer.bitmap[0], 0)
            selection = self._run(writer, chosen)
        if chosen.odd_blocks:
            self._console.warning(f"{chosen.odd_blocks} free blocks of impossible size are kept")
        if chosen.unknown:
            self._console.warning(f"{chosen.unknown} pages without a struct page are kept")
        left_out = {kind: count for kind, count in zip(KINDS, chosen.left_out) if kind and count}
        # What an older dump left out stays left out.
        level = chosen.level | self._crash.memory.level
        self._fields.update(level=level, left_out=left_out)
        notes = [note for note in (chosen.note, self._why) if note]
        self._fields["level_note"] = "; ".join(notes)
        self._fields["pages"] = selection.pages
        took(self._fields, "filter", start)
        return selection, level

    def _run(self, writer: DumpWriter, chosen: PageFilter) -> Selection:
        selection = Selection(*writer.bitmap)
        page, progress = self._source.page_size, self._progress
        progress.start("filtering", self._source.pages * page)
        chosen.run(self._source.runs(), selection, lambda count: progress.advance(count * page))
        selection.finish()
        return selection


def took(fields: dict[str, object], what: str, start: float) -> None:
    """Add the seconds since start, by the monotonic clock, to those that a step took."""
    seconds = fields["seconds"]
    assert isinstance(seconds, dict)
    seconds[what] = round(seconds.get(what, 0) + time.monotonic() - start, 3)
