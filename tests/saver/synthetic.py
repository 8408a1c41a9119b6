# SPDX-License-Identifier: GPL-2.0-or-later
"""Synthetic vmcores with struct pages, built from a text (description.py) in a moment."""

from __future__ import annotations

from pathlib import Path

from .description import parse
from .dialects import NODE_SIZE, node
from .layout import DescriptionError, Layout
from .pagetables import LARGE, Arena, Image, PageTables, Range, write_core
from .port import Piece
from .structpages import Block, pack
from .vmcore import Core

#: What lies where the vmemmap optimisation gave memory back, and for sections that are absent:
#: struct pages of free pages, so that who reads them does not go unnoticed.
_TRAP = Block("free")


def build(described: Layout | str, path: Path) -> Path:
    """Write the vmcore of a described machine; raises DescriptionError."""
    layout = parse(described) if isinstance(described, str) else described
    base, port, image, arena = layout.base, layout.port, Image(), Arena(layout.base + LARGE)
    array = arena.take(layout.roots * layout.root_size)
    tables = PageTables(base + port.root, arena, port.shape(layout))
    image.write(base, b"kernel text of a synthetic kernel")
    image.write(base + 0x1000, _utsname(f"{layout.dialect.release}-synthetic", port.uname))
    _data(layout, image, arena, array)
    port.data(layout, image)
    parts = _struct_pages(layout, image, Arena(base + layout.tables))
    if layout.model == "flat":
        _node(layout, image, parts[0])
    else:
        _sections(layout, image, arena, array, parts)
    if layout.model == "vmemmap":
        port.map_vmemmap(layout, tables, _pieces(layout, parts), image, arena)
    # The kernel's own are mapped too: makedumpfile walks the tables for every address.
    port.map_kernel(layout, tables)
    for level in layout.loops:
        tables.loop(layout.vmemmap, level)
    tables.write(image)
    if arena.at > base + layout.tables:
        raise DescriptionError("the structures need more than their place")
    ranges = [Range(base, base + LARGE, layout.place.text)]
    for start, end in layout.memory + layout.loads:
        ranges.append(Range(start, end, port.address(layout, start)))
    for pfn, kind in layout.texts.items() if layout.contents else ():
        image.write(pfn * port.page, b"page frame %#x, %s" % (pfn, kind.encode()))
    core = Core(port.machine, info=[f"{key}={value}" for key, value in layout.info.items()])
    core.wide = core.wide or layout.memory[-1][1] > 1 << 32
    return write_core(path, ranges, core, image, page=port.page)


def _utsname(release: str, machine: str) -> bytes:
    names = ("Linux", "synthetic", release, "#1 SMP", machine, "(none)")
    return b"".join(name.encode().ljust(65, b"\0") for name in names)


