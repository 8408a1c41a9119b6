# SPDX-License-Identifier: GPL-2.0-or-later
"""ppc64 of both byte orders: pages of 4 and 64 KiB, radix tables or a hash."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ..pagetables import Arena, Image, PageTables, Shape
from ..port import Piece, Port
from ..vmcore import Machine

if TYPE_CHECKING:
    from ..layout import Layout

DIRECT = 0xC000000000000000
#: By page size with a hash; radix has the latter whatever its pages (as seen in real vmcores).
_VMEMMAP = {4096: 0xC0003F0000000000, 65536: 0xC00C000000000000}
#: Where older kernels have it: a region of its own (VMEMMAP_REGION_ID).
_OLD = 0xF000000000000000
#: Bits of the indexes, the lowest level first.
_RADIX = {4096: (9, 9, 9, 13), 65536: (5, 9, 9, 13)}
_HASH = {4096: (9, 7, 9, 9), 65536: (8, 10, 10, 8)}
#: Entries: it is one, of a page; a page of the kernel; bits that only hash tables have in one.
_VALID, _LEAF, _KERNEL, _HASHED = 1 << 63, 1 << 62, 0x18E, 0x00E0000000000000
#: Where these lie in the kernel's image, and bytes of the structures.
LIST, _PSIZE, _DEFS, _SPEC = 0x4000, 0x4100, 0x5000, 0x6000
_DEF_SIZE, _NODE_SIZE = 96, 24
_KIND = {4096: 0, 65536: 2, 2 << 20: 7, 16 << 20: 10}


class Ppc64(Port):
    """See Port; vmemmap is mapped by blocks of the hash's pages, or of 2 MiB by radix tables.

    old says that it is where older kernels have it.
    """

    section_bits = 24
    section_struct = 16
    leaves = 3

    def __init__(self, page: int, *, radix: bool, big: bool, old: bool = False) -> None:
        self.machine = Machine(8, big, 21)
        self.uname = "ppc64" if big else "ppc64le"
        self.page, self.radix, self.old = page, radix, old
        self.block = 2 << 20 if radix else 65536 if page == 65536 else 16 << 20
        self.physical_bits = 51 if page == 65536 else 46
        self._start = _VMEMMAP[65536 if radix else page]

    def text(self, layout: Layout) -> int:
        """See Port."""
        return DIRECT + layout.base

    def direct(self, layout: Layout) -> int:
        """See Port."""
        return DIRECT

    def vmemmap(self, layout: Layout) -> int:
        """See Port."""
        return _OLD if self.old else self._start

    def shape(self, layout: Layout) -> Shape:
        """See Port."""
        shift, levels = self.page.bit_length() - 1, []
        for bits in (_RADIX if self.radix else _HASH)[self.page]:
            levels.append((shift, bits))
            shift += bits

        def table(address: int, level: int) -> int:
            # Radix tables tell how many bits of an index the next one has.
            return address | _VALID | (levels[level - 1][1] if self.radix else 0)

        def leaf(address: int, level: int) -> int:
            return address | _VALID | _LEAF | _KERNEL | (0 if self.radix else _HASHED)

        return Shape(levels, table=table, leaf=leaf, big=True)

    def spare(self, layout: Layout) -> tuple[int, int]:
        """See Port."""
        first = self._start
        return first, first + (1 << 40)

    def resolve(self, entry: int, level: int) -> tuple[int, int] | None:
        """See Port: leaf entries tell so, and those of the last level are."""
        if not entry & _VALID:
            return None
        shift = self.page.bit_length() - 1
        sizes = (_RADIX if self.radix else _HASH)[self.page]
        size = 1 << shift + sum(sizes[:level])
        if entry & _LEAF or level == 0:
            return entry & (1 << 53) - 1 & -size, size
        return entry & ~(_VALID | _LEAF | 0xFF), 0

    def _version(self, layout: Layout) -> list[int]:
        return [int(part) for part in layout.dialect.release.split(".")]

    def _has_list(self, layout: Layout) -> bool:
        # Since Linux 6.6 radix has none.
        return not self.radix or self._version(layout) < [6, 6]

    def map_kernel(self, layout: Layout, tables: PageTables) -> None:
        """See Port: the hash does without entries."""
        if self.radix:
            super().map_kernel(layout, tables)

    def map_vmemmap(
        self, layout: Layout, tables: PageTables, pieces: list[Piece], image: Image, arena: Arena
    ) -> None:
        """See Port."""
        if self.radix:
            super().map_vmemmap(layout, tables, pieces, image, arena)
        if self._has_list(layout):
            assert {size for _, _, size in pieces} == {self.block}, "all of a list have one size"
            self.chain(layout, [(vaddr, paddr) for vaddr, paddr, _ in pieces], image, arena)

    def chain(
        self, layout: Layout, places: list[tuple[int, int]], image: Image, arena: Arena
    ) -> list[int]:
        """Write a list of blocks by (virtual, physical address), the last one first.

        Returns where its nodes are, in the order of the blocks.
        """
        long, nodes, head = self.machine.long, [], 0
        for vaddr, paddr in places:
            nodes.append(arena.take(_NODE_SIZE, 8))
            image.write(nodes[-1], long(head) + long(paddr) + long(vaddr))
            head = DIRECT + nodes[-1]
        image.write(layout.base + LIST, long(head))
        return nodes

    def data(self, layout: Layout, image: Image) -> None:
        """See Port: the size of a block, by its kind, and what CPU it is."""
        base, long = layout.base, self.machine.long
        number = struct.Struct(self.machine.order + "I").pack
        kind, shift = _KIND[self.block], self.block.bit_length() - 1
        image.write(base + _PSIZE, number(kind))
        image.write(base + _DEFS + kind * _DEF_SIZE, number(shift))
        image.write(base + _SPEC, long(self.text(layout) + _SPEC + 0x100))
        features = 0x5C00_0001 | (0x40 if self.radix else 0)
        image.write(base + _SPEC + 0x100 + 32, number(features))

    def info(self, layout: Layout) -> dict[str, str]:
        """See Port."""
        text = self.text(layout)
        info = {
            "SYMBOL(vmemmap_list)": f"{text + LIST:x}",
            "SYMBOL(mmu_vmemmap_psize)": f"{text + _PSIZE:x}",
            "SYMBOL(mmu_psize_defs)": f"{text + _DEFS:x}",
            "SIZE(vmemmap_backing)": f"{_NODE_SIZE}",
            "OFFSET(vmemmap_backing.list)": "0",
            "OFFSET(vmemmap_backing.phys)": "8",
            "OFFSET(vmemmap_backing.virt_addr)": "16",
            "SIZE(mmu_psize_def)": f"{_DEF_SIZE}",
            "OFFSET(mmu_psize_def.shift)": "0",
        }
        if self._version(layout) >= [6, 8]:
            info["SYMBOL(cur_cpu_spec)"] = f"{text + _SPEC:x}"
            info["OFFSET(cpu_spec.cpu_features)"] = "16"
            info["OFFSET(cpu_spec.mmu_features)"] = "32"
            info["NUMBER(RADIX_MMU)"] = f"{int(self.radix)}"
        return {**info, "KERNELOFFSET": "0"}


def _ports() -> dict[str, Port]:
    found: dict[str, Port] = {}
    for page in (4, 64):
        for radix in (False, True):
            for big in (False, True):
                name = f"ppc64{'' if big else 'le'}-{'radix' if radix else 'hash'}-{page}k"
                found[name] = Ppc64(page << 10, radix=radix, big=big)
    return found


PORTS = {"ppc64-hash-64k-old": Ppc64(65536, radix=False, big=True, old=True), **_ports()}
