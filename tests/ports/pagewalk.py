# SPDX-License-Identifier: GPL-2.0-or-later
"""Which page frames a dump level leaves out, told by drgn's reading of a vmcore, not by ours.

drgn finds kernel addresses by page tables of its own reading. What struct pages mean is
tests.saver.oracle's; where they lie is read here, by VMCOREINFO.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import drgn
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms

from tests.saver.dialects import Dialect
from tests.saver.oracle import Rules, excluded
from tests.saver.structpages import StructPage

#: Flags in the low bits of mem_section.section_mem_map, and that the section has struct pages
#: (include/linux/mmzone.h).
_FLAGS, _HAS_MEM_MAP = 0xFFF, 2
#: What a processor may count for itself before a zone's counters have it: threshold in mm/vmstat.c.
_NOT_FOLDED = 125
_BATCH = 512


class PageWalk:
    """The struct pages of a vmcore, and the counters of its zones."""

    def __init__(self, vmcore: Path) -> None:
        self._program = program = drgn.Program()
        program.set_core_dump(vmcore)
        text = program["VMCOREINFO"].string_().decode()
        self.info = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        # drgn looks at a processor's features for its page tables.
        index = load_vmlinux_kallsyms(program)
        program.register_symbol_finder("kallsyms", index, enable_index=0)
        flags = drgn.PlatformFlags
        self._word = 8 if program.platform.flags & flags.IS_64_BIT else 4
        self._order = "little" if program.platform.flags & flags.IS_LITTLE_ENDIAN else "big"
        self._size = int(self.info["SIZE(page)"])
        self._maps = self._sections()
        self._dialect = Dialect("", {}, {}, bytes="OFFSET(page.compound_dtor)" in self.info)

    def left_out(self, ram: list[int], level: int) -> set[int]:
        """Return those page frames of ram (in ascending order) that a dump of a level lacks."""
        return excluded(Rules(self.info, self._dialect, self.page), ram, level)

    def free(self) -> range:
        """Return how many free pages the zones count: the last few may not have been added yet."""
        count, zones = 0, 0
        at = self._number("OFFSET(zone.vm_stat)")
        at += self._word * self._number("NUMBER(NR_FREE_PAGES)")
        for node in self._nodes():
            for zone in range(self._long(node + self._number("OFFSET(pglist_data.nr_zones)"), 4)):
                start = node + self._number("OFFSET(pglist_data.node_zones)")
                count += self._long(start + zone * self._number("SIZE(zone)") + at)
                zones += 1
        return range(count - zones * _NOT_FOLDED, count + zones * _NOT_FOLDED + 1)

    def page(self, pfn: int) -> StructPage | None:
        """Return the words of a struct page; None where there is none."""
        start = pfn - pfn % _BATCH
        raw = self._batch(start)
        if raw is None:
            return None
        at = (pfn - start) * self._size
        return self._parse(raw[at : at + self._size])

    @lru_cache(maxsize=4)  # noqa: B019 - a walk lives as long as a test
    def _batch(self, start: int) -> bytes | None:
        address = self._address(start)
        if address is None:
            return None
        return bytes(self._program.read(address, _BATCH * self._size))

    def _parse(self, raw: bytes) -> StructPage:
        def field(name: str, size: int = self._word) -> int:
            at = int(self.info.get(f"OFFSET(page.{name})", 0))
            return int.from_bytes(raw[at : at + size], self._order)  # type: ignore[arg-type]

        compound = "compound_info" if "OFFSET(page.compound_info)" in self.info else "compound_head"
        return StructPage(
            flags=field("flags"),
            compound=field(compound),
            second=field("compound_dtor") if self._dialect.bytes else 0,
            mapping=field("mapping"),
            private=field("private"),
            mapcount=field("_mapcount", 4),
        )

    def _address(self, pfn: int) -> int | None:
        # Of the struct page of a page frame.
        if self._maps is None:
            return self._long(self._symbol("mem_map")) + pfn * self._size
        shift = self._number("NUMBER(SECTION_SIZE_BITS)") - self._page_shift
        base = self._maps.get(pfn >> shift)
        return None if base is None else (base + pfn * self._size) % (1 << 64)

    @property
    def _page_shift(self) -> int:
        return self._number("PAGESIZE").bit_length() - 1

    def _sections(self) -> dict[int, int] | None:
        # Section → where struct page 0 would be if its struct pages were all; None: FLATMEM.
        if "SYMBOL(mem_section)" not in self.info:
            return None
        root, size = self._symbol("mem_section"), self._number("SIZE(mem_section)")
        each = self._number("PAGESIZE") // size
        count = self._number("LENGTH(mem_section)")
        found = {}
        pointers = self._program.read(root, count * self._word)
        for number in range(count):
            start = number * self._word
            raw = pointers[start : start + self._word]
            table = int.from_bytes(raw, self._order)  # type: ignore[arg-type]
            for place in range(each) if table else ():
                value = self._long(table + place * size)
                if value & _HAS_MEM_MAP:
                    found[number * each + place] = value & ~_FLAGS
        return found

    def _nodes(self) -> list[int]:
        if "SYMBOL(contig_page_data)" in self.info:
            return [self._symbol("contig_page_data")]
        # Of a machine with one node the other pointers are nil.
        return [self._long(self._symbol("node_data"))]

    def _long(self, address: int, size: int = 0) -> int:
        raw = self._program.read(address, size or self._word)
        return int.from_bytes(raw, self._order)  # type: ignore[arg-type]

    def _number(self, key: str) -> int:
        return int(self.info[key], 0)

    def _symbol(self, name: str) -> int:
        text = self.info.get(f"SYMBOL({name})")
        return self._program.symbol(name).address if text is None else int(text, 16)
