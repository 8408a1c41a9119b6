# SPDX-License-Identifier: GPL-2.0-or-later
"""What a file system's superblock tells and blkid does not: parts of it on other devices.

Without them, a mount of the one device fails; the image has to find them first. A part is "devices"
(it is spread over several), "log", "journal" or "realtime"; "seed" is no part, but a reason why it
cannot be written to.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Every superblock that is read here lies within so many bytes from the start of a device.
_START = 0x12000


@dataclass(frozen=True)
class _Superblock:
    # Where it is, its magic number and the offset of that, and the function that reads it.
    place: int
    magic: int
    mark: bytes
    beyond: Callable[[bytes], tuple[str, ...]]


def beyond(path: Path, fstype: str) -> tuple[str, ...]:
    """Return which parts of the file system on ``path`` are elsewhere, or prevent writing to it.

    There are none if all of it is here, or nothing is known about the type. Raises OSError if it
    cannot be read.
    """
    known = _KNOWN.get(fstype)
    if known is None:
        return ()
    with path.open("rb") as file:
        start = file.read(_START)
    block = start[known.place :]
    if block[known.magic : known.magic + len(known.mark)] != known.mark:
        return ()
    try:
        return known.beyond(block)
    except struct.error:  # a device that ends within it
        return ()


def _number(block: bytes, layout: str, offset: int) -> int:
    (value,) = struct.unpack_from(layout, block, offset)
    return int(value)


def _btrfs(block: bytes) -> tuple[str, ...]:
    # Btrfs's on-disk format, superblock: flags (bit 32: a seed device), num_devices.
    if _number(block, "<Q", 0x88) > 1:
        return ("devices",)
    return ("seed",) if _number(block, "<Q", 0x38) >> 32 & 1 else ()


def _xfs(block: bytes) -> tuple[str, ...]:
    # fs/xfs/libxfs/xfs_format.h, struct xfs_dsb: sb_rblocks, sb_logstart.
    log = () if _number(block, ">Q", 48) else ("log",)
    return (*log, "realtime") if _number(block, ">Q", 16) else log


def _ext(block: bytes) -> tuple[str, ...]:
    # fs/ext4/ext4.h, struct ext4_super_block: s_feature_compat (0x4: has_journal), s_journal_inum.
    journal = _number(block, "<I", 0x5C) & 0x4 and not _number(block, "<I", 0xE0)
    return ("journal",) if journal else ()


def _f2fs(block: bytes) -> tuple[str, ...]:
    # include/linux/f2fs_fs.h, struct f2fs_super_block: the second of devs[], a path first.
    return ("devices",) if block[2201 + 68 : 2201 + 69].strip(b"\0") else ()


def _jfs(block: bytes) -> tuple[str, ...]:
    # fs/jfs/jfs_superblock.h, s_flag; jfs_filsys.h: JFS_INLINELOG.
    return () if _number(block, "<I", 36) & 0x800 else ("log",)


def _reiserfs(block: bytes) -> tuple[str, ...]:
    # fs/reiserfs/reiserfs.h, struct journal_params: jp_journal_1st_block, jp_journal_dev.
    inside = _number(block, "<I", 12) and not _number(block, "<I", 16)
    return () if inside else ("journal",)


def _bcachefs(block: bytes) -> tuple[str, ...]:
    # fs/bcachefs/bcachefs_format.h, struct bch_sb: nr_devices.
    return ("devices",) if block[123] > 1 else ()


_EXT = _Superblock(1024, 0x38, b"\x53\xef", _ext)
_KNOWN: Mapping[str, _Superblock] = {
    "ext2": _EXT,
    "ext3": _EXT,
    "ext4": _EXT,
    "btrfs": _Superblock(0x10000, 0x40, b"_BHRfS_M", _btrfs),
    "xfs": _Superblock(0, 0, b"XFSB", _xfs),
    "f2fs": _Superblock(1024, 0, b"\x10\x20\xf5\xf2", _f2fs),
    "jfs": _Superblock(0x8000, 0, b"JFS1", _jfs),
    "reiserfs": _Superblock(0x10000, 0x34, b"ReIsEr", _reiserfs),
    "bcachefs": _Superblock(4096, 24, b"\xc6\x85\x73\xf6", _bcachefs),
}