def _data(layout: Layout, image: Image, arena: Arena, array: int) -> None:
    # The variable mem_section, and others around it: pointers to objects that have odd words, as
    # a node of a red-black tree has (its colour is bit 0 of the address of its parent).
    long, page_size = layout.port.machine.long, layout.port.page
    page = arena.take(page_size, page_size)
    node = layout.page_offset + page
    image.write(page, long(node | 1) * (page_size // layout.port.machine.word))
    image.write(layout.base + 0x2000, long(layout.page_offset + array))
    image.write(layout.base + 0x2040, long(node) * 3)


def _sections(
    layout: Layout, image: Image, arena: Arena, array: int, parts: dict[int, int]
) -> None:
    # mem_section: an array of pointers to pages full of struct mem_section, or of these themselves.
    port, flags = layout.port, (1 << layout.section_flags) - 1
    per_root = port.page // port.section_struct
    roots: dict[int, int] = {}
    for number in sorted(layout.sections | layout.absent):
        root = number // per_root
        if layout.model == "static":
            roots[root] = array + root * port.page
        elif root not in roots:
            roots[root] = arena.take(port.page, port.page)
            entry = layout.page_offset + roots[root]
            image.write(array + port.machine.word * root, port.machine.long(entry))
        # The stored address is that of page frame 0's struct page; bit 0 says present.
        value = layout.vmemmap
        if layout.model != "vmemmap":
            part, at = layout.where(number * layout.section)
            first = layout.page_offset + parts[part] + at * port.page_struct
            value = first - number * layout.section * port.page_struct
        value |= flags & ~1 if number in layout.absent else flags
        address = roots[root] + number % per_root * port.section_struct
        image.write(address, port.machine.long(value))


def _node(layout: Layout, image: Image, array: int) -> None:
    # contig_page_data, and mem_map behind it. The node begins where memory does, which need not be
    # where the array begins.
    port, start = layout.port, layout.memory[0][0] // layout.port.page
    long, at, place = port.machine.long, node(port), layout.base + 0x2100
    first = layout.page_offset + array
    mem_map = first + (start - layout.start) * port.page_struct
    image.write(place + at["nr_zones"], long(1))
    image.write(place + at["node_mem_map"], long(mem_map))
    image.write(place + at["node_start_pfn"], long(start))
    image.write(place + at["node_spanned_pages"], long(layout.memory[-1][1] // port.page - start))
    image.write(place + NODE_SIZE, long(first))


def _struct_pages(layout: Layout, image: Image, arena: Arena) -> dict[int, int]:
    # Writes the struct pages of all sections; returns where, by the numbers of their parts.
    dialect, port, size = layout.dialect, layout.port, layout.port.page_struct
    align = LARGE if layout.model == "vmemmap" and layout.part % LARGE == 0 else port.page
    trap, other = (pack(page, dialect, port) for page in (_TRAP.pages(dialect, 0)[0], layout.other))
    frames: dict[int, int] = {}
    buffers = {number: bytearray(other * layout.per_part) for number in layout.own}
    for pfn, page in layout.pages.items():
        part, at = layout.where(pfn)
        buffers[part][at * size : (at + 1) * size] = pack(page, dialect, port)
    per_part = layout.part // port.page
    for page_of_vmemmap in layout.aliases:
        at = page_of_vmemmap % per_part * port.page
        buffers[page_of_vmemmap // per_part][at : at + port.page] = trap * layout.per_page
    for section in layout.absent:
        part, at = layout.where(section * layout.section)
        if part in buffers:
            buffers[part][at * size : (at + layout.section) * size] = trap * layout.section
    for number, buffer in buffers.items():
        frames[number] = arena.take(len(buffer), align)
        if layout.small:  # page by page from the end
            step = port.page
            pages = [bytes(buffer[at : at + step]) for at in range(0, len(buffer), step)]
            image.write(frames[number], b"".join(reversed(pages)))
        else:
            image.write(frames[number], bytes(buffer))
    absent = {layout.where(section * layout.section)[0] for section in layout.absent}
    if absent - set(buffers):
        frame = arena.take(layout.part, align)
        image.write(frame, trap * layout.per_part)
        frames.update(dict.fromkeys(absent - set(buffers), frame))
    for first, last, block in layout.repeats:
        frame = arena.take(layout.part, align)
        packed = b"".join(
            pack(page, dialect, port) for page in block.pages(dialect, layout.vmemmap, size)
        )
        image.write(frame, packed * (layout.per_part >> block.order))
        frames.update(dict.fromkeys(range(first, last), frame))
    return frames


def _pieces(layout: Layout, parts: dict[int, int]) -> list[Piece]:
    # How vmemmap is mapped: by large pages, or by small ones where that is described.
    page, block = layout.port.page, layout.port.block
    per_part = layout.part // page
    odd = {at // per_part for at in (*layout.holes, *layout.aliases)}
    pieces: list[Piece] = []

    def place(at: int) -> int:
        step = at % per_part
        step = per_part - 1 - step if layout.small else step
        return parts[at // per_part] + step * page

    for number, frame in parts.items():
        address = layout.vmemmap + number * layout.part
        if number not in odd and not layout.small:
            pieces += [(address + at, frame + at, block) for at in range(0, layout.part, block)]
            continue
        for step in range(per_part):
            at = number * per_part + step
            if at not in layout.holes:
                target = place(layout.aliases.get(at, at))
                pieces.append((address + step * page, target, page))
    return pieces


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
