# SPDX-License-Identifier: GPL-2.0-or-later
"""How small and how fast a codec makes memory, measured on a sample, in a hundredth of a second.

The kernel's memory may not be read under lockdown, and by nobody but root. So the sample is of this
process: what it has written, which is numbers, pointers and texts as a kernel's tables are. Pages
full of zeros are not in it, nor are programs, which a dump of level 31 has few of.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ...saver.codec.opening import open_any

#: A line of /proc/PID/maps of memory that was written to: the heap, and what was mapped for data.
_WRITTEN = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw\S+ \S+ \S+ \S+(?: +(\S+))?$")
#: Pages: enough for a tenth of the ratio, and for the clock.
_PAGES = 512
#: Where there is no sample, memory counts as not compressible.
_INCOMPRESSIBLE = 1.0


@dataclass(frozen=True)
class Packing:
    """What a codec makes of a sample: its name ("none"), the part that remains, bytes a second.

    ``speed`` is that of one processor, 0 where nothing was measured.
    """

    codec: str
    ratio: float
    speed: float


def measure(codecs: Sequence[str]) -> Packing:
    """Compress the sample, page by page, by the first of these codecs that works here."""
    size = os.sysconf("SC_PAGESIZE")
    for name in codecs:
        codec, note = open_any(name, size)
        if not note:
            break
    pages = list(_sample(size))
    if codec is None or not pages:
        return Packing("none", _INCOMPRESSIBLE, 0.0)
    function, arguments, slots = codec.bare(size)
    packed = ctypes.create_string_buffer(max(codec.room(size), size))
    slots[1] = ctypes.addressof(packed)
    kept = 0
    start = time.perf_counter()
    for page in pages:
        slots[0] = ctypes.addressof(page)
        stored = function(*arguments) or slots[2]
        kept += stored if 0 < stored < size else size
    seconds = max(time.perf_counter() - start, 1e-9)
    whole = len(pages) * size
    return Packing(codec.row.name, kept / whole, whole / seconds)


def _sample(size: int) -> Iterator[ctypes.Array[ctypes.c_char]]:
    """Yield pages of this process that are not full of zeros, from all over what it has written."""
    with suppress(OSError), open("/proc/self/maps", encoding="ascii", errors="replace") as maps:  # noqa: PTH123
        matches = [match for line in maps if (match := _WRITTEN.match(line.rstrip()))]
        places = [
            at
            for match in matches
            if match[3] in (None, "[heap]") or match[3].startswith("/")
            for at in range(int(match[1], 16), int(match[2], 16), size)
        ]
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            step = max(1, len(places) // _PAGES)
            for at in places[::step]:
                page = os.pread(memory, size, at)
                if page.strip(b"\0"):
                    yield ctypes.create_string_buffer(page, size)
        finally:
            os.close(memory)
