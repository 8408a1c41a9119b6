# SPDX-License-Identifier: GPL-2.0-or-later
"""How large a dump of the running machine would be: from /proc/meminfo, without reading memory."""

from __future__ import annotations

from collections.abc import Mapping

#: Bit of a dump level: the lines of /proc/meminfo that it leaves out (proc_meminfo(5)). Nobody
#: counts pages full of zeros (1), nor those of the cache that have private data (4).
_LEFT_OUT = {2: ("Cached", "SwapCached"), 8: ("AnonPages",), 16: ("MemFree",)}


def meminfo(text: str) -> dict[str, int]:
    """Return the bytes of each line of /proc/meminfo, by its name."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if number.isdigit() and unit == "kB":
            found[name] = int(number) << 10
    return found


def pages(memory: Mapping[str, int], level: int) -> int:
    """Return the bytes of memory that a dump of ``level`` has, before they are compressed."""
    names = (name for bit, each in _LEFT_OUT.items() if level & bit for name in each)
    return max(0, memory.get("MemTotal", 0) - sum(memory.get(name, 0) for name in names))
