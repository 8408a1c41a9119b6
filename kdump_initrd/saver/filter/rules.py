# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of the filter: what is left out at a dump level, for one page and for many at once.

Many pages are judged without a loop over them. One byte of each struct page is cut out of a run
of them (a slice with a step), a table turns its bits into those of a lane (bytes.translate), and
lanes are joined as large integers. The first lane has the flags that count, the second the page's
type; a table for each makes a code of it.
"""

from __future__ import annotations

import struct

from . import structpage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.abi import Abi
    from .structpage import StructPage

#: The verdict on a page: keep it, or why it is left out.
KEEP, CACHE, PRIVATE, USER, POISON, OFFLINE, FREE = range(7)
KINDS = ("", "cache", "private_cache", "user", "hwpoison", "offline", "free")
#: To be looked at alone: several pages, or a rare type.
SINGLE = 0x80
_LOOK = 0x40  # to be looked at alone if it is a slab page or a tail
_CODE = 0x0F
# The lane of flags.
_LRU, _SWAPCACHE, _SWAPBACKED, _PRIVATE_BIT, _HEAD, _SLAB_BIT, _POISON_BIT, _ANON = (
    1 << bit for bit in range(8)
)
# The lane of types.
_BUDDY, _UNACCEPTED, _OFFLINE_TYPE, _HUGETLB, _SLAB, _TAIL = (1 << bit for bit in range(6))
_NORMAL = bytes([SINGLE if code & (SINGLE | _LOOK) else code for code in range(256)])


class Rules:
    """The rules for one kernel and one level, which page.lower() has approved."""

    def __init__(self, page: StructPage, abi: Abi, level: int) -> None:
        """Make the tables."""
        self.page = page
        self.level = level
        self._abi = abi
        self.kinds = self._possible()
        self._flag_tables = self._make_flag_tables()
        self._type_tables, types = self._make_type_tables()
        self._tail = (self._byte(page.compound, 0), bytes([_TAIL * (n & 1) for n in range(256)]))
        self._codes = bytes([self._code(flags) for flags in range(256)])
        self._masks = bytes([self._mask(kind) for kind in range(256)])
        self._extra = bytes(
            [SINGLE if kind & types and not kind & _TAIL else 0 for kind in range(256)]
        )
        self._lanes = (b"", b"")
        self._decided: dict[int, int] = {}
        self._long = struct.Struct(abi.order + ("Q" if abi.word == 8 else "I"))

    def _possible(self) -> tuple[int, ...]:
        # The kinds that can be met, the likely ones first.
        level = self.level
        found = [CACHE] if level & (structpage.CACHE | structpage.PRIVATE) else []
        found += [PRIVATE] if level & structpage.PRIVATE else []
        found += [USER] if level & structpage.USER else []
        found += [FREE] if level & structpage.FREE else []
        return (*found, POISON, OFFLINE)

    def _byte(self, offset: int | None, number: int, width: int = 0) -> int:
        # Place of a byte of a number, counted from the least significant one.
        assert offset is not None
        return offset + ((width or self._abi.word) - 1 - number if self._abi.big else number)

    def _make_flag_tables(self) -> list[tuple[int, bytes]]:
        page = self.page
        masks = (
            (page.lru, _LRU),
            (page.swapcache, _SWAPCACHE),
            (page.swapbacked, _SWAPBACKED),
            (page.private_bit, _PRIVATE_BIT),
            (page.head, _HEAD),
            (page.slab_bit, _SLAB_BIT),
            (page.hwpoison, _POISON_BIT),
        )
        tables = []
        for number in range(self._abi.word):
            here = [(mask >> 8 * number & 0xFF, lane) for mask, lane in masks]
            if any(mask for mask, _ in here):
                table = bytes(
                    [sum([lane for mask, lane in here if value & mask]) for value in range(256)]
                )
                tables.append((self._byte(page.flags, number), table))
        if page.mapping is not None:
            tables.append(
                (self._byte(page.mapping, 0), bytes([_ANON * (n & 1) for n in range(256)]))
            )
        return tables

    def _make_type_tables(self) -> tuple[list[tuple[int, bytes]], int]:
        # The bytes of _mapcount that tell types, each with the types that it fits; and the types
        # that matter.
        page, level = self.page, self.level
        known = [(page.slab, _SLAB, False), (page.offline, _OFFLINE_TYPE, True)]
        if level & structpage.FREE:
            known += [(page.buddy, _BUDDY, True), (page.unaccepted, _UNACCEPTED, True)]
        if level & structpage.USER:
            known.append((page.hugetlb, _HUGETLB, True))
        values = [(value, lane) for value, lane, _ in known if value is not None]
        tables = []
        for number in range(4) if page.mapcount is not None else ():
            any_fits = sum([lane for value, lane in values if number < 3 and _is_top_byte(value)])
            table = bytearray([any_fits]) * 256
            for value, lane in values:
                table[value >> 8 * number & 0xFF] |= lane
            if len(set(table)) > 1:
                tables.append((self._byte(page.mapcount, number, 4), bytes(table)))
        return tables, sum([lane for _, lane, alone in known if alone])

    def _kind(self, flags: int, kind: int, hugetlb: bool) -> int:
        # The decision; dump-level rules in their order (makedumpfile(8), -d).
        if kind & _TAIL:  # goes with the first page of its block, but for bad memory in it
            return POISON if flags & _POISON_BIT else KEEP
        level = self.level
        slab = bool(flags & _SLAB_BIT or kind & _SLAB)
        anon = bool(flags & _ANON) and not slab
        # Without PG_swapbacked the other bit may be PG_owner_priv_1, which shares its number.
        swapped = flags & _SWAPCACHE and flags & _SWAPBACKED
        cache = bool(flags & _LRU or swapped) and not anon
        private = bool(flags & _PRIVATE_BIT)
        if level & structpage.FREE and (kind & _UNACCEPTED or (kind & _BUDDY and not slab)):
            return FREE
        if cache and level & structpage.CACHE and not private:
            return CACHE
        if cache and level & structpage.PRIVATE:
            return PRIVATE if private else CACHE
        if level & structpage.USER and (anon or hugetlb):
            return USER
        if flags & _POISON_BIT:
            return POISON
        if kind & _OFFLINE_TYPE and not slab:
            return OFFLINE
        return KEEP

    def _code(self, flags: int) -> int:
        # What the lane of flags says of a page without a type.
        code = self._kind(flags, 0, False)
        if flags & (_LRU | _SWAPCACHE | _POISON_BIT):
            code |= _LOOK
        page = self.page
        may_be_hugetlb = self.level & structpage.USER and (
            page.hugetlb_bit or page.dtor is not None
        )
        if flags & _HEAD and (code & _CODE or may_be_hugetlb):
            code |= SINGLE
        return code

    def _mask(self, kind: int) -> int:
        # The bits of that code that are still true for a page of this type.
        if kind & _TAIL:
            return _LOOK
        return SINGLE | _LOOK if kind & _SLAB else SINGLE | _CODE

    def codes(self, data: bytes, count: int) -> bytearray:
        """Return a kind, or SINGLE, for each of count struct pages in data."""
        size, number = self.page.size, int.from_bytes
        flags = 0
        for at, table in self._flag_tables:
            flags |= number(data[at::size].translate(table), "little")
        types = 0
        if self._type_tables:
            types = -1
            for at, table in self._type_tables:
                types &= number(data[at::size].translate(table), "little")
        at, table = self._tail
        types |= number(data[at::size].translate(table), "little")
        lanes = flags.to_bytes(count, "little")
        kinds = types.to_bytes(count, "little")
        self._lanes = lanes, kinds
        codes = lanes.translate(self._codes)
        if types:
            joined = number(codes, "little") & number(kinds.translate(self._masks), "little")
            joined |= number(kinds.translate(self._extra), "little")
            codes = joined.to_bytes(count, "little")
            return bytearray(codes.translate(_NORMAL))
        return bytearray(codes.translate(_PLAIN))

    def single(self, data: bytes, index: int, pfn: int) -> tuple[int, int]:
        """Return the kind and the number of pages of the block that one struct page begins.

        It is the one at an index of data, for which codes() was called last. A block whose size
        makes no sense counts as one page; if it is free, it is kept.
        """
        flags, kind = self._lanes[0][index], self._lanes[1][index]
        return self._block(data, index * self.page.size, pfn, flags, kind)

    def first(self, data: bytes, pfn: int) -> tuple[int, int]:
        """Return the same of the first struct page in data, alone."""
        flags, kind = 0, 0
        for place, table in self._flag_tables:
            flags |= table[data[place]]
        if self._type_tables:
            kind = 0xFF
            for place, table in self._type_tables:
                kind &= table[data[place]]
        place, table = self._tail
        return self._block(data, 0, pfn, flags, kind | table[data[place]])

    def _block(self, data: bytes, at: int, pfn: int, flags: int, kind: int) -> tuple[int, int]:
        page = self.page
        hugetlb = bool(flags & _HEAD) and self._is_hugetlb(data, at, kind)
        key = flags | kind << 8 | hugetlb << 16
        found = self._decided.get(key)
        if found is None:
            found = self._decided[key] = self._kind(flags, kind, hugetlb)
        if found == KEEP:
            return KEEP, 1
        if found == FREE:
            if kind & _BUDDY and not (flags & _SLAB_BIT or kind & _SLAB):
                assert page.private is not None
                order = self._long.unpack_from(data, at + page.private)[0]
                return (FREE, 1 << order) if order < page.orders else (KEEP, 1)
            return FREE, 1 << page.orders - 1
        is_first = flags & _HEAD and not kind & _TAIL
        return found, 1 << self._order(data, at, pfn) if is_first else 1

    def _order(self, data: bytes, at: int, pfn: int) -> int:
        # The last of 512 pages does not begin a block, nor does one that is not aligned to it.
        place = self.page.order_at
        if pfn & 511 == 511 or place is None or at + place >= len(data):
            return 0
        order = data[at + place]
        return order if order < 64 and pfn & (1 << order) - 1 == 0 else 0

    def _is_hugetlb(self, data: bytes, at: int, kind: int) -> bool:
        page = self.page
        if page.hugetlb is not None:
            return bool(kind & _HUGETLB)
        if page.hugetlb_bit:
            assert page.flags is not None
            place = at + page.size + page.flags
            if place + self._abi.word > len(data):
                return False
            return bool(self._long.unpack_from(data, place)[0] & page.hugetlb_bit)
        if page.dtor is None or page.dtor_at is None or at + page.dtor_at >= len(data):
            return False
        return data[at + page.dtor_at] == page.dtor


#: Codes of pages without a type.
_PLAIN = bytes([SINGLE if code & SINGLE else code & _CODE for code in range(256)])


def _is_top_byte(kind: int) -> bool:
    # Since Linux 6.12 a type is the top byte, and its owner may use the others (page-flags.h,
    # enum pagetype); before, types are negated bits of a number that is compared as a whole.
    return kind >> 31 == 1 and not kind & 0xFFFFFF
