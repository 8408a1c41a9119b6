# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs of the host that the machine tests need, found or named as missing."""

from __future__ import annotations

from pathlib import Path

from kdump_initrd.core.run import find

#: Program → Debian package that has it, for the message of a missing one.
_PACKAGES = {
    "busybox": "busybox-static",
    "btrfs": "btrfs-progs",
    "bzip2": "bzip2",
    "debootstrap": "debootstrap",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "kexec": "kexec-tools",
    "lz4": "lz4",
    "lzop": "lzop",
    "makedumpfile": "makedumpfile",
    "mcopy": "mtools",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.exfat": "exfatprogs",
    "mkfs.ext2": "e2fsprogs",
    "mkfs.ext3": "e2fsprogs",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.f2fs": "f2fs-tools",
    "mkfs.vfat": "dosfstools",
    "mkfs.xfs": "xfsprogs",
    "modprobe": "kmod",
    "qemu-aarch64": "qemu-user",
    "qemu-i386": "qemu-user",
    "qemu-ppc64le": "qemu-user",
    "qemu-s390x": "qemu-user",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-i386": "qemu-system-x86",
    "qemu-system-ppc64": "qemu-system-ppc",
    "qemu-system-riscv64": "qemu-system-misc",
    "qemu-system-s390x": "qemu-system-misc",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "sfdisk": "fdisk",
    "unshare": "util-linux",
    "xz": "xz-utils",
    "zstd": "zstd",
}


class MissingTool(Exception):
    """A program that the test cannot do without is not installed."""


def tool(name: str) -> Path:
    """Return the path of a program of the host; raises MissingTool, naming its package."""
    path = find(name)
    if path is None:
        raise MissingTool(f"{name}: program not found (Debian package {_PACKAGES.get(name, name)})")
    return Path(path).resolve() if name == "busybox" else Path(path)
