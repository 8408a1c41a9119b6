# SPDX-License-Identifier: GPL-2.0-or-later
"""Physical memory in the making, x86_64 page tables in it, and the ELF file around it."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .vmcore import PAGE

LARGE = 2 << 20
#: Present, writable, accessed, dirty; the page size bit of a 2 MiB entry; global; no execution.
_TABLE, _LARGE, _LEAF = 0x63, 0x80, 1 << 63 | 0x163


@dataclass
class Image:
    """What is written where in physical memory; elsewhere it is zeros."""

    parts: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, address: int, data: bytes) -> None:
        """Put data at a physical address; what comes later wins."""
        self.parts.append((address, data))


@dataclass
class Arena:
    """Hands out physical memory from an address on."""

    at: int

    def take(self, size: int, align: int = PAGE) -> int:
        """Return the address of size bytes that nobody else gets."""
        start = -(-self.at // align) * align
        self.at = start + size
        return start


class PageTables:
    """Page tables of 4 or 5 levels, filled by map()."""

    def __init__(self, root: int, arena: Arena, *, levels: int, mask: int = 0) -> None:
        self.root = root
        self._arena = arena
        self._levels = levels
        self._mask = mask  # memory encryption's bit in every entry
        self._tables = {root: bytearray(PAGE)}

    def _new(self) -> int:
        address = self._arena.take(PAGE)
        self._tables[address] = bytearray(PAGE)
        return address

    def table(self, vaddr: int, level: int) -> int:
        """Return the physical address of the table of a level (0 the lowest) for an address."""
        table = self.root
        for upper in range(self._levels - 1, level, -1):
            raw, place = self._tables[table], self._place(vaddr, upper)
            entry = int.from_bytes(raw[place : place + 8], "little")
            if not entry:
                entry = self._new() | _TABLE | self._mask
                struct.pack_into("<Q", raw, place, entry)
            table = entry & ~self._mask & 0x000FFFFFFFFFF000
        return table

    def _place(self, vaddr: int, level: int) -> int:
        return (vaddr >> 12 + 9 * level & 511) * 8

    def map(self, vaddr: int, paddr: int, *, large: bool) -> None:
        """Map 2 MiB (large) or 4 KiB."""
        self.set(vaddr, int(large), paddr | _LEAF | (_LARGE if large else 0) | self._mask)

    def set(self, vaddr: int, level: int, entry: int) -> None:
        """Write an entry as it is."""
        table = self.table(vaddr, level)
        struct.pack_into("<Q", self._tables[table], self._place(vaddr, level), entry)

    def loop(self, vaddr: int, level: int) -> None:
        """Let the entry of a level for an address point to its own table."""
        self.set(vaddr, level, self.table(vaddr, level) | _TABLE | self._mask)

    def write(self, image: Image) -> None:
        """Put all tables into memory."""
        for address, table in self._tables.items():
            image.write(address, bytes(table))


@dataclass(frozen=True)
class Range:
    """One PT_LOAD: physical addresses start to end, and the virtual address of start."""

    start: int
    end: int
    vaddr: int


def write_core(path: Path, ranges: Iterable[Range], notes: bytes, image: Image) -> Path:
    """Write an x86_64 ELF core as /proc/vmcore lays it out; what the image lacks is a hole."""
    ranges = list(ranges)
    start_of_notes = -(-(64 + 56 * (len(ranges) + 1)) // PAGE) * PAGE
    at = start_of_notes + -(-len(notes) // PAGE) * PAGE
    headers = [struct.pack("<IIQQQQQQ", 4, 0, start_of_notes, 0, 0, len(notes), len(notes), 4)]
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for each in ranges:
            size = each.end - each.start
            # Each is rounded out to whole pages, whose surroundings are in the file too.
            low, high = each.start // PAGE * PAGE, -(-each.end // PAGE) * PAGE
            offset = at + each.start - low
            fields = (1, 7, offset, each.vaddr, each.start, size, size, 0)
            headers.append(struct.pack("<IIQQQQQQ", *fields))
            for address, data in image.parts:
                skip, stop = max(0, low - address), min(len(data), high - address)
                if skip < stop:
                    os.pwrite(fd, data[skip:stop], at + address + skip - low)
            at += high - low
        ident = b"\x7fELF\x02\x01\x01" + bytes(9)
        fixed = (4, 62, 1, 0, 64, 0, 0, 64, 56, len(headers), 0, 0, 0)
        os.pwrite(fd, ident + struct.pack("<HHIQQQIHHHHHH", *fixed) + b"".join(headers), 0)
        os.pwrite(fd, notes, start_of_notes)
        os.ftruncate(fd, at)
    finally:
        os.close(fd)
    return path
