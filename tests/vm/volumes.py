# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks with the Debian root on LVM or on a mirror, without device mapper or md on the host."""

from __future__ import annotations

from pathlib import Path

from kdump_initrd.core.run import run

from . import loop, rootfs
from .bases import Base, base
from .disks import Disk, DiskError
from .loop import LOGIN, Loop
from .rootfs import Root
from .scenario import folder_of

#: The volume group and the volume with the root.
GROUP, VOLUME = "crashvg", "root"
_MIB = 1 << 20
#: Where LVM begins with the first extent, as it says itself (pvs -o pe_start).
_FIRST_EXTENT = _MIB
#: What LVM and md need beyond the file system, generously.
_BEYOND = 16 * _MIB
_LVM = ["--driverloaded", "n", "--config", "backup { backup=0 archive=0 }"]


def logical(root: Root, target: Path) -> Disk:
    """Make a disk whose only volume group has the root's file system in a linear volume."""
    source = rootfs.image(root)
    _blank(target, source.stat().st_size)
    device = run(["losetup", "--find", "--show", target], timeout=30).stdout.decode().strip()
    try:
        for argv in (
            ["pvcreate", *_LVM, "--yes", device],
            ["vgcreate", *_LVM, GROUP, device],
            ["lvcreate", *_LVM, "-an", "-Zn", "-Wn", "-l", "100%FREE", "-n", VOLUME, GROUP],
        ):
            root.enter(argv, out=target.parent, timeout=60)
    finally:
        run(["losetup", "--detach", device], timeout=30)
    _write(source, target, offset_mib=_FIRST_EXTENT // _MIB)
    return Disk(target, _FIRST_EXTENT)


def mirrored(root: Root, one: Path, two: Path) -> Disk:
    """Make the two disks of a mirror with the root's file system; return the first.

    md's superblocks lie behind the data, so each holds the file system from its beginning. They
    are made once, by mdadm in the machine, and kept in the cache.
    """
    source = rootfs.image(root)
    kept = [root.home / f"mirror-{number}.raw" for number in (1, 2)]
    if not all(path.exists() for path in kept):
        _make_mirror(root, kept, source.stat().st_size)
    for path, target in zip(kept, (one, two)):
        _copy(path, target)
        _write(source, target, offset_mib=0)
    return Disk(one)


def _make_mirror(root: Root, kept: list[Path], size: int) -> None:
    folder = folder_of("mirror")
    disk = rootfs.disk(root, folder / "root.raw")
    fresh = [path.with_suffix(".new") for path in kept]
    for path in fresh:
        _blank(path, size)
    run_ = Loop(
        "mirror", root.kernel, base(root, Base.EARLY), (disk.path, *fresh), test="array",
        phases=LOGIN,
    )  # fmt: skip
    outcome = loop.go(run_)
    disk.path.unlink()
    if not loop.said(outcome, "array made"):
        raise DiskError(f"mdadm made no mirror: see {outcome.run.log}")
    for new, path in zip(fresh, kept):
        new.replace(path)


def _blank(target: Path, size: int) -> None:
    target.unlink(missing_ok=True)
    with target.open("wb") as out:
        out.truncate(size + _BEYOND)


def _copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    run(["cp", "--sparse=always", "--reflink=auto", source, target], timeout=120)


def _write(source: Path, target: Path, *, offset_mib: int) -> None:
    argv = ["dd", f"if={source}", f"of={target}", "bs=1M", f"seek={offset_mib}"]
    run([*argv, "conv=sparse,notrunc"], timeout=120)
