# SPDX-License-Identifier: GPL-2.0-or-later
"""The applets of a busybox: its own table, read without running it."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Names by which the table is found: every busybox has one of them.
_ANCHORS = ("umount", "mkdir", "cat", "ls", "sh")
#: A run of this many names is the table; a shorter one may be, if there is none longer.
_SURE = 30
_NAME = re.compile(rb"[\w\[][\w.\[+-]*", re.ASCII)


def offered(busybox: bytes, names: Iterable[str]) -> frozenset[str]:
    """Return those of ``names`` that the program has as applets.

    Such names are in it for other reasons, too ("timeout" is also an option's argument, "stat" a
    file of /proc). The table is the one long run of sorted names, each ended by a NUL (busybox,
    include/applet_tables.h: applet_names, in which busybox searches by bisection).
    """
    table: tuple[bytes, ...] = ()
    wanted = {name: name.encode() for name in names}
    for name in (*map(str.encode, _ANCHORS), *wanted.values()):
        at = busybox.find(b"\0" + name + b"\0") if len(table) < _SURE else -1
        while at >= 0:
            if name not in table:
                table = max(table, _run(busybox, at + 1), key=len)
            at = busybox.find(b"\0" + name + b"\0", at + 1)
    return frozenset(text for text, name in wanted.items() if name in table)


def _run(data: bytes, start: int) -> tuple[bytes, ...]:
    """Return the sorted names around the one at ``start``."""
    name = data[start : data.index(b"\0", start)]
    found = [name]
    end = start + len(name)
    while (following := data.find(b"\0", end + 1)) >= 0:
        name = data[end + 1 : following]
        if not _NAME.fullmatch(name) or name <= found[-1]:
            break
        found.append(name)
        end = following
    before = start - 1
    while (leading := data.rfind(b"\0", 0, before)) >= 0:
        name = data[leading + 1 : before]
        if not _NAME.fullmatch(name) or name >= found[0]:
            break
        found.insert(0, name)
        before = leading
    return tuple(found)
