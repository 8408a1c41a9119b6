# SPDX-License-Identifier: GPL-2.0-or-later
"""Page tables: from a virtual address to a physical one, whatever the architecture's tables are.

A walk takes at most one entry of each level, whatever they say. Of each level, the last part of a
table is kept, and which addresses the table is for: ascending addresses only need the lowest level.
"""

from __future__ import annotations

import struct

from .reader import absent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Read = Callable[[int, int], bytes]
    Levels = Sequence[tuple[int, int]]
    #: From an entry and the lowest bit of its level's index, to the physical address in the entry
    #: and how many bits of an address are an offset from there; 0 bits mean that a table is there.
    #: None for an entry that leads nowhere.
    Decode = Callable[[int, int], "tuple[int, int] | None"]

#: The most bytes of a table that are read at once.
_CHUNK = 4096


def walker(
    read: Read, root: int, levels: Levels, decode: Decode, *, size: int = 8, big: bool = False
) -> Callable[[int], tuple[int, int]]:
    """Return the function from a virtual to a physical address, and the bytes from there on.

    It raises SaverError for an address that is not mapped, or whose tables are not there; OSError.

    read    returns physical memory, by its address and length
    root    physical address of the table of the first level
    levels  of each, the lowest bit of its index in an address, and the bits of that, root first
    size    bytes of an entry, 4 or 8; big: whether it is big-endian
    """
    unpack = struct.Struct((">" if big else "<") + {4: "I", 8: "Q"}[size]).unpack_from
    last = len(levels) - 1
    steps = [(shift, (1 << bits) - 1, min(_CHUNK, size << bits) - 1) for shift, bits in levels]
    # By level: the first bit above the index, the last address from there on, the table for that,
    # the part of the table that is kept, and the physical address of the part.
    above = [shift + bits for shift, bits in levels]
    prefixes: list[int | None] = [None] * len(levels)
    tables = [root] * len(levels)
    parts = [b""] * len(levels)
    places: list[int | None] = [None] * len(levels)

    def walk(address: int) -> tuple[int, int]:
        level = last
        while level and address >> above[level] != prefixes[level]:
            level -= 1
        while True:
            shift, mask, rest = steps[level]
            at = (address >> shift & mask) * size
            skip = at & rest
            place = tables[level] + at - skip
            if place != places[level]:
                parts[level] = read(place, rest + 1)
                places[level] = place
            found = decode(unpack(parts[level], skip)[0], shift)
            if found is None:
                break
            base, bits = found
            if bits:
                skip = address & (1 << bits) - 1
                return (base >> bits << bits) + skip, (1 << bits) - skip
            if level == last:
                break
            level += 1
            prefixes[level] = address >> above[level]
            tables[level] = base
        raise absent("virtual", address)

    return walk
