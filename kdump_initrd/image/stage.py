# SPDX-License-Identifier: GPL-2.0-or-later
"""The second stage: what a hook unpacks later, so that the kernel need not unpack all at once.

While the kernel unpacks an initrd, the stored image and the unpacked tree are in memory at once,
and its own set-up code and data are not freed yet: that moment decides how much memory must be
reserved. A part that stays packed until later makes the peak lower (docs/architecture.md).
"""

from __future__ import annotations

import hashlib

from ..core import cache
from ..core.compression import Codec
from ..saver import imagepaths
from .archive.cpio import Packing, pack
from .tree import Entry, Tree, inside

#: Where the packed stage lies; hooks/pre-save/10-second-stage unpacks it.
SECOND_STAGE = inside(imagepaths.SECOND_STAGE)
#: The commands that unpack it: busybox has no zstd, and gzip's window is the smallest.
COMMANDS = ("cpio", "gunzip")


def add_stage(tree: Tree, later: Tree, *, mtime: int) -> tuple[Entry, ...]:
    """Add to ``tree`` the packed stage: what ``later`` has in addition; return its entries.

    The packed bytes come from the cache, if it has them.
    """
    entries = tuple(entry for entry in later if entry.dest not in tree)
    key = _key(entries, mtime)
    packed = cache.fetch(key)
    if packed is None:
        packed = pack(entries, Packing(Codec.GZIP, mtime))
        cache.store(key, packed)
    tree.add_content(SECOND_STAGE, packed, why="unpacked by a hook, when there is more memory")
    return entries


def _key(entries: tuple[Entry, ...], mtime: int) -> str:
    digest = hashlib.sha256(f"second stage 1 {mtime}\n".encode())
    for entry in entries:
        facts = (str(entry.dest), entry.kind.value, entry.mode, entry.size, entry.device)
        digest.update(f"{facts} {entry.digest}\n".encode())
    return digest.hexdigest()
