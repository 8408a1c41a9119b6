# SPDX-License-Identifier: GPL-2.0-or-later
"""struct page as the kernel leaves it for each kind of memory."""

from __future__ import annotations

import functools
import random
import struct
from dataclasses import dataclass, field, replace

from .dialects import COMPOUND_DTOR, HUGETLB_DTOR, Dialect, offsets
from .port import Port
from .vmcore import Machine

#: Zone, node and more at the top of page.flags.
_ZONE = 0x17FFFFC0000000
_U32 = 0xFFFFFFFF
_U64 = (1 << 64) - 1
#: page.lru.next of a page on no list (include/linux/poison.h), page.mapping of a tail page.
_POISON, _TAIL_MAPPING = 0xDEAD000000000100, 0xDEAD000000000400
#: page.mapping of a file's page; the low bits make it that of other pages.
FILE = 0xFFFF888003A5C2B8
ANON, MOVABLE, KSM = FILE | 1, FILE | 2, FILE | 3


@dataclass(frozen=True)
class StructPage:
    """The words of one struct page; second is the one with destructor and order up to 6.5."""

    flags: int = _ZONE
    compound: int = _POISON
    second: int = _POISON + 0x22
    mapping: int = 0
    index: int = 0
    private: int = 0
    mapcount: int = -1
    refcount: int = 1


_WORDS = ("flags", "compound", "mapping", "index", "private")


def masked(page: StructPage, machine: Machine) -> StructPage:
    """Return a struct page as words of 32 bits hold it, where they are no larger."""
    if machine.word == 8:
        return page
    return replace(page, **{name: getattr(page, name) & _U32 for name in _WORDS})


@functools.lru_cache(maxsize=1000)
def pack(page: StructPage, dialect: Dialect, port: Port) -> bytes:
    """Return the bytes of memory of a struct page."""
    machine = port.machine
    raw, at = bytearray(port.page_struct), offsets(dialect, machine.word)
    for name in _WORDS:
        raw[at[name] : at[name] + machine.word] = machine.long(getattr(page, name))
    # Where destructor and order are, these are the first two bytes in either byte order.
    second = (page.second & _U64).to_bytes(8, "little")
    raw[at["second"] : at["second"] + machine.word] = second[: machine.word]
    for name in ("mapcount", "refcount"):
        struct.pack_into(machine.order + "I", raw, at[f"_{name}"], getattr(page, name) & _U32)
    return bytes(raw)


@dataclass(frozen=True)
class Kind:
    """What one kind of page has in its struct page: flags and type by name."""

    flags: tuple[str, ...] = ()
    mapping: int = 0
    type: str = ""
    mapcount: int = -1
    refcount: int = 1
    private: int = 0
    compound: bool = True
    hugetlb: bool = False
    zero: bool = False


_CACHE, _USER = ("uptodate", "lru"), ("uptodate", "lru", "swapbacked")
#: The kinds of pages that a description can name.
KINDS = {
    "free": Kind(type="buddy", refcount=0, compound=False, zero=True),
    "percpu-free": Kind(refcount=0, zero=True),
    "anon": Kind(_USER, ANON, mapcount=0),
    "anon-thp": Kind(_USER, ANON, mapcount=0),
    "ksm": Kind(_USER, KSM, mapcount=2, private=0x1234),
    "swapcache-anon": Kind((*_USER, "swapcache"), ANON, private=0x4200001),
    "swapcache": Kind(("uptodate", "swapbacked", "swapcache"), private=0x4200001),
    # A file system's own use of the same bit.
    "owner-flag": Kind(("uptodate", "swapcache"), FILE),
    "file": Kind(_CACHE, FILE),
    "file-large": Kind(_CACHE, FILE),
    "file-private": Kind((*_CACHE, "private"), FILE, private=0xFFFF888004D00068),
    "file-isolated": Kind(("uptodate",), FILE),
    "tmpfs": Kind((*_USER, "dirty"), FILE),
    "hugetlb-file": Kind(("uptodate",), FILE, mapcount=0, hugetlb=True),
    "hugetlb-anon": Kind(("uptodate",), ANON, mapcount=0, hugetlb=True),
    "hugetlb-free": Kind(refcount=0, hugetlb=True),
    "slab": Kind(("slab",), 0xFFFF888003801500, type="slab"),
    # Such a word where mapping is must not make it anonymous.
    "slab-odd": Kind(("slab",), 0xFFFF888003801501, type="slab"),
    "hwpoison": Kind(("hwpoison",)),
    "offline": Kind(type="offline"),
    "unaccepted": Kind(type="unaccepted", compound=False),
    "pagetable": Kind(type="table"),
    "reserved": Kind(("reserved",)),
    "movable-ops": Kind(("private",), MOVABLE),
    "kernel": Kind(),
    "tail": Kind(_CACHE, ANON),
}


