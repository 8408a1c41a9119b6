# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd estimate``: how large would a dump of this machine be, how long would it take?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..verb import Question

if TYPE_CHECKING:
    from ...upkeep.ready.outlook import Outlook, Row
    from ..answers import Answer

_MIB = 1 << 20
_HEADS = ("level", "memory", "dump", "time", "fits", "left out")


@dataclass(frozen=True)
class Estimate(Question):
    """Say how large a dump would be at each level, and how long it would take."""

    name = "estimate"
    summary = "tell how large a dump of this machine would be, and how long it would take"

    def run(self) -> int:
        """See Verb."""
        from ...upkeep.ready import outlook, view

        return self.give(_answer(outlook.of(view.take(self.root, self.distro))))


def _answer(found: Outlook) -> Answer:
    from ...upkeep.ready.link import NO, YES
    from ..answers import Answer

    rows = list(found.rows())
    mine = next(row for row in rows if row.configured)
    first = f"a dump of level {mine.level} would take about {_mib(mine.size)}"
    first += "" if mine.seconds is None else f" and {_time(mine.seconds)}"
    hints = []
    if mine.fits is False:
        first = f"too little room for a dump: {first}, and {_mib(found.room or 0)} are free"
        hints.append("make room there, or set a higher dump-level in /etc/kdump-initrd.toml")
    elif found.unknown:
        first += f"; where it goes was not measured: {found.unknown}"
    packing = found.packing
    fields = {
        "level": found.level,
        "memory_bytes": found.memory.whole,
        "codec": packing.codec,
        "ratio": round(packing.ratio, 3),
        "codec_bytes_per_second": int(packing.speed),
        "write_bytes_per_second": None if found.write is None else int(found.write),
        "room_bytes": found.room,
        "not_measured": found.unknown,
        "levels": [_fields(row) for row in rows],
    }
    said = NO if mine.fits is False else YES
    return Answer(said, first, [*map(_row, rows)], _HEADS, {0, 1, 2, 3}, hints, fields)


def _row(row: Row) -> tuple[str, ...]:
    from ...upkeep.ready.outlook import LEVELS

    time = "?" if row.seconds is None else _time(row.seconds)
    fits = {None: "?", True: "yes", False: "no"}[row.fits]
    what = LEVELS.get(row.level, "") + (" (configured)" if row.configured else "")
    what += ", at most: free pages may be zeros" if row.at_most else ""
    return str(row.level), _mib(row.memory), _mib(row.size), time, fits, what.strip()


def _fields(row: Row) -> dict[str, object]:
    seconds = None if row.seconds is None else round(row.seconds, 1)
    return {
        "level": row.level,
        "memory_bytes": row.memory,
        "dump_bytes": row.size,
        "seconds": seconds,
        "fits": row.fits,
        "at_most": row.at_most,
    }


def _mib(size: int) -> str:
    return f"{-(-size // _MIB)} MiB"


def _time(seconds: float) -> str:
    minutes, rest = divmod(max(1, round(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
