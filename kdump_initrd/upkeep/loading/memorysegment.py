# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes to the capture kernel behind the image, and is nowhere on a disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ...core.root import Root
from ...image.archive.cpio import plain
from ...image.tree import Tree
from ..unlocking import volumekeys
from . import lockedmemory

#: Adds to the tree what the capture kernel is to find beside the image's own files; raises
#: KdumpInitrdError. One that adds secrets locks this process's memory before it gets them; what is
#: added is wiped when it was loaded.
Contributor = Callable[[Tree, Root], None]
#: Who adds something.
CONTRIBUTORS: Sequence[Contributor] = (volumekeys.add,)
#: The kernel looks for a plain archive at multiples of that (init/initramfs.c), in bytes.
_ALIGNED = 4


@contextmanager
def made(root: Root, contributors: Sequence[Contributor]) -> Iterator[bytes]:
    """Yield an archive of what they add, not packed, or b"" where they add nothing; it is wiped.

    Raises KdumpInitrdError.
    """
    tree = Tree()
    for each in contributors:
        each(tree, root)
    archive = plain(tree) if len(tree) else b""
    for entry in tree:
        lockedmemory.wipe(entry.content)
    try:
        yield archive
    finally:
        lockedmemory.wipe(archive)


def padding(size: int) -> bytes:
    """Return what stands between an image of ``size`` bytes and the segment."""
    return bytes(-size % _ALIGNED)
