# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of a file system on other devices, on superblocks written here and by mkfs."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.probe.host import superblock


def block(place: int, *fields: tuple[int, str, int], mark: tuple[int, bytes]) -> bytes:
    """Return a device that has a superblock with these (offset, layout, value)."""
    data = bytearray(4096)
    for offset, layout, value in fields:
        struct.pack_into(layout, data, offset, value)
    offset, word = mark
    data[offset : offset + len(word)] = word
    return bytes(place) + data


XFS, EXT = (0, b"XFSB"), (0x38, b"\x53\xef")
BTRFS, F2FS = (0x40, b"_BHRfS_M"), (0, b"\x10\x20\xf5\xf2")
REISERFS = (0x34, b"ReIsEr2Fs")
BCACHEFS = (24, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"))


@pytest.mark.parametrize(
    ("fstype", "device", "wanted"),
    [
        ("ext4", block(1024, (0x5C, "<I", 0x4), (0xE0, "<I", 8), mark=EXT), ()),
        ("ext4", block(1024, (0x5C, "<I", 0x4), mark=EXT), ("journal",)),
        ("ext3", block(1024, (0x5C, "<I", 0x4), mark=EXT), ("journal",)),
        ("ext2", block(1024, mark=EXT), ()),
        ("xfs", block(0, (48, ">Q", 0x100), mark=XFS), ()),
        ("xfs", block(0, mark=XFS), ("log",)),
        ("xfs", block(0, (48, ">Q", 0x100), (16, ">Q", 9), mark=XFS), ("realtime",)),
        ("btrfs", block(0x10000, (0x88, "<Q", 1), mark=BTRFS), ()),
        ("btrfs", block(0x10000, (0x88, "<Q", 3), mark=BTRFS), ("devices",)),
        ("btrfs", block(0x10000, (0x88, "<Q", 1), (0x38, "<Q", 1 << 32), mark=BTRFS), ("seed",)),
        ("f2fs", block(1024, mark=F2FS), ()),
        ("f2fs", block(1024, (2201, "<B", 47), (2269, "<B", 47), mark=F2FS), ("devices",)),
        ("jfs", block(0x8000, (36, "<I", 0x10200900), mark=(0, b"JFS1")), ()),
        ("jfs", block(0x8000, (36, "<I", 0x10200100), mark=(0, b"JFS1")), ("log",)),
        ("reiserfs", block(0x10000, (12, "<I", 18), mark=REISERFS), ()),
        ("reiserfs", block(0x10000, (12, "<I", 18), (16, "<I", 0x801), mark=REISERFS),
         ("journal",)),
        ("bcachefs", block(4096, (123, "<B", 1), mark=BCACHEFS), ()),
        ("bcachefs", block(4096, (123, "<B", 2), mark=BCACHEFS), ("devices",)),
        ("xfs", b"", ()), ("xfs", b"XFSB", ()), ("ext4", bytes(1 << 17), ()),
        ("what-is-new", b"", ()),
    ],
)  # fmt: skip
def test_what_is_elsewhere(
    tmp_path: Path, fstype: str, device: bytes, wanted: tuple[str, ...]
) -> None:
    path = tmp_path / "disk"
    path.write_bytes(device)
    assert superblock.beyond(path, fstype) == wanted


#: (program and its words, others' devices and sizes in MiB, what it makes). "@" is the disk.
MADE = {
    "mkfs.ext4 -q @": ("ext4", {}, ()),
    "mkfs.btrfs -q @": ("btrfs", {}, ()),
    "mkfs.btrfs -q -d single -m single @ other": ("btrfs", {"other": 400}, ("devices",)),
    "mkfs.xfs -q @": ("xfs", {}, ()),
    "mkfs.xfs -q -l logdev=other,size=64m @": ("xfs", {"other": 80}, ("log",)),
    "mkfs.xfs -q -r rtdev=other @": ("xfs", {"other": 80}, ("realtime",)),
    "mkfs.xfs -q -l logdev=log,size=64m -r rtdev=other @": (
        "xfs", {"log": 80, "other": 80}, ("log", "realtime")
    ),
    "mkfs.f2fs -q @": ("f2fs", {}, ()),
    "mkfs.f2fs -q -c other @": ("f2fs", {"other": 400}, ("devices",)),
    "mkfs.jfs -q @": ("jfs", {}, ()),
    "mkfs.jfs -q -j other @": ("jfs", {"other": 64}, ("log",)),
}  # fmt: skip


@pytest.mark.parametrize("command", MADE)
def test_what_mkfs_makes(tmp_path: Path, command: str) -> None:
    program, *words = command.split()
    if shutil.which(program, path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip(f"{program} is not here")
    fstype, others, wanted = MADE[command]
    for name, size in {"disk": 400, **others}.items():
        with (tmp_path / name).open("wb") as file:
            file.truncate(size << 20)
    argv = [program, *(word.replace("@", "disk") for word in words)]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    assert superblock.beyond(tmp_path / "disk", fstype) == wanted
