# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes to the capture kernel behind the image, and is nowhere on a disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...core.compression import Codec
from ...core.root import Root
from ...image.archive.cpio import Packing, pack
from ...image.tree import Tree

#: Adds to the tree what the capture kernel is to find beside the image's own files; raises
#: KdumpInitrdError. It is asked in a process whose memory is locked, and may add secrets.
Contributor = Callable[[Tree, Root], None]
#: Who adds something.
CONTRIBUTORS: Sequence[Contributor] = ()
#: The kernel looks for a plain archive at multiples of that (init/initramfs.c), in bytes.
_ALIGNED = 4


def make(root: Root, contributors: Sequence[Contributor]) -> bytes:
    """Return an archive of what they add, not packed, or b"" where they add nothing.

    Raises KdumpInitrdError.
    """
    tree = Tree()
    for each in contributors:
        each(tree, root)
    return pack(tree, Packing(Codec.NONE, 0)) if len(tree) else b""


def padding(size: int) -> bytes:
    """Return what stands between an image of ``size`` bytes and the segment."""
    return bytes(-size % _ALIGNED)
