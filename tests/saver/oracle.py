# SPDX-License-Identifier: GPL-2.0-or-later
"""Which page frames a dump level leaves out, by the plainest loop over all struct pages.

Written from the text of makedumpfile's rules alone; it shares nothing with the saver. For small
memory only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .dialects import Dialect
from .structpages import StructPage

PageAt = Callable[[int], "StructPage | None"]
_U32 = 0xFFFFFFFF
_U64 = (1 << 64) - 1
_CACHE, _CACHE_ALL, _USER, _FREE = 2, 4, 8, 16


class Rules:
    """The predicates on a page, with the numbers that VMCOREINFO tells."""

    def __init__(self, info: Mapping[str, str], dialect: Dialect, page: PageAt) -> None:
        self.info = info
        self.dialect = dialect
        self.page = page
        self.orders = int(info.get("LENGTH(zone.free_area)", "0"))
        numbers = {key[7:-1]: text for key, text in info.items() if key.startswith("NUMBER(")}
        self._numbers = {name: int(text, 0) for name, text in numbers.items()}

    def number(self, name: str) -> int | None:
        """Return NUMBER(name), None when it is not there."""
        return self._numbers.get(name)

    def flag(self, page: StructPage, name: str) -> bool:
        """Tell whether a flag is known and set."""
        bit = self.number(f"PG_{name}")
        return bit is not None and bool(page.flags >> bit & 1)

    def has_type(self, page: StructPage, name: str) -> bool:
        """Tell whether the value of a type is known, and _mapcount is that value.

        Of types that are a top byte (Linux 6.12) the other three are their owner's.
        """
        value = self.number(f"PAGE_{name}_MAPCOUNT_VALUE")
        if value is None:
            return False
        shift = 0 if value & 0xFFFFFF else 24
        return (page.mapcount & _U32) >> shift == (value & _U32) >> shift

    def is_tail(self, page: StructPage) -> bool:
        """Tell whether the page is part of the compound page before it."""
        return bool(page.compound & 1)

    def is_head(self, page: StructPage) -> bool:
        """Tell whether a compound page begins here."""
        return bool(page.flags & (self.number("PG_head_mask") or 0))

    def order(self, pfn: int, page: StructPage) -> int:
        """Return the order of the compound page that begins here; 0 for any other page."""
        following = self.page(pfn + 1)
        if not self.is_head(page) or following is None or pfn % 512 == 511:
            return 0
        if self.dialect.bytes:
            known = "OFFSET(page.compound_order)" in self.info
            order = following.second >> 8 & 0xFF if known else 0
        else:
            order = following.flags & 0xFF
        return order if order < 64 and pfn % (1 << order) == 0 else 0

    def is_hugetlb(self, pfn: int, page: StructPage) -> bool:
        """Tell whether the page is the head of one of hugetlbfs."""
        if not self.is_head(page):
            return False
        if self.number("PAGE_HUGETLB_MAPCOUNT_VALUE") is not None:
            return self.has_type(page, "HUGETLB")
        following = self.page(pfn + 1)
        if following is None or pfn % 512 == 511:
            return False
        if self.number("PG_hugetlb") is not None:
            return self.flag(following, "hugetlb")
        known = "OFFSET(page.compound_dtor)" in self.info
        return known and following.second & 0xFF == self.number("HUGETLB_PAGE_DTOR")

    def is_slab(self, page: StructPage) -> bool:
        """Tell whether the page is the slab allocator's."""
        return self.has_type(page, "SLAB") or self.flag(page, "slab")

    def is_anon(self, page: StructPage) -> bool:
        """Tell whether the page is anonymous memory of a process."""
        return bool(page.mapping & 1) and not self.is_slab(page)

    def is_cache(self, page: StructPage) -> bool:
        """Tell whether the page is in the page cache or the swap cache."""
        # makedumpfile takes an unknown PG_swapbacked for a set one, and then loses pages of others.
        swapped = self.flag(page, "swapcache") and self.flag(page, "swapbacked")
        return self.flag(page, "lru") or swapped

    def count(self, pfn: int, page: StructPage, level: int) -> int:
        """Return how many pages from this one on are left out; 0 keeps it. First match wins."""
        anon, cache = self.is_anon(page), self.is_cache(page)
        size = 1 << self.order(pfn, page)
        if self.is_tail(page):  # makedumpfile keeps bad memory in a block that it keeps
            return int(self.flag(page, "hwpoison"))
        if level & _FREE and self.has_type(page, "BUDDY") and not self.is_slab(page):
            private = page.private & _U64
            return 1 << private if private < self.orders else 0
        if level & _FREE and self.has_type(page, "UNACCEPTED"):
            return 1 << self.orders - 1
        if level & _CACHE and cache and not self.flag(page, "private") and not anon:
            return size
        if level & _CACHE_ALL and cache and not anon:
            return size
        if level & _USER and (anon or self.is_hugetlb(pfn, page)):
            return size
        if self.flag(page, "hwpoison"):
            return size
        if self.has_type(page, "OFFLINE") and not self.is_slab(page):
            return size
        return 0


def excluded(rules: Rules, ram: list[int], level: int) -> set[int]:
    """Return the page frames of ram (in ascending order) that are not in a dump of that level."""
    found: set[int] = set()
    end, upto = ram[-1] + 1, 0
    for pfn in ram:
        page = rules.page(pfn)
        if pfn < upto or page is None:
            continue
        count = rules.count(pfn, page, level)
        if count:
            upto = pfn + count
            found.update(range(pfn, min(upto, end)))
    return found & set(ram)