@dataclass(frozen=True)
class Block:
    """2^order pages of one kind. What is None is what the kind has; stored is the order that the
    first tail page tells."""

    kind: str
    order: int = 0
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    tail_add: tuple[str, ...] = ()
    stored: int | None = None
    words: tuple[tuple[str, int], ...] = field(default=())

    def pages(self, dialect: Dialect, address: int, size: int = 64) -> list[StructPage]:
        """Return its struct pages of size bytes; address is that of the first one."""
        kind = KINDS[self.kind]
        head = StructPage(
            flags=self._flags(dialect),
            mapping=kind.mapping,
            private=self.order if self.kind == "free" else kind.private,
            mapcount=self._mapcount(dialect),
            refcount=kind.refcount,
        )
        tails: list[StructPage] = []
        if self.kind == "tail":
            head = replace(head, compound=address - size | 1)
        elif self.order and kind.compound:
            tails = self._tails(dialect, address, size)
        elif self.order:
            tails = [StructPage(refcount=kind.refcount)] * ((1 << self.order) - 1)
        return [replace(head, **dict(self.words)), *tails]

    def _flags(self, dialect: Dialect) -> int:
        kind = KINDS[self.kind]
        names = {*kind.flags, *self.add} - {*self.remove}
        if self.order and kind.compound and self.kind != "tail" and "head" not in self.remove:
            names.add("head")
        # No "slab" where that is a type.
        return _ZONE | sum(dialect.flag(name) for name in names if name in dialect.flags)

    def _mapcount(self, dialect: Dialect) -> int:
        kind = KINDS[self.kind]
        name = "hugetlb" if kind.hugetlb else kind.type
        return dialect.types.get(name, kind.mapcount)

    def _tails(self, dialect: Dialect, address: int, size: int) -> list[StructPage]:
        hugetlb = KINDS[self.kind].hugetlb
        order = self.order if self.stored is None else self.stored
        # Since 7.1 a mask of the head's address, before that the address itself.
        mask = -(size << self.order) if dialect.compound == "compound_info" else address
        extra = sum(dialect.flag(name) for name in self.tail_add)
        tail = StructPage(flags=_ZONE | extra, compound=mask | 1, mapping=_TAIL_MAPPING, refcount=0)
        if dialect.bytes:
            second = order << 8 | (HUGETLB_DTOR if hugetlb else COMPOUND_DTOR) | 0xFFFFFFFF << 32
            first = replace(tail, second=second)
        else:
            flags = tail.flags | order & 0xFF
            if hugetlb and dialect.hugetlb is not None:
                flags |= 1 << dialect.hugetlb
            first = replace(tail, flags=flags)
        return [first, *[tail] * ((1 << self.order) - 2)]


def wild_pages(dialect: Dialect, first: int, *, count: int, seed: int) -> dict[int, StructPage]:
    """Return struct pages of no sense for count pages from a page frame on, by page frame.

    Every value that a rule looks at is likely. A head page is never the last one in a page of
    vmemmap, where none can be, and a tail page never poisoned: of those the rules say two things.
    """
    rng = random.Random(seed)
    types = [value for name, value in dialect.types.items() if name != "unaccepted"]
    names = ["lru", "private", "swapcache", "swapbacked", "slab", "uptodate"]

    def chance(value: int, likely: float) -> int:
        return value if rng.random() < likely else 0

    found = {}
    for pfn in range(first, first + count):
        flags = _ZONE | rng.choice((0, 1, 2, 3, 4, rng.randrange(1 << 25)))
        for name in names:
            if name in dialect.flags:
                flags = flags & ~dialect.flag(name) | chance(dialect.flag(name), 0.3)
        for name, likely in {"head": 0.3 if pfn % 64 < 63 else 0, "hwpoison": 0.04}.items():
            flags = flags & ~dialect.flag(name) | chance(dialect.flag(name), likely)
        tail = chance(1, 0.15)
        found[pfn] = StructPage(
            flags=flags & ~dialect.flag("hwpoison") if tail else flags,
            compound=tail | rng.choice((0, _POISON, 0xFFFFEA0000004000)),
            second=rng.choice((0, 1, 2, 3, 255)) | rng.choice((0, 1, 2, 3, 4, 9, 63, 200)) << 8,
            mapping=rng.choice((0, 0, FILE, ANON, MOVABLE, KSM, _TAIL_MAPPING)),
            private=rng.choice((0, 0, 1, 2, 3, 4, 10, 11, 63, 64, 1 << 40)),
            mapcount=rng.choice(
                (-1, -1, -1, 0, 2, *types, *(each + 0x1234 for each in types), types[0] & 0xFFFF)
            ),
        )
    return found
