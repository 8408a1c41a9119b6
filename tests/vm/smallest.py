# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest system of any architecture: a disk with busybox and an init that panics."""

from __future__ import annotations

import shutil
from pathlib import Path

from kdump_initrd.core.run import run

from . import rootfs
from .disks import Disk
from .kernels import Kernel

_FOLDERS = ("bin", "dev", "proc", "run", "sbin", "sys", "tmp", "var")
_APPLETS = ("cat", "dd", "mkdir", "mount", "poweroff", "sh", "sleep", "tail", "taskset")
_SIZE_MIB = 1024


def disk(target: Path, kernel: Kernel) -> Disk:
    """Make a sparse ext4 of rootfs.UUID with the system, for a kernel's own architecture."""
    tree = target.with_suffix(".tree")
    for folder in _FOLDERS:
        (tree / folder).mkdir(parents=True)
    shutil.copy(kernel.program("busybox"), tree / "bin/busybox")
    for applet in _APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    shutil.copy(rootfs.GUEST / "smallest-init", tree / "sbin/init")
    shutil.copy(rootfs.GUEST / "fill-little", tree)
    target.unlink(missing_ok=True)
    words = ["mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-U", rootfs.UUID, "-d", str(tree)]
    run([*words, target, f"{_SIZE_MIB}m"], timeout=120)
    shutil.rmtree(tree)
    return Disk(target)
