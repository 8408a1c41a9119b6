# SPDX-License-Identifier: GPL-2.0-or-later
"""s390x: with an image of the kernel of its own (Linux 6.10), or where addresses are physical."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ..pagetables import Image, Shape
from ..port import Port
from ..vmcore import S390X as MACHINE

if TYPE_CHECKING:
    from ..layout import Layout

#: The identity mapping of a kernel with random addresses; the kernel's image, and what lies between
#: its start and its text (CONFIG_KERNEL_IMAGE_BASE, TEXT_OFFSET).
_IDENTITY, _IMAGE, _TEXT = 0x280000000, 0x3FFE0000000, 0x100000
#: Where its pointer is in the lowcore (asm/lowcore.h), and the note behind the image's start.
_VMCORE_INFO, _NOTE = 0xE0C, 0x8000
#: Entries: present, read, write, young, dirty, no execution; the same of a large page; the length
#: of a table of regions.
_PAGE, _LARGE, _LENGTH = 0x13D, 0x3503, 3


class S390x(Port):
    """See Port; count is that of its levels of page tables, one says whether addresses are physical
    ones.
    """

    machine = MACHINE
    uname = "s390x"
    section_bits = 28
    section_struct = 16
    block = 1 << 20
    leaves = 3

    def __init__(self, count: int = 3, *, one: bool = False) -> None:
        self.count, self.one = count, one

    def text(self, layout: Layout) -> int:
        """See Port."""
        return layout.base if self.one else _IMAGE + _TEXT

    def direct(self, layout: Layout) -> int:
        """See Port."""
        return 0 if self.one else _IDENTITY

    def vmemmap(self, layout: Layout) -> int:
        """See Port."""
        return {3: 0x37200000000, 4: 0x1C00000000000}[self.count]

    def shape(self, layout: Layout) -> Shape:
        """See Port."""

        def table(address: int, level: int) -> int:
            return address | (level - 1 << 2 | _LENGTH if level > 1 else 0)

        def leaf(address: int, level: int) -> int:
            return address | (_LARGE | level - 1 << 2 if level else _PAGE)

        def empty(level: int) -> int:
            return 0x20 | level - 1 << 2 if level else 0x400

        levels = [(12, 8), (20, 11), (31, 11), (42, 11)][: self.count]
        return Shape(levels, table=table, leaf=leaf, empty=empty, big=True)

    def spare(self, layout: Layout) -> tuple[int, int]:
        """See Port."""
        first = self.vmemmap(layout)
        return first, first + (1 << 38)

    def resolve(self, entry: int, level: int) -> tuple[int, int] | None:
        """See Port: an entry is one of its own kind of table, or the MMU says so by a fault."""
        if level == 0:
            return None if entry & 0x400 else (entry & -4096, 4096)
        if entry & 0x20 or entry >> 2 & 3 != level - 1:
            return None
        size = 1 << 20 + 11 * (level - 1)
        if entry & 0x400 and level < 3:
            return entry & -size, size
        return entry & -(2048 if level == 1 else 4096), 0

    def data(self, layout: Layout, image: Image) -> None:
        """See Port: VMCOREINFO's note, of which the lowcore tells the physical address."""
        text = "".join(f"{key}={value}\n" for key, value in layout.info.items()).encode()
        note = struct.pack(">III", 11, len(text), 0) + b"VMCOREINFO\0\0" + text
        image.write(layout.base + _NOTE, note)
        image.write(_VMCORE_INFO, self.machine.long(layout.base + _NOTE))

    def info(self, layout: Layout) -> dict[str, str]:
        """See Port."""
        info = {
            "SYMBOL(lowcore_ptr)": f"{self.text(layout) + 0x6000:x}",
            "SYMBOL(high_memory)": f"{self.text(layout) + 0x6100:x}",
            "LENGTH(lowcore_ptr)": "512",
            "SAMODE31": "0",
            "EAMODE31": "3000",
        }
        if self.one:
            return {**info, "KERNELOFFSET": "0"}
        return {
            **info,
            "IDENTITYBASE": f"{_IDENTITY:x}",
            "KERNELOFFSET": f"{_IMAGE:x}",
            "KERNELOFFPHYS": f"{layout.base - _TEXT:x}",
        }


PORTS: dict[str, Port] = {
    "s390x": S390x(),
    "s390x-region2": S390x(4),
    "s390x-one": S390x(one=True),
}
