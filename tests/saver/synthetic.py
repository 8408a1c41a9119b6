# SPDX-License-Identifier: GPL-2.0-or-later
"""Synthetic vmcores with struct pages, built from a text (description.py) in a moment."""

from __future__ import annotations

from pathlib import Path

from .description import parse
from .dialects import PAGE_STRUCT, SECTION_STRUCT
from .layout import PER_PAGE, SECTION, DescriptionError, Layout
from .pagetables import LARGE, Arena, Image, PageTables, Range, write_core
from .structpages import Block, pack
from .vmcore import PAGE, Core

#: What lies where the vmemmap optimisation gave memory back, and for sections that are absent:
#: struct pages of free pages, so that who reads them does not go unnoticed.
_TRAP = Block("free")


def build(described: Layout | str, path: Path) -> Path:
    """Write the vmcore of a described machine; raises DescriptionError."""
    layout = parse(described) if isinstance(described, str) else described
    base, image, arena = layout.base, Image(), Arena(layout.base + LARGE)
    tables = PageTables(base + 0x3000, arena, levels=layout.levels, mask=layout.sme)
    image.write(base, b"kernel text of a synthetic kernel")
    image.write(base + 0x1000, _utsname(f"{layout.dialect.release}-synthetic"))
    array = arena.take(layout.place.roots * 8)
    _data(layout, image, arena, array)
    _sections(layout, image, arena, array)
    frames = _struct_pages(layout, image, Arena(base + layout.tables))
    _map(layout, tables, frames)
    # The kernel's own are mapped too: makedumpfile walks the tables for every address.
    tables.map(layout.place.text, base, large=True)
    for address in range(base, base + layout.tables, LARGE):
        tables.map(layout.page_offset + address, address, large=True)
    for level in layout.loops:
        tables.loop(layout.vmemmap, level)
    tables.write(image)
    if arena.at > base + layout.tables:
        raise DescriptionError("the structures need more than their place")
    ranges = [Range(base, base + LARGE, layout.place.text)]
    for start, end in layout.memory + layout.loads:
        ranges.append(Range(start, end, layout.page_offset + start))
    for pfn, kind in layout.texts.items() if layout.contents else ():
        image.write(pfn * PAGE, b"page frame %#x, %s" % (pfn, kind.encode()))
    notes = Core(info=[f"{key}={value}" for key, value in layout.info.items()]).notes()
    return write_core(path, ranges, notes, image)


def _utsname(release: str) -> bytes:
    names = ("Linux", "synthetic", release, "#1 SMP", "x86_64", "(none)")
    return b"".join(name.encode().ljust(65, b"\0") for name in names)


