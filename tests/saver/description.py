# SPDX-License-Identifier: GPL-2.0-or-later
"""The text that describes a synthetic vmcore, read into a Layout.

One statement a line, # begins a comment; sizes are sums with K, M, G, T, and P for pages ("1G+4P").
port comes first, and kernel, paging and kaslr before page frames:

    port s390x                   the architecture, by its name in ports; x86_64 without this line
    kernel 6.12                  the dialect (dialects.py); 6.12 without this line
    paging 5                     levels of the page tables of x86_64; 4 without this line
    model flat                   the memory model (layout.py); else the architecture's
    physical-bits 56             MAX_PHYSMEM_BITS; else the architecture's
    memory 0-256M, 1G-2G         memory, one PT_LOAD each
    load 1M-2M                   one more PT_LOAD of the same memory
    structures 16M               where kernel text and tables lie; else the first range ends so
    section-flags 6              low bits set in section_mem_map; 4 without this line
    sections pointer             SYMBOL(mem_section) is the address of a pointer to the root array
    absent-section 3             a memory section that is not present
    vmemmap small                mapped with 4 KiB entries, frames in descending order
    vmemmap-hole 0x200 128       struct pages of so many page frames are not mapped (both by 64)
    repeat 1G-1T free order=10   whole sections of one block, all mapped to the same memory
    loop 1                       the page table entry of a level (0 the lowest) points to its table
    kaslr                        everything at other virtual addresses
    sme 47                       the bit of memory encryption in page table entries
    no-contents                  pages are zeros; else those with contents tell their page frame
    drop NUMBER(PG_lru)          VMCOREINFO without that line
    set SIZE(page)=63            VMCOREINFO with that value

and for page frames, all others being reserved pages of the kernel:

    0x100 anon                   one page
    0x200+1024 free order=3      blocks of 8 pages
    0x400+100 wild seed=3        no sense at all
    0x800 hugetlb-file order=9 hvo          vmemmap optimised: 7 of 8 pages of it are the first one
    0xa00 file +hwpoison -lru tail+lru      flags of the first page, and of tail pages
    0xa08 free order=3 stored=12 private=99 mapping=1    the order that the block tells; any word
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .dialects import DIALECTS
from .layout import DescriptionError, Layout
from .ports import PORTS
from .structpages import KINDS, Block, wild_pages

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse(text: str) -> Layout:
    """Read a description; raises DescriptionError."""
    layout = Layout()
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            if words[0][0].isdigit():
                _pages(layout, words)
            else:
                _STATEMENTS[words[0]](layout, " ".join(words[1:]))
        except (KeyError, ValueError, IndexError) as error:
            raise DescriptionError(f"{line.strip()}: {error!r}") from error
    if not layout.memory:
        raise DescriptionError("no memory")
    return layout


def size(text: str, page: int) -> int:
    """Return the bytes of "1G+128M", "0x1000", "4096", "16P"."""
    total = 0
    for part in text.split("+"):
        unit = page if part[-1] == "P" else _UNITS.get(part[-1], 0)
        total += int(part[:-1], 0) * unit if unit else int(part, 0)
    return total


def _ranges(layout: Layout, text: str) -> list[tuple[int, int]]:
    found = []
    for part in text.split(","):
        start, _, end = part.strip().partition("-")
        found.append((size(start, layout.port.page), size(end, layout.port.page)))
        if found[-1][0] >= found[-1][1]:
            raise ValueError("an empty range")
    return found


def _pages(layout: Layout, words: list[str]) -> None:
    first, _, many = words[0].partition("+")
    pfn = int(first, 0)
    if words[1] == "wild":
        seed = int(words[2].partition("=")[2])
        found = wild_pages(layout.dialect, pfn, count=int(many, 0), seed=seed)
        layout.pages.update(found)
        layout.texts.update(dict.fromkeys(found, "wild"))
        return
    block = _block(words[1:])
    count = int(many, 0) if many else 1 << block.order
    if count % (1 << block.order):
        raise ValueError("not a whole number of blocks")
    for start in range(pfn, pfn + count, 1 << block.order):
        address = layout.vmemmap + start * layout.port.page_struct
        pages = block.pages(layout.dialect, address, layout.port.page_struct)
        layout.pages.update(enumerate(pages, start))
        if not KINDS[block.kind].zero:
            # Not all: each costs a block of the file.
            last = start + len(pages) - 1
            layout.texts.update(dict.fromkeys((start, min(start + 1, last), last), block.kind))
        if "hvo" in words:
            at = start // layout.per_page
            layout.aliases.update({at + n: at for n in range(1, len(pages) // layout.per_page)})


def _block(words: list[str]) -> Block:
    if words[0] not in KINDS:
        raise ValueError(f"no such kind of page: {words[0]}")
    values = {"order": 0, "stored": -1}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if equals:
            values[name] = int(value, 0)
    order, stored = values.pop("order"), values.pop("stored")
    flags = [re.fullmatch(r"(tail)?([+-])(\w+)", word) for word in words[1:]]

    def those(sign: str, tail: str | None) -> tuple[str, ...]:
        return tuple(m[3] for m in flags if m and (m[1], m[2]) == (tail, sign))

    return Block(
        words[0],
        order,
        add=those("+", None),
        remove=those("-", None),
        tail_add=those("+", "tail"),
        stored=None if stored < 0 else stored,
        words=tuple(values.items()),
    )


def _hole(layout: Layout, text: str) -> None:
    first, count = (int(word, 0) for word in text.split())
    size = layout.per_page
    if first % size or count % size:
        raise ValueError("not whole pages of vmemmap")
    layout.holes.update(range(first // size, (first + count) // size))


def _repeat(layout: Layout, text: str) -> None:
    where, *words = text.split()
    ((start, end),) = _ranges(layout, where)
    bits = layout.port.section_bits
    if start % (1 << bits) or end % (1 << bits):
        raise ValueError("not whole sections")
    layout.repeats.append((start >> bits, end >> bits, _block(words)))


def _port(layout: Layout, text: str) -> None:
    layout.port = PORTS[text]
    layout.model = layout.port.model


def _structures(layout: Layout, text: str) -> None:
    layout.structures = size(text, layout.port.page)


def _set(layout: Layout, text: str) -> None:
    key, _, value = text.partition("=")
    layout.sets[key] = value


_STATEMENTS: dict[str, Callable[[Layout, str], object]] = {
    "port": _port,
    "kernel": lambda layout, text: setattr(layout, "dialect", DIALECTS[text]),
    "paging": lambda layout, text: setattr(layout, "levels", int(text)),
    "model": lambda layout, text: setattr(layout, "model", text),
    "physical-bits": lambda layout, text: setattr(layout, "physical_bits", int(text)),
    "memory": lambda layout, text: layout.memory.extend(_ranges(layout, text)),
    "load": lambda layout, text: layout.loads.extend(_ranges(layout, text)),
    "structures": _structures,
    "section-flags": lambda layout, text: setattr(layout, "section_flags", int(text)),
    "sections": lambda layout, text: setattr(layout, "pointer", {"pointer": True}[text]),
    "absent-section": lambda layout, text: layout.absent.add(int(text, 0)),
    "vmemmap": lambda layout, text: setattr(layout, "small", {"small": True}[text]),
    "vmemmap-hole": _hole,
    "repeat": _repeat,
    "loop": lambda layout, text: layout.loops.append(int(text)),
    "kaslr": lambda layout, _: setattr(layout, "kaslr", True),
    "sme": lambda layout, text: setattr(layout, "sme", 1 << int(text)),
    "no-contents": lambda layout, _: setattr(layout, "contents", False),
    "drop": lambda layout, text: layout.drops.append(text),
    "set": _set,
}
