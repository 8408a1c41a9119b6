# SPDX-License-Identifier: GPL-2.0-or-later
"""Fills memory with every kind of page that a page filter tells apart, and holds it.

It runs in the guest, by itself, on a Python without packages. Each page says at its start what
it is (``page``), so that a dump can be judged by contents, whatever its reader thinks of the
kernel's records. A page of that text may also be free: the kernel moves pages and does not
clear what it frees; what it hands out it clears (CONFIG_INIT_ON_ALLOC_DEFAULT_ON).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import time
from pathlib import Path
from typing import NamedTuple

PAGE = 4096
MIB = 1 << 20


class Kind(NamedTuple):
    """At least so many pages are of a kind, and each of the bits alone leaves them out."""

    pages: int
    bits: int


#: Bits as in makedumpfile(8): 2 cache without, 4 cache with private data, 8 user data, 16 free.
_CACHE, _PRIVATE_CACHE, _USER, _FREE = 2 | 4, 4, 8, 16
#: A page with a memory error is in no dump at all.
NEVER = -1
KINDS = {
    "hugetlb": Kind(16 * 256, _USER),
    "hugetlb-file": Kind(16 * 256, _USER),
    "hugetlb-freed": Kind(16 * 256, _USER),
    "file-read": Kind(48 * 256, _CACHE),
    "file-written": Kind(24 * 256, _PRIVATE_CACHE),
    "file-dirty": Kind(8 * 256, _PRIVATE_CACHE),
    "block-device": Kind(16 * 256, _PRIVATE_CACHE),
    "zram": Kind(16 * 256, _PRIVATE_CACHE),
    "tmpfs": Kind(32 * 256, _CACHE),
    "tmpfs-huge": Kind(32 * 256, _CACHE),
    "shared": Kind(8 * 256, _CACHE),
    "anonymous": Kind(64 * 256, _USER),
    "huge": Kind(64 * 256, _USER),
    "middle": Kind(16 * 256, _USER),
    "locked": Kind(8 * 256, _USER),
    "swapped": Kind(12 * 256, _USER),
    "merged": Kind(16, _USER),
    "pipe": Kind(8 * 256, 0),
    "poisoned": Kind(8, NEVER),
    "freed": Kind(72 * 256, _FREE),
}
_SLAB_FILES = 20000
#: Copies of each of the pages that are to be merged; and of those of which half will do.
_MERGED, _TWICE = 64, 2
_HUGETLB_PAGES = 40
_LARGE_PIPES = 40

# From the kernel's headers; Python 3.9 does not know them all.
_MADV_PAGEOUT, _MADV_SOFT_OFFLINE = 21, 101
_MAP_HUGETLB, _F_SETPIPE_SZ = 0x40000, 1031

_libc = ctypes.CDLL(None, use_errno=True)
#: What is to stay mapped or open.
_held: list[object] = []


def page(kind: str, number: int) -> bytes:
    """Return the contents of a page: a line that tells what it is, and no such line again."""
    return f"{kind:<16}{number:>10} fill\n".encode().ljust(PAGE, kind[:1].encode())


def kind_of(contents: bytes) -> str | None:
    """Return the kind that a page of memory is of, by its contents, or None."""
    kind = contents[:16].decode("latin-1").rstrip()
    return kind if kind in KINDS and contents[26:32] == b" fill\n" else None


def _address(area: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(area))


def _map(kind: str, advice: int | None = None, *, flags: int = 0, copies: int = 1) -> mmap.mmap:
    # Anonymous memory, filled.
    count = KINDS[kind].pages * copies
    flags |= mmap.MAP_ANONYMOUS | (0 if flags & mmap.MAP_SHARED else mmap.MAP_PRIVATE)
    area = mmap.mmap(-1, count * PAGE, flags=flags)
    if advice is not None:
        area.madvise(advice)
    _fill(area, kind)
    _held.append(area)
    return area


def _fill(area: mmap.mmap, kind: str) -> None:
    for number in range(len(area) // PAGE):
        area[number * PAGE : (number + 1) * PAGE] = page(kind, number % KINDS[kind].pages)


def _write(path: str, kind: str) -> int:
    # Returns the open descriptor.
    target = os.open(path, os.O_RDWR | os.O_CREAT)
    for number in range(0, KINDS[kind].pages, 256):
        os.write(target, b"".join(page(kind, number + each) for each in range(256)))
    _held.append(target)
    return target


def _hugetlb() -> None:
    # Half of the pool with, half without most of its struct pages.
    pool, optimise = (
        Path("/proc/sys/vm/nr_hugepages"),
        Path("/proc/sys/vm/hugetlb_optimize_vmemmap"),
    )
    pool.write_text(str(_HUGETLB_PAGES // 2))
    if optimise.exists():
        optimise.write_text("1")
    pool.write_text(str(_HUGETLB_PAGES))
    _map("hugetlb", flags=_MAP_HUGETLB)
    for kind in ("hugetlb-file", "hugetlb-freed"):
        file = os.open(f"/hugetlb/{kind}", os.O_RDWR | os.O_CREAT)
        os.ftruncate(file, KINDS[kind].pages * PAGE)
        area = mmap.mmap(file, KINDS[kind].pages * PAGE)
        _fill(area, kind)
        if kind == "hugetlb-file":
            _held.append(area)
        else:
            area.close()
            Path(f"/hugetlb/{kind}").unlink()
        os.close(file)


def _files() -> None:
    file = _write("/disk/read", "file-read")
    os.fsync(file)
    Path("/proc/sys/vm/drop_caches").write_text("3")
    os.lseek(file, 0, os.SEEK_SET)
    while os.read(file, MIB):
        pass
    os.fsync(_write("/disk/written", "file-written"))
    _write("/disk/dirty", "file-dirty")
    os.fsync(_write("/dev/vdc", "block-device"))
    _write("/tmpfs/file", "tmpfs")
    _write("/tmpfs-huge/file", "tmpfs-huge")


def _user() -> None:
    _map("shared", flags=mmap.MAP_SHARED)
    _map("anonymous", mmap.MADV_NOHUGEPAGE)
    _map("huge", mmap.MADV_HUGEPAGE)
    for middle in Path("/sys/kernel/mm/transparent_hugepage").glob("hugepages-64kB/enabled"):
        middle.write_text("always")
    _map("middle")
    locked = _map("locked", mmap.MADV_NOHUGEPAGE)
    if _libc.mlock(ctypes.c_void_p(_address(locked)), ctypes.c_size_t(len(locked))):
        raise OSError(ctypes.get_errno(), "mlock")
    swapped = _map("swapped", mmap.MADV_NOHUGEPAGE, copies=_TWICE)
    swapped.madvise(_MADV_PAGEOUT)
    # Half of it comes back, and stays in the swap cache, too.
    for start in range(0, len(swapped) // 2, PAGE):
        swapped[start]


def _merged() -> None:
    _map("merged", mmap.MADV_MERGEABLE, copies=_MERGED)
    ksm = Path("/sys/kernel/mm/ksm")
    (ksm / "sleep_millisecs").write_text("20")
    (ksm / "pages_to_scan").write_text("1000")
    (ksm / "run").write_text("1")
    for _ in range(300):
        if int((ksm / "pages_sharing").read_text()) > KINDS["merged"].pages * _MERGED // 2:
            break
        time.sleep(1)


def _kernel() -> None:
    for _ in range(KINDS["pipe"].pages // 256):
        _, end = ends = os.pipe()
        _libc.fcntl(end, _F_SETPIPE_SZ, MIB)
        for number in range(256):
            os.write(end, page("pipe", number))
        _held.append(ends)
    # The table of a large pipe is kmalloc'ed from whole pages.
    for _ in range(_LARGE_PIPES):
        _, end = ends = os.pipe()
        _libc.fcntl(end, _F_SETPIPE_SZ, MIB)
        _held.append(ends)
    for number in range(_SLAB_FILES):
        os.close(os.open(f"/tmpfs/{number}", os.O_WRONLY | os.O_CREAT))
    Path("/sys/block/zram0/disksize").write_text(str(32 * MIB))
    os.fsync(_write("/dev/zram0", "zram"))


def _poisoned() -> None:
    # The kernel takes the page away from us, moves its contents and does not use it again.
    area = _map("poisoned", mmap.MADV_NOHUGEPAGE)
    area.madvise(_MADV_SOFT_OFFLINE)


def main() -> None:
    """Fill, say so by the file /tmp/filled, and live on."""
    for fill in (_hugetlb, _files, _user, _merged, _kernel, _poisoned):
        start = time.monotonic()
        fill()
        print(f"fill-memory: {fill.__name__} {time.monotonic() - start:.1f} s", flush=True)
    # Of pages that one by one are freed, a processor keeps as many on a list of its own, which no
    # filter knows; since Linux 6.7 it may be an eighth of the memory.
    Path("/proc/sys/vm/percpu_pagelist_high_fraction").write_text("100")
    _map("freed", mmap.MADV_NOHUGEPAGE, copies=_TWICE).close()
    if os.fork():
        Path("/tmp/filled").touch()
    while True:
        time.sleep(1000)


if __name__ == "__main__":
    main()
