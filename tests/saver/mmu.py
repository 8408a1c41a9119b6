# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory with page tables and nothing around it, and what a machine's MMU would make of them."""

from __future__ import annotations

import random

from kdump_initrd.saver.arch import of_elf
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.memory.reader import Memory
from kdump_initrd.saver.memory.vmcoreinfo import VmcoreInfo

from .description import parse
from .layout import Layout
from .pagetables import Arena, Image, PageTables

_PAGE = 4096
#: Where the kernel's image lies, and swapper_pg_dir in it, and the other tables.
_IMAGE, _TABLES = 96 << 20, 98 << 20


class Bare(Memory):
    """Physical memory in pages of 4 KiB; those that were never written are not there."""

    def __init__(self, layout: Layout) -> None:
        machine = layout.port.machine
        self.abi = of_elf(machine.number).abi(machine.word, machine.big)
        self.pages: dict[int, bytearray] = {}
        self.reads = 0

    def write(self, address: int, data: bytes) -> None:
        """Put data there."""
        while data:
            page, skip = divmod(address, _PAGE)
            piece = data[: _PAGE - skip]
            self.pages.setdefault(page, bytearray(_PAGE))[skip : skip + len(piece)] = piece
            address, data = address + len(piece), data[len(piece) :]

    def read_physical(self, address: int, length: int) -> bytes:
        self.reads += 1
        assert length <= _PAGE
        parts = b""
        while len(parts) < length:
            page, skip = divmod(address + len(parts), _PAGE)
            if page not in self.pages:
                raise SaverError("no such memory")
            parts += self.pages[page][skip : skip + length - len(parts)]
        return parts


class Machine:
    """A machine of a port: its tables, and where what was mapped is."""

    def __init__(self, name: str, seed: int, lines: str = "") -> None:
        self.rng = random.Random(seed)
        text = f"port {name}\n{lines}\nmemory 0-128M\nstructures {_IMAGE >> 20}M"
        self.layout = layout = parse(text)
        self.port = layout.port
        self.shape = self.port.shape(layout)
        self.info = {"PAGESIZE": f"{self.port.page}"}
        text_at = self.port.text(layout)
        self.info["SYMBOL(swapper_pg_dir)"] = f"{text_at + self.port.root:x}"
        self.info["SYMBOL(_stext)"] = f"{text_at + 0x10000:x}"
        self.info.update(self.port.info(layout))
        self.root = _IMAGE + self.port.root
        self.tables = PageTables(self.root, Arena(_TABLES), self.shape)
        self.port.map_kernel(layout, self.tables)
        self.memory = Bare(layout)
        #: What is mapped: virtual address, and physical address and bytes.
        self.places: dict[int, tuple[int, int]] = {}

    def is_free(self, start: int, size: int) -> bool:
        """Tell whether nothing is mapped there."""
        places = self.places.items()
        return not any(start < old + more and old < start + size for old, (_, more) in places)

    def map_some(self, count: int) -> None:
        """Map pages of all sizes, so many or fewer, where there is nothing else."""
        first, end = self.port.spare(self.layout)
        bits = self.port.reach
        for _ in range(count):
            level = self.rng.randrange(min(self.port.leaves, len(self.shape.levels)))
            size = 1 << self.shape.levels[level][0]
            start = self.rng.randrange(first, end) & -size
            if start < first or start + size > end or not self.is_free(start, size):
                continue
            target = self.rng.randrange(1 << bits) & -size
            self.tables.map(start, target, level=level)
            self.places[start] = target, size

    def write(self) -> None:
        """Put the tables into memory; data are the pages of 4 KiB without any."""
        data, image = Image(), Image()
        self.port.data(self.layout, data)
        self.tables.write(image)
        for address, raw in data.parts:
            self.memory.write(address, raw)
        self.data = set(self.memory.pages)
        for address, raw in image.parts:
            self.memory.write(address, raw)

    def raw(self, entry: int) -> bytes:
        """Return the bytes of an entry."""
        return entry.to_bytes(self.shape.size, "big" if self.shape.big else "little")

    def vmcoreinfo(self) -> VmcoreInfo:
        """Return what the code under test is told."""
        lines = [f"{key}={value}" for key, value in self.info.items()]
        return VmcoreInfo("\n".join(lines).encode())

    def walk(self, address: int) -> tuple[int, int] | None:
        """Return what the MMU makes of an address, by the plainest walk; None where it faults."""
        table = self.root
        for level in range(len(self.shape.levels) - 1, -1, -1):
            shift, bits = self.shape.levels[level]
            place = table + (address >> shift) % (1 << bits) * self.shape.size
            try:
                raw = self.memory.read_physical(place, self.shape.size)
            except SaverError:
                return None
            entry = int.from_bytes(raw, "big" if self.shape.big else "little")
            found = self.port.resolve(entry, level)
            if found is None:
                return None
            table, size = found
            if size:
                return table + address % size, size - address % size
        return None
