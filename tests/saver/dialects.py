# SPDX-License-Identifier: GPL-2.0-or-later
"""What each kernel release exports of its memory management: VMCOREINFO, flag numbers, types.

6.1 is what Debian's kernel of that release writes; the others follow kernel/crash_core.c or
kernel/vmcore_info.c and include/linux/page-flags.h of their release (x86_64, SPARSEMEM_VMEMMAP).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .port import Port


#: Bytes of struct pglist_data, behind which its pointer mem_map lies here.
NODE_SIZE = 256
#: LENGTH(zone.free_area): orders 0 to 10.
ORDERS = 11
#: enum compound_dtor_id up to 6.5.
COMPOUND_DTOR, HUGETLB_DTOR = 1, 2

_OFFSETS = {
    "flags": 0, "compound": 8, "second": 16, "mapping": 24, "index": 32, "private": 40,
    "_mapcount": 48, "_refcount": 52,
}  # fmt: skip
_FLAGS_5_10 = {
    "lru": 4, "slab": 9, "swapcache": 10, "reserved": 12, "private": 13, "head": 16,
    "swapbacked": 19, "hwpoison": 23, "uptodate": 2, "dirty": 3, "active": 5,
}  # fmt: skip
_FLAGS_6_6 = {
    "uptodate": 3, "dirty": 4, "lru": 5, "head": 6, "active": 8, "slab": 11, "swapcache": 12,
    "reserved": 14, "private": 15, "swapbacked": 19, "hwpoison": 23,
}  # fmt: skip
_FLAGS_6_10 = {
    "uptodate": 3, "dirty": 4, "lru": 5, "head": 6, "active": 8, "swapcache": 11,
    "reserved": 13, "private": 14, "swapbacked": 18, "hwpoison": 22,
}  # fmt: skip
_FLAGS_6_12 = {
    "uptodate": 3, "dirty": 4, "lru": 5, "head": 6, "active": 8, "swapcache": 10,
    "reserved": 13, "private": 14, "swapbacked": 17, "hwpoison": 20,
}  # fmt: skip
_FLAGS_6_15 = {**_FLAGS_6_12, "hwpoison": 21}
# Types are negated bits up to 6.10, a top byte since 6.12.
_TYPES_5_10 = {"buddy": ~0x80, "offline": ~0x100, "table": ~0x200}
_TYPES_6_9 = {**_TYPES_5_10, "hugetlb": ~0x800}
_TYPES_6_10 = {**_TYPES_6_9, "slab": ~0x1000}
_TYPES_6_12 = {
    name: (top << 24) - (1 << 32)
    for name, top in {
        "buddy": 0xF0, "offline": 0xF1, "table": 0xF2, "hugetlb": 0xF4, "slab": 0xF5,
    }.items()
}  # fmt: skip
_TYPES_7_1 = {**_TYPES_6_12, "unaccepted": (0xF7 << 24) - (1 << 32)}


@dataclass(frozen=True, eq=False)
class Dialect:
    """The constants of one kernel release.

    flags    bit numbers of page flags; no "slab" where that is a type
    types    values of _mapcount for the page types
    bytes    destructor and order of a compound page are bytes of its first tail page; otherwise
             the order is the low byte of the first tail's flags, and hugetlb a type, or
    hugetlb  the bit of the first tail's flags that says hugetlb
    """

    release: str
    flags: Mapping[str, int]
    types: Mapping[str, int]
    bytes: bool = False
    hugetlb: int | None = None
    compound: str = "compound_head"
    vmemmap: bool = True
    offsets: Mapping[str, int] = field(default_factory=lambda: _OFFSETS)

    def flag(self, name: str) -> int:
        """Return the mask of a page flag."""
        return 1 << self.flags[name]


def _table() -> dict[str, Dialect]:
    old = Dialect("5.10.0", _FLAGS_5_10, _TYPES_5_10, bytes=True, vmemmap=False)
    new = Dialect("6.12.0", _FLAGS_6_12, _TYPES_6_12)
    moved = {
        "_refcount": 0, "_mapcount": 4, "private": 8, "flags": 16, "index": 24, "compound": 40,
        "second": 48, "mapping": 56,
    }  # fmt: skip
    return {
        "5.10": old,
        "6.1": replace(old, release="6.1.0"),
        "6.6": Dialect("6.6.0", _FLAGS_6_6, _TYPES_5_10, hugetlb=8, vmemmap=False),
        "6.9": Dialect("6.9.0", _FLAGS_6_6, _TYPES_6_9, vmemmap=False),
        "6.10": Dialect("6.10.0", _FLAGS_6_10, _TYPES_6_10),
        "6.12": new,
        "6.15": replace(new, release="6.15.0", flags=_FLAGS_6_15),
        "7.1": Dialect("7.1.0", _FLAGS_6_15, _TYPES_7_1, compound="compound_info"),
        # No kernel's: nothing where it always was.
        "moved": replace(new, release="6.12.1", offsets=moved),
    }


#: Kernel releases by the names that a description uses.
DIALECTS = _table()
#: Those of real kernels.
KERNELS = [name for name in DIALECTS if name != "moved"]


@dataclass(frozen=True)
class Place:
    """Where the structures of a synthetic kernel lie (virtual addresses), entries of the table of
    sections, and Layout's model.
    """

    text: int
    utsname: int
    page_table: int
    sections: int
    vmemmap: int
    node: int
    roots: int
    physical_bits: int
    model: str


def offsets(dialect: Dialect, word: int) -> dict[str, int]:
    """Return where the members of struct page are in a kernel with words of so many bytes."""
    if word == 8:
        return dict(dialect.offsets)
    # Two numbers of 32 bits at the end, words before them.
    places = dialect.offsets.items()
    return {name: at // 2 + 2 * (name == "_refcount") for name, at in places}


def vmcoreinfo(dialect: Dialect, port: Port, place: Place) -> dict[str, str]:
    """Return VMCOREINFO as keys and values, in the kernel's order, without the architecture's."""
    word, at = port.machine.word, offsets(dialect, port.machine.word)
    members = ("flags", "_refcount", "mapping", "_mapcount", "private")
    info = {
        "OSRELEASE": f"{dialect.release}-synthetic",
        "BUILD-ID": "0123456789abcdef0123456789abcdef01234567",
        "PAGESIZE": f"{port.page}",
        "SYMBOL(init_uts_ns)": f"{place.utsname:x}",
        "OFFSET(uts_namespace.name)": "0",
        "SYMBOL(swapper_pg_dir)": f"{place.page_table:x}",
        "SYMBOL(_stext)": f"{place.text:x}",
        **_memory(dialect, port, place),
        "SIZE(page)": f"{port.page_struct}",
        "SIZE(list_head)": f"{2 * word}",
        **{f"OFFSET(page.{name})": f"{at[name]}" for name in members},
        "OFFSET(page.lru)": f"{at['compound']}",
        f"OFFSET(page.{dialect.compound})": f"{at['compound']}",
    }
    if dialect.bytes:
        info["OFFSET(page.compound_dtor)"] = f"{at['second']}"
        info["OFFSET(page.compound_order)"] = f"{at['second'] + 1}"
    info["LENGTH(zone.free_area)"] = f"{ORDERS}"
    info["LENGTH(free_area.free_list)"] = "5"
    for name in ("lru", "private", "swapcache", "swapbacked", "slab", "hwpoison"):
        if name in dialect.flags:
            info[f"NUMBER(PG_{name})"] = f"{dialect.flags[name]}"
    info["NUMBER(PG_head_mask)"] = f"{dialect.flag('head')}"
    for name in ("slab", "buddy", "hugetlb", "offline", "unaccepted"):
        if name in dialect.types:
            info[f"NUMBER(PAGE_{name.upper()}_MAPCOUNT_VALUE)"] = f"{dialect.types[name]}"
    if dialect.bytes:
        info["NUMBER(HUGETLB_PAGE_DTOR)"] = f"{HUGETLB_DTOR}"
    if dialect.hugetlb is not None:
        info["NUMBER(PG_hugetlb)"] = f"{dialect.hugetlb}"
    return info


def _memory(dialect: Dialect, port: Port, place: Place) -> dict[str, str]:
    # What it says of the memory model; without NUMA, mem_map is there in any case.
    if place.model == "flat":
        return {
            "SYMBOL(mem_map)": f"{place.node + NODE_SIZE:x}",
            "SYMBOL(contig_page_data)": f"{place.node:x}",
            **{f"OFFSET(pglist_data.{name})": f"{at}" for name, at in node(port).items()},
        }
    vmemmap = {"SYMBOL(vmemmap)": f"{place.vmemmap:x}"} if dialect.vmemmap else {}
    return {
        **(vmemmap if place.model == "vmemmap" else {}),
        "SYMBOL(mem_section)": f"{place.sections:x}",
        "LENGTH(mem_section)": f"{place.roots}",
        "SIZE(mem_section)": f"{port.section_struct}",
        "OFFSET(mem_section.section_mem_map)": "0",
        "NUMBER(SECTION_SIZE_BITS)": f"{port.section_bits}",
        "NUMBER(MAX_PHYSMEM_BITS)": f"{place.physical_bits}",
    }


def node(port: Port) -> dict[str, int]:
    """Return where the members of struct pglist_data are."""
    names = ("nr_zones", "node_mem_map", "node_start_pfn", "node_spanned_pages")
    return {name: 64 + port.machine.word * number for number, name in enumerate(names)}
