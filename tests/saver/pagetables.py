# SPDX-License-Identifier: GPL-2.0-or-later
"""Physical memory in the making, page tables in it, and the ELF file around it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .vmcore import PAGE, Core

LARGE = 2 << 20


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


@dataclass(frozen=True)
class Shape:
    """How the page tables of an architecture are.

    levels   the lowest bit of addresses that is part of an index, and its bits, by levels, the
             lowest one first
    table    the entry that leads to the table at a physical address, in a table of a level
    leaf     the entry that maps a physical address, in a table of a level
    empty    the entry that leads nowhere
    size     bytes of an entry; big: its byte order
    """

    levels: list[tuple[int, int]]
    table: Callable[[int, int], int]
    leaf: Callable[[int, int], int]
    empty: Callable[[int], int] = lambda level: 0
    size: int = 8
    big: bool = False


class PageTables:
    """Page tables of any shape, filled by map()."""

    def __init__(self, root: int, arena: Arena, shape: Shape) -> None:
        self.root = root
        self._arena = arena
        self._shape = shape
        self._tables: dict[int, bytearray] = {}
        #: The table that an entry leads to, by its table and its place there.
        self._below: dict[tuple[int, int], int] = {}
        self._add(root, len(shape.levels) - 1)

    def table(self, vaddr: int, level: int) -> int:
        """Return the physical address of the table of a level (0 the lowest) for an address."""
        table = self.root
        for upper in range(len(self._shape.levels) - 1, level, -1):
            place = self._place(vaddr, upper)
            below = self._below.get((table, place))
            if below is None:
                below = self._below[table, place] = self._new(upper - 1)
                self._write(table, place, self._shape.table(below, upper))
            table = below
        return table

    def map(self, vaddr: int, paddr: int, *, level: int) -> None:
        """Map as much as an entry of a level maps."""
        self.set(vaddr, level, self._shape.leaf(paddr, level))

    def map_range(self, vaddr: int, paddr: int, size: int, *, level: int) -> None:
        """Map so many bytes by entries of a level."""
        for at in range(0, size, 1 << self._shape.levels[level][0]):
            self.map(vaddr + at, paddr + at, level=level)

    def set(self, vaddr: int, level: int, entry: int) -> None:
        """Write an entry as it is."""
        self._write(self.table(vaddr, level), self._place(vaddr, level), entry)

    def loop(self, vaddr: int, level: int) -> None:
        """Let the entry of a level for an address point to its own table."""
        self.set(vaddr, level, self._shape.table(self.table(vaddr, level), level))

    def write(self, image: Image) -> None:
        """Put all tables into memory."""
        for address, table in self._tables.items():
            image.write(address, bytes(table))

    def _new(self, level: int) -> int:
        size = self._shape.size << self._shape.levels[level][1]
        address = self._arena.take(size, size)
        self._add(address, level)
        return address

    def _add(self, address: int, level: int) -> None:
        entry = self._raw(self._shape.empty(level))
        self._tables[address] = bytearray(entry * (1 << self._shape.levels[level][1]))

    def _place(self, vaddr: int, level: int) -> int:
        shift, bits = self._shape.levels[level]
        return (vaddr >> shift & (1 << bits) - 1) * self._shape.size

    def _raw(self, entry: int) -> bytes:
        return entry.to_bytes(self._shape.size, "big" if self._shape.big else "little")

    def _write(self, table: int, place: int, entry: int) -> None:
        self._tables[table][place : place + self._shape.size] = self._raw(entry)


@dataclass(frozen=True)
class Range:
    """One PT_LOAD: physical addresses start to end, and the virtual address of start."""

    start: int
    end: int
    vaddr: int


def write_core(
    path: Path, ranges: Iterable[Range], core: Core, image: Image, *, page: int = PAGE
) -> Path:
    """Write an ELF core as /proc/vmcore lays it out; what the image lacks is a hole.

    core has the machine and the notes; page is the bytes of a page.
    """
    ranges, notes = list(ranges), core.notes()
    head = len(core.header(0)) + len(core.program_header(0, 0, 0, 0, 0)) * (len(ranges) + 1)
    start_of_notes = -(-head // page) * page
    at = start_of_notes + -(-len(notes) // page) * page
    headers = [core.program_header(4, start_of_notes, 0, 0, len(notes))]
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for each in ranges:
            size = each.end - each.start
            # Each is rounded out to whole pages, whose surroundings are in the file too.
            low, high = each.start // page * page, -(-each.end // page) * page
            offset = at + each.start - low
            headers.append(core.program_header(1, offset, each.vaddr, each.start, size))
            for address, data in image.parts:
                skip, stop = max(0, low - address), min(len(data), high - address)
                if skip < stop:
                    os.pwrite(fd, data[skip:stop], at + address + skip - low)
            at += high - low
        os.pwrite(fd, core.header(len(headers)) + b"".join(headers), 0)
        os.pwrite(fd, notes, start_of_notes)
        os.ftruncate(fd, at)
    finally:
        os.close(fd)
    return path
