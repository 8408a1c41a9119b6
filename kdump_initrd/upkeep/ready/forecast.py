# SPDX-License-Identifier: GPL-2.0-or-later
"""How large a dump of the running machine would be: by the kernel's own counts of its pages.

No memory is read for it. What the counts cannot tell: which pages are full of zeros, and which of
the page cache have private data; all of that is counted as if it were in the dump. Only of free
pages it is known that they are full of zeros where the kernel fills them so (init_on_free).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from ...core.root import Root

#: Bits of a dump level (makedumpfile(8), -d).
ZERO, CACHE, PRIVATE, USER, FREE = 1, 2, 4, 8, 16
#: A line of /proc/iomem; who is not root sees zeros in place of the addresses.
_RANGE = re.compile(r"\s*([0-9a-f]+)-([0-9a-f]+) : (System RAM|Crash kernel)")
#: The lines that tell of memory (proc_meminfo(5)); no machine has numbers of more digits.
_KILOBYTES = re.compile(r"^([^:\n]+): +([0-9]{1,18}) kB$", re.MULTILINE)
_PRESENT = re.compile(r"^ +present +([0-9]{1,18})$", re.MULTILINE)
_BALLOON = re.compile(r"^balloon_(in|de)flate ([0-9]{1,18})$", re.MULTILINE)
#: A page's descriptor, and its bit in each of the two maps (kdump-compressed, diskdump.h).
_DESCRIPTOR = 24
#: The word that lets the kernel fill free pages with zeros, and what it takes for yes (kstrtobool,
#: lib/kstrtox.c).
_FILLS, _TRUE = "init_on_free=", re.compile("[1yYtT]|[oO][nN]")
_MAPS = 2 / 8


@dataclass(frozen=True)
class Memory:
    """The memory of the running machine, in bytes; ``page`` is its page.

    ``whole`` is what its capture kernel would see. Of that, the others are what a bit of the dump
    level leaves out: page cache, what of it certainly has private data, user data, free pages.
    ``zeroed`` is whether the kernel fills free pages with zeros.
    """

    whole: int
    cache: int
    private: int
    user: int
    free: int
    page: int
    zeroed: bool = False

    def is_exact(self, level: int) -> bool:
        """Tell whether a dump of ``level`` has no free pages that may be full of zeros, or not."""
        return bool(level & FREE) or self.zeroed

    def kept(self, level: int) -> int:
        """Return the bytes that a dump of ``level`` has, before they are compressed."""
        out = self.user if level & USER else 0
        out += self.free if level & FREE or (level & ZERO and self.zeroed) else 0
        out += self.cache if level & (CACHE | PRIVATE) else 0
        out += self.private if level & PRIVATE else 0
        return max(0, self.whole - out)

    def size(self, level: int, ratio: float) -> int:
        """Return the bytes of a dump whose pages are compressed to ``ratio`` of their size."""
        pages = self.kept(level) // self.page
        # Of those that are full of zeros there is one in the file.
        zeros = self.free // self.page if self.zeroed and not level & (FREE | ZERO) else 0
        maps = int(self.whole // self.page * _MAPS)
        full = max(0, pages - zeros)
        return maps + pages * _DESCRIPTOR + full * int(self.page * ratio)


def count(root: Root, *, reserved: int, fills: bool = False) -> Memory:
    """Count the memory of a root's machine, which has ``reserved`` bytes for its capture kernel.

    ``fills`` is whether its kernel was built to fill free pages with zeros. Raises OSError where
    /proc does not tell.
    """
    known = _meminfo(root.read_text("proc/meminfo"))
    if "MemTotal" not in known:
        raise OSError("/proc/meminfo does not tell how much memory there is")
    page = os.sysconf("SC_PAGESIZE")
    whole = _ranges(root) or max(0, _present(root) * page - reserved) or known["MemTotal"]
    absent = known.get("HardwareCorrupted", 0) + _balloon(root) * page
    return Memory(
        whole=max(0, whole - absent),
        cache=known.get("Cached", 0),
        private=known.get("Buffers", 0),  # each of these pages has its buffer heads
        user=known.get("AnonPages", 0) + known.get("Hugetlb", 0),
        free=known.get("MemFree", 0),
        page=page,
        zeroed=_zeroed(root, fills),
    )


def _zeroed(root: Root, fills: bool) -> bool:
    words = _text(root, "proc/cmdline").split()
    said = [word[len(_FILLS) :] for word in words if word.startswith(_FILLS)]
    return bool(_TRUE.match(said[-1])) if said else fills


def _meminfo(text: str) -> Mapping[str, int]:
    """Return the bytes of each line of /proc/meminfo, by its name."""
    return {name: int(number) << 10 for name, number in _KILOBYTES.findall(text)}


def _ranges(root: Root) -> int:
    """Return the bytes of memory without what is reserved, by /proc/iomem; 0 if it is hidden."""
    found = 0
    for line in _text(root, "proc/iomem").splitlines():
        match = _RANGE.match(line)
        if match and int(match[2], 16):
            size = int(match[2], 16) - int(match[1], 16) + 1
            found += size if match[3] == "System RAM" else -size
    return max(0, found)


def _present(root: Root) -> int:
    """Return the pages of all zones, also those that the kernel took when it started."""
    return sum(map(int, _PRESENT.findall(_text(root, "proc/zoneinfo"))))


def _balloon(root: Root) -> int:
    """Return the pages that the host of this machine has taken: no dump has them."""
    counts = dict(_BALLOON.findall(_text(root, "proc/vmstat")))
    return max(0, int(counts.get("in", 0)) - int(counts.get("de", 0)))


def _text(root: Root, name: str) -> str:
    with suppress(OSError):
        return root.read_text(name)
    return ""
