# SPDX-License-Identifier: GPL-2.0-or-later
"""How large a dump of the running machine would be at each level, and how long it would take."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...saver.store.folder import free_room
from . import writing
from .dumpplaces import Place, folder_here, untold
from .forecast import Memory
from .sample import Packing
from .view import View

#: The levels that are in use, and what each leaves out; makedumpfile(8) has the others.
LEVELS = {
    0: "nothing",
    1: "zero pages",
    17: "zero and free pages",
    23: "these and the page cache",
    25: "zero and free pages, user data",
    31: "all of these",
}
#: How much is written to measure a disk, and how long; and the part of the room that it may take.
_MOST, _SECONDS, _PART = 64 << 20, 1.0, 8


@dataclass(frozen=True)
class Row:
    """A dump at one level: the bytes of memory in it, those of the file, the seconds to save it.

    ``seconds`` is None if the speed of codec or target is not known; ``fits`` is None if the room
    is not. ``configured`` is whether the image has this level; ``at_most``, whether the dump is
    smaller if free pages are full of zeros.
    """

    level: int
    memory: int
    size: int
    seconds: float | None
    fits: bool | None
    configured: bool
    at_most: bool


@dataclass(frozen=True)
class Outlook:
    """What was counted and measured.

    ``write`` are the bytes a second of the target, ``room`` its free bytes: each is None where
    ``unknown`` says why not. ``level`` is the image's level.
    """

    memory: Memory
    packing: Packing
    level: int
    write: float | None
    room: int | None
    unknown: str

    def rows(self) -> Iterator[Row]:
        """Yield a row for each level."""
        for level in sorted({*LEVELS, self.level}):
            kept, size = self.memory.kept(level), self.memory.size(level, self.packing.ratio)
            seconds = None
            if self.write:
                packed = kept / self.packing.speed if self.packing.speed else 0.0
                seconds = packed + size / self.write
            fits = None if self.room is None else size <= self.room
            at_most = not self.memory.is_exact(level)
            yield Row(level, kept, size, seconds, fits, level == self.level, at_most)


def of(seen: View) -> Outlook:
    """Count the memory, and measure codec and target.

    Up to 64 MiB are written to the target, for a second at most, if it is mounted here. Raises
    KdumpInitrdError where /proc does not tell of memory.
    """
    try:
        memory = seen.memory
    except OSError as error:
        why = f"/proc/meminfo: {error.strerror}" if error.strerror else str(error)
        hint = "mount /proc" if seen.root.is_host else "mount /proc there, or leave --root out"
        raise KdumpInitrdError(f"{seen.root}: {why}", hint=hint) from error
    write = has = None
    place = seen.places[0] if seen.places else None
    unknown = untold(seen.image) if place is None else ""
    disk = seen.disks[place.spec] if place else None
    if place and (disk is None or disk.mounted is None):
        unknown = f"{place.spec} is not mounted here"
    if place and disk and disk.mounted:
        try:
            has = free_room(str(disk.mounted), place.keep_free)
            write = _write(place, disk.mounted, has, seen)
        except OSError as error:
            unknown = f"{disk.mounted} cannot be written to: {error.strerror}"
    return Outlook(memory, seen.packing, seen.level, write, has, unknown)


def _write(place: Place, mounted: Path, room: int, seen: View) -> float:
    folder = writing.nearest(folder_here(place, mounted, seen.root), mounted, seen.root)
    most = min(_MOST, room // _PART)
    if not most:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return writing.speed(folder, most=most, seconds=_SECONDS)
