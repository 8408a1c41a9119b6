# SPDX-License-Identifier: GPL-2.0-or-later
"""The crashed kernel's struct page, and the dump level that can be filtered with what is known.

Everything comes from VMCOREINFO (Linux, kernel/vmcore_info.c); no kernel version is looked at.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.abi import Abi
    from ..memory.vmcoreinfo import VmcoreInfo

#: Bits of a dump level, as makedumpfile's -d.
ZERO, CACHE, PRIVATE, USER, FREE = 1, 2, 4, 8, 16
#: Possible sizes of a struct page: 32-bit kernels have 32 bytes, debugging options add some.
_SIZES = range(32, 513)
#: Both names that a key has had, for messages about what is missing.
_SLAB = "NUMBER(PG_slab) or NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)"
_COMPOUND = "OFFSET(page.compound_head) or OFFSET(page.compound_info)"
#: Flags, each with a bit of its own.
_FLAGS = ("PG_lru", "PG_private", "PG_swapcache", "PG_swapbacked", "PG_slab", "PG_hwpoison")
#: More orders of the buddy allocator than this are damage (10 and 11 are usual, 13 exist).
_MAX_ORDERS = 32


class StructPage:
    """Offsets in bytes, masks and values; what VMCOREINFO does not have is 0, an offset None.

    size                    bytes of a struct page; 0: none can be read
    flags, mapping, private unsigned longs; compound likewise: bit 0 marks a tail page
    mapcount                32 bits that also hold a page's type
    head                    mask in flags of the first page of several
    lru, private_bit, swapcache, swapbacked, slab_bit, hwpoison   masks in flags
    buddy, offline, unaccepted, hugetlb, slab                     values in mapcount, None unknown
    order_at, dtor_at       offset of a byte, from the first struct page of several
    hugetlb_bit             mask in the flags of the second struct page of several
    orders                  count of the buddy allocator's orders
    """

    def __init__(self, info: VmcoreInfo, abi: Abi) -> None:
        """Take what makes sense, and ignore the rest."""
        self._info, self._abi = info, abi
        self._numbers = [info.number(name) for name in _FLAGS]
        size = info.size("page") or 0
        self.size = size if size in _SIZES and size % abi.word == 0 else 0
        self.flags = self._offset("flags", abi.word)
        self.mapping = self._offset("mapping", abi.word)
        self.private = self._offset("private", abi.word)
        self.mapcount = self._offset("_mapcount", 4)
        # Linux 7.1 renamed compound_head.
        self.compound = self._offset("compound_head", abi.word)
        if self.compound is None:
            self.compound = self._offset("compound_info", abi.word)
        head = info.number("PG_head_mask") or 0
        self.head = head if 0 < head <= abi.mask else 0
        self.lru = self._bit("PG_lru")
        self.private_bit = self._bit("PG_private")
        self.swapcache = self._bit("PG_swapcache")
        self.swapbacked = self._bit("PG_swapbacked")
        self.slab_bit = self._bit("PG_slab")
        self.hwpoison = self._bit("PG_hwpoison")
        self.hugetlb_bit = self._bit("PG_hugetlb")
        self.buddy = self._value("PAGE_BUDDY_MAPCOUNT_VALUE")
        self.offline = self._value("PAGE_OFFLINE_MAPCOUNT_VALUE")
        self.unaccepted = self._value("PAGE_UNACCEPTED_MAPCOUNT_VALUE")
        self.hugetlb = self._value("PAGE_HUGETLB_MAPCOUNT_VALUE")
        self.slab = self._value("PAGE_SLAB_MAPCOUNT_VALUE")
        self.dtor = info.number("HUGETLB_PAGE_DTOR")
        self.order_at = self._second("order")
        self.dtor_at = self._second("dtor")
        orders = info.length("zone.free_area") or 0
        self.orders = orders if 0 < orders <= _MAX_ORDERS else 0
        if self.order_at is None and self.flags is not None and self.dtor is None:
            # Linux 6.6: the low byte of the second page's flags (folio_large_order()). Older
            # kernels tell HUGETLB_PAGE_DTOR; what they do not tell of the order is not guessed.
            low = abi.word - 1 if abi.big else 0
            self.order_at = self.size + self.flags + low

    def _offset(self, member: str, width: int) -> int | None:
        offset = self._info.offset(f"page.{member}")
        if offset is None or not 0 <= offset <= self.size - width or offset % width:
            return None
        return offset

    def _bit(self, name: str) -> int:
        number = self._info.number(name)
        # Of two flags with the same bit one at least is wrong, and nobody knows which.
        if (
            number is None
            or not 0 <= number < 8 * self._abi.word
            or self._numbers.count(number) > 1
        ):
            return 0
        return 1 << number

    def _value(self, name: str) -> int | None:
        number = self._info.number(name)
        if number is None or not -(1 << 31) <= number < 1 << 32:
            return None
        return number & 0xFFFFFFFF

    def _second(self, member: str) -> int | None:
        # page.compound_order is an offset in the second struct page; folio._folio_order one from
        # the first, for struct folio covers both (Linux 6.3 to 6.5).
        offset = self._info.offset(f"page.compound_{member}")
        if offset is not None and 0 <= offset < self.size:
            return self.size + offset
        offset = self._info.offset(f"folio._folio_{member}")
        if offset is not None and 0 <= offset < 2 * self.size:
            return offset if offset >= self.size else self.size + offset
        return None

    @property
    def knows_slab(self) -> bool:
        """Whether slab pages, whose fields mean something else, can be told from others."""
        return bool(self.slab_bit) or (self.slab is not None and self.mapcount is not None)

    def lower(self, level: int) -> tuple[int, list[str]]:
        """Return the bits of a level that can be filtered safely, and the keys missing for others.

        Bit 0 (zero pages) is never touched: it needs no struct page.
        """
        base = [("SIZE(page)", bool(self.size)), *self._keys("flags")]
        base += [
            (_COMPOUND, self.compound is not None),
            ("NUMBER(PG_head_mask)", bool(self.head)),
        ]
        needs = {
            CACHE: [*self._keys("mapping"), *self._bits("lru", "private")],
            PRIVATE: [*self._keys("mapping"), *self._bits("lru")],
            USER: [*self._keys("mapping"), (_SLAB, self.knows_slab)],
            FREE: [
                *self._keys("_mapcount", "private"),
                ("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", self.buddy is not None),
                (_SLAB, self.knows_slab),
                ("LENGTH(zone.free_area)", bool(self.orders)),
            ],
        }
        missing: dict[str, None] = {}
        for bit, keys in needs.items():
            lacking = [key for key, there in (*base, *keys) if not there]
            if level & bit and lacking:
                level &= ~bit
                missing.update(dict.fromkeys(lacking))
        return level, list(missing)

    def _keys(self, *members: str) -> list[tuple[str, bool]]:
        there = {
            "flags": self.flags,
            "mapping": self.mapping,
            "_mapcount": self.mapcount,
            "private": self.private,
        }
        return [(f"OFFSET(page.{name})", there[name] is not None) for name in members]

    def _bits(self, *names: str) -> list[tuple[str, bool]]:
        there = {"lru": self.lru, "private": self.private_bit}
        return [(f"NUMBER(PG_{name})", bool(there[name])) for name in names]

    def can_walk(self) -> bool:
        """Whether struct pages can be judged at all: hwpoison and offline pages need no level."""
        return bool(self.size and self.flags is not None and self.compound is not None)
