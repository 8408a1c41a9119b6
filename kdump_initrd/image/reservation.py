# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory to reserve for an image: the crashkernel= to put on the command line."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from .archive.boundary import window
from .archive.newc import CorruptError
from .archive.segments import read_packed, segments_of
from .archive.stored import open_stored
from .stage import SECOND_STAGE

_MIB = 1 << 20
#: What the saver and the drivers take in addition, in bytes.
_SAVER = 8 * _MIB
#: Headroom for the drivers and tables of a larger machine, in bytes.
_HEADROOM = 16 * _MIB
#: What is enough for nearly every image, if none is at hand; in MiB.
USUAL = 144
#: Recommendations are multiples of this; in MiB, and in bytes.
STEP_MIB = 8
_STEP = STEP_MIB * _MIB


@dataclass(frozen=True)
class Weight:
    """What a capture initrd weighs, in bytes.

    ``stored`` is the file, ``unpacked`` what the kernel unpacks of it, ``later`` what a hook
    unpacks beyond that, ``window`` the most that a decoder keeps beside; ``files`` is how many
    files there are of both, which take whole pages.
    """

    stored: int
    unpacked: int
    later: int
    window: int
    files: int


@dataclass(frozen=True)
class Terms:
    """What the capture kernel takes, in bytes.

    ``kernel`` is its unpacked image, ``runtime`` what it takes besides before /init, ``freed``
    what it gives back when it is set up; ``page`` is its page.
    """

    kernel: int
    runtime: int
    freed: int
    page: int


def weigh(path: Path, *, more: int = 0) -> Weight:
    """Weigh any initrd, and ``more`` bytes that are appended to it, not packed.

    Raises KdumpInitrdError for a file that is none or is damaged.
    """
    stored = open_stored(path)
    segments = segments_of(stored, path)
    sizes: list[int] = []
    packed: list[int] = []
    later = 0
    for segment in segments:
        for member in segment.entries(contents=lambda member: member.path == str(SECOND_STAGE)):
            if stat.S_ISREG(member.mode):
                sizes.append(member.size)
            if member.path == str(SECOND_STAGE):
                packed = _later(member.content)
                later = sum(packed) - member.size
    windows = [window(stored, each.offset, codec=each.compression) for each in segments]
    unpacked = sum(sizes) + more
    return Weight(len(stored) + more, unpacked, later, max(windows), len(sizes) + len(packed))


def _later(packed: bytes) -> list[int]:
    try:
        return [member.size for member in read_packed(packed) if stat.S_ISREG(member.mode)]
    except CorruptError:
        return [len(packed)]  # its own hook will say so


def parts(weight: Weight, terms: Terms) -> dict[str, int]:
    """Return what takes memory at the moment when the most is taken: bytes, by name.

    Two moments count. While the kernel unpacks the initrd, the stored image, the unpacked tree
    and the decoder's window are in memory at once. When the saver starts, the kernel has freed
    the stored image and what it needed to start, but all of the tree is unpacked.
    """
    # On average, half of a file's last page is empty.
    base = {"kernel": terms.kernel, "files": weight.files * terms.page // 2}
    unpacking = {
        **base, "runtime": terms.runtime, "stored": weight.stored, "unpacked": weight.unpacked,
        "window": weight.window,
    }  # fmt: skip
    saving = {
        **base, "runtime": terms.runtime - terms.freed, "unpacked": weight.unpacked,
        "later": weight.later, "saver": _SAVER,
    }  # fmt: skip
    return max(unpacking, saving, key=lambda moment: sum(moment.values()))


def least(weight: Weight, terms: Terms) -> int:
    """Return the MiB that an image needs at least."""
    return -(-sum(parts(weight, terms).values()) // _MIB)


def crashkernel(weight: Weight, terms: Terms) -> int:
    """Return the MiB to reserve for an image: least() plus headroom, a multiple of eight."""
    need = least(weight, terms) * _MIB + _HEADROOM
    return -(-need // _STEP) * _STEP // _MIB