def _data(layout: Layout, image: Image, arena: Arena, array: int) -> None:
    # The variable mem_section, and others around it: pointers to objects that have odd words, as
    # a node of a red-black tree has (its colour is bit 0 of the address of its parent).
    page = arena.take(PAGE)
    node = layout.page_offset + page
    image.write(page, (node | 1).to_bytes(8, "little") * (PAGE // 8))
    image.write(layout.base + 0x2000, (layout.page_offset + array).to_bytes(8, "little"))
    image.write(layout.base + 0x2040, node.to_bytes(8, "little") * 3)


def _sections(layout: Layout, image: Image, arena: Arena, array: int) -> None:
    # mem_section: an array of pointers to pages full of struct mem_section.
    flags = (1 << layout.section_flags) - 1
    per_root = PAGE // SECTION_STRUCT
    roots: dict[int, int] = {}
    for number in sorted(layout.sections | layout.absent):
        root = number // per_root
        if root not in roots:
            roots[root] = arena.take(PAGE)
            entry = layout.page_offset + roots[root]
            image.write(array + 8 * root, entry.to_bytes(8, "little"))
        # The stored address is that of page frame 0's struct page; bit 0 says present.
        value = layout.vmemmap | (flags & ~1 if number in layout.absent else flags)
        address = roots[root] + number % per_root * SECTION_STRUCT
        image.write(address, value.to_bytes(8, "little"))


def _struct_pages(layout: Layout, image: Image, arena: Arena) -> dict[int, int]:
    # Writes the struct pages of all sections; returns where, by section.
    dialect, frames = layout.dialect, {}
    trap = pack(_TRAP.pages(dialect, 0)[0], dialect) * PER_PAGE
    other = pack(layout.other, dialect)
    buffers = {number: bytearray(other * SECTION) for number in layout.own}
    for pfn, page in layout.pages.items():
        at = pfn % SECTION * PAGE_STRUCT
        buffers[pfn // SECTION][at : at + PAGE_STRUCT] = pack(page, dialect)
    per_section = SECTION // PER_PAGE
    for page_of_vmemmap in layout.aliases:
        at = page_of_vmemmap % per_section * PAGE
        buffers[page_of_vmemmap // per_section][at : at + PAGE] = trap
    for number, buffer in buffers.items():
        frames[number] = arena.take(LARGE, LARGE)
        if layout.small:  # page by page from the end
            pages = [bytes(buffer[at : at + PAGE]) for at in range(0, LARGE, PAGE)]
            image.write(frames[number], b"".join(reversed(pages)))
        else:
            image.write(frames[number], bytes(buffer))
    if layout.absent:
        frame = arena.take(LARGE, LARGE)
        image.write(frame, trap * per_section)
        frames.update(dict.fromkeys(layout.absent, frame))
    for first, last, block in layout.repeats:
        frame = arena.take(LARGE, LARGE)
        packed = b"".join(pack(page, dialect) for page in block.pages(dialect, layout.vmemmap))
        image.write(frame, packed * (SECTION >> block.order))
        frames.update(dict.fromkeys(range(first, last), frame))
    return frames


def _map(layout: Layout, tables: PageTables, frames: dict[int, int]) -> None:
    per_section = SECTION // PER_PAGE
    odd = {at // per_section for at in (*layout.holes, *layout.aliases)}

    def place(at: int) -> int:
        step = at % per_section
        step = per_section - 1 - step if layout.small else step
        return frames[at // per_section] + step * PAGE

    for number, frame in frames.items():
        address = layout.vmemmap + number * LARGE
        if number not in odd and not layout.small:
            tables.map(address, frame, large=True)
            continue
        for step in range(per_section):
            at = number * per_section + step
            if at not in layout.holes:
                target = place(layout.aliases.get(at, at))
                tables.map(address + step * PAGE, target, large=False)


#: Every kind of page but slab-odd, which makedumpfile 1.7.2 takes for anonymous, and poisoned tail
#: pages, of which the rules say two things. It goes with 5 MiB of memory or more.
KINDS_OF_PAGES = """
    0x100+64 anon
    0x140+256 free order=3
    0x240+16 file
    0x250+16 file-private
    0x260+16 tmpfs
    0x270+8 ksm
    0x278+8 swapcache
    0x280+8 swapcache-anon
    0x288+8 owner-flag
    0x290+8 file-isolated
    0x298+8 movable-ops
    0x2a0 hwpoison
    0x2a1 file +hwpoison
    0x2a2 anon +hwpoison
    0x2a3 free +hwpoison
    0x2a4+4 offline
    0x2a8+8 offline order=3
    0x2b0 tail
    0x2b1 tail +swapbacked
    0x2b8+32 slab order=3
    0x2d8+8 pagetable
    0x2e0+32 percpu-free
    0x300+32 file-large order=4 tail+lru tail+swapbacked
    0x320 file-large order=4 +private
    0x330 kernel order=4
    0x340 slab order=4 +hwpoison
    0x350 anon +slab
    0x360+32 kernel
    0x380 hugetlb-file order=4
    0x390 hugetlb-free order=4
"""
#: The same with large blocks, in several ranges.
EVERY_KIND = f"""
    memory 0-32M, 64M-70M, 256M-258M
    {KINDS_OF_PAGES}
    0x400 anon-thp order=9
    0x600 hugetlb-file order=9
    0x800 hugetlb-anon order=9 tail+lru
    0xa00 hugetlb-free order=9 hvo
    0xc00 anon-thp order=9 +hwpoison
    0xe00 hugetlb-file order=9 hvo +hwpoison
    0x1000+1024 free order=10
    0x1400+0x200 file-large order=5
    0x4000+1024 free order=10
    0x4400 unaccepted order=8
    0x10000+256 free order=8
    0x10100+256 file
"""
#: The first GiB of both machines of 1 TiB.
_TEBIBYTE = """
    kernel 6.12
    memory 0-1T
    structures 512M
    no-contents
    0x1000+0x8000 anon
    0x9000+0x4000 file-large order=4
    0xd000+0x1000 free order=5
    0xe000+0x1000 slab order=3
    0x10000+0x8000 anon-thp order=9
    0x18000+0x4000 hugetlb-file order=9 hvo
    0x28000+0x10000 free order=10
    0x38000+0x4000 tmpfs
    0x3c000+0x2000 kernel
"""


def tebibyte_free(path: Path) -> Path:
    """Write a vmcore of 1 TiB whose memory is free but for some of the first GiB."""
    return build(TEBIBYTE_FREE, path)


def tebibyte_cache(path: Path) -> Path:
    """Write a vmcore of 1 TiB full of single pages of files but for some of the first GiB."""
    return build(TEBIBYTE_CACHE, path)


TEBIBYTE_FREE = _TEBIBYTE + "    repeat 1G-1T free order=10\n"
TEBIBYTE_CACHE = _TEBIBYTE + "    repeat 1G-1T file\n"


#: A machine whose pages shrink at each step: all of it, without free pages, without files.
STEPS = """
    kernel 6.12
    memory 0-48M
    structures 38M
    0x100+0xf00 kernel
    0x1000+0x800 file
    0x1800+0x800 free order=10
"""
