# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file system a folder lies on: one of the mounted ones, or of those in a root's fstab(5).

And where the folder is on it: below its top, or below a subvolume of btrfs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.files import TEXT, read
from ...core.root import Root
from ...core.run import run

_TIMEOUT = 30.0
_ROOT = PurePosixPath("/")
#: What is mounted below the file system itself: systemd's automount points, the first root.
_STAND_INS = ("autofs", "rootfs")
#: The most bind mounts of an fstab that are followed one after another.
_MAX_BINDS = 16


@dataclass(frozen=True)
class Mount:
    """A mounted file system.

    ``source`` is a device path, TAG=value, or whatever else is mounted. Known only while it is
    mounted: ``number`` is the MAJOR:MINOR of a device path, ``top`` the folder of the file system
    that is at the target, and ``own_options`` the options of the file system itself.
    """

    source: str
    target: PurePosixPath
    fstype: str
    options: tuple[str, ...]
    number: str = ""
    top: PurePosixPath = _ROOT
    own_options: str = ""

    def folder(self, path: PurePosixPath) -> PurePosixPath:
        """Return ``path``, which lies below the target, relative to that, as "/…"."""
        return PurePosixPath("/", path.relative_to(self.target))


@dataclass(frozen=True)
class Planned:
    """What an fstab(5) mounts where a folder lies.

    ``mount`` is the file system, ``folder`` where the folder is on it, and ``target`` the mount
    point of the first line that applies: if that is a bind mount, ``mount`` is from another line.
    """

    mount: Mount
    folder: PurePosixPath
    target: PurePosixPath


def mounted(path: str) -> Mount | None:
    """Return the mounted file system that ``path`` lies on; None if that is unknown.

    Links are followed. For a path that does not exist yet, the nearest existing folder counts.
    """
    wanted = Path(os.path.realpath(path))
    there = next(each for each in (wanted, *wanted.parents) if os.path.lexists(each))
    mounts = _findmnt(["--nofsroot", "--target", there], ["MAJ:MIN"])
    mounts = [mount for mount in mounts if mount.fstype not in _STAND_INS]
    # What was mounted last in one place hides the others.
    return mounts[-1] if mounts else None


def type_on(node: Path) -> str:
    """Return the type of the file system that is mounted from a block device, "" for none."""
    found = _findmnt(["--source", node], [])
    return found[-1].fstype if found else ""


def hiding(node: Path, path: str) -> Mount | None:
    """Return the file system behind which the folder ``path`` of a block device cannot be seen.

    None if nothing hides it, or it would not be at ``path``: the device is not mounted above that.
    """
    wanted = PurePosixPath(os.path.realpath(path))
    mounts = _findmnt(["--nofsroot", "--source", node], [])
    above = [each for each in mounts if each.target in (wanted, *wanted.parents)]
    now = mounted(path) if above else None
    if now is None or any((each.source, each.target) == (now.source, now.target) for each in above):
        return None
    return now


def options_on(node: Path) -> tuple[str, ...]:
    """Return the options of the file system that is mounted from a block device, none for none."""
    found = _findmnt(["--source", node], [])
    return found[-1].options if found else ()


def folder_on(node: Path, fstype: str, path: str) -> tuple[str, str]:
    """Return (folder on the file system, mount options) for the host's folder ``path``.

    If the block device ``node`` is mounted here and ``path`` lies below the mount point, the folder
    is where ``path`` is on that file system; else it is ``path`` as given.
    """
    given = PurePosixPath(os.path.normpath("/" + path.lstrip("/")))
    wanted = PurePosixPath(os.path.realpath(given))  # /var/crash may be a link
    mounts = _findmnt(["--source", node], ["FSROOT", "FS-OPTIONS"])
    above = [each for each in mounts if each.target in (wanted, *wanted.parents)]
    if not above:
        return str(given), ""
    mount = max(reversed(above), key=lambda each: len(each.target.parts))
    folder = mount.folder(wanted).relative_to("/")
    if fstype != "btrfs":
        return str(mount.top / folder), ""
    subvolume, option = _subvolume(mount)
    return str("/" / mount.top.relative_to(subvolume) / folder), option


def _subvolume(mount: Mount) -> tuple[PurePosixPath, str]:
    """Return the subvolume that the top of a mount lies in, and the option that mounts it.

    The kernel shows it as the last of the file system's options, unescaped (btrfs_show_options() in
    fs/btrfs/super.c). What a bind mount shows may lie deeper, and so may a subvolume that no
    mount names. Without an option the default subvolume would be mounted, whichever that is.
    """
    words, _, name = f",{mount.own_options}".partition(",subvol=")
    subvolume = PurePosixPath(name or mount.top)
    if subvolume not in (mount.top, *mount.top.parents):
        subvolume = mount.top
    if str(subvolume) == "/":
        # BTRFS_FS_TREE_OBJECTID of include/uapi/linux/btrfs_tree.h.
        return subvolume, "subvolid=5"
    number = re.search(r",subvolid=(\d+)", words)
    if "," in name and number:
        return subvolume, f"subvolid={number[1]}"
    return subvolume, f"subvol={subvolume}"


def in_fstab(path: str, *, root: Root) -> Planned | None:
    """Return what ``root``'s fstab mounts where its ``path`` lies, now or later.

    Links of the root and bind mounts are followed. None if no line tells.
    """
    table = root.file("etc/fstab")
    if table is None:
        return None
    try:
        read(table, limit=TEXT)  # findmnt would take any size
    except OSError as error:
        raise KdumpInitrdError(f"{table}: {error.strerror}") from error
    lines = _findmnt(["--fstab", "--tab-file", table], [])
    mounts = [each for each in lines if each.target.is_absolute()]
    target: PurePosixPath | None = None
    for _ in range(_MAX_BINDS):
        wanted = _inside(path, root=root)
        above = [each for each in mounts if each.target in (wanted, *wanted.parents)]
        if not above:
            return None
        # Of several in one place, the last one hides the others.
        mount = max(reversed(above), key=lambda each: len(each.target.parts))
        target = target or mount.target
        folder = mount.folder(wanted)
        if not {"bind", "rbind"} & set(mount.options):
            return Planned(mount, folder, target)
        mounts.remove(mount)
        path = f"{mount.source}/{folder}"
    return None


def _inside(path: str, *, root: Root) -> PurePosixPath:
    """Return ``path`` of ``root`` without links, from "/" on."""
    found = root.resolve(path)
    return root.inside(found) if found else PurePosixPath("/", path)


def _findmnt(options: Sequence[str | Path], more: Sequence[str]) -> list[Mount]:
    columns = ",".join(["SOURCE", "TARGET", "FSTYPE", "OPTIONS", *more])
    argv = ["findmnt", "--json", "--list", "--output", columns, *options]
    result = run(argv, timeout=_TIMEOUT, check=False)
    text = result.stdout.decode(errors="replace").strip()
    rows = json.loads(text)["filesystems"] if text else []
    return [
        Mount(
            source=row["source"] or "",
            target=PurePosixPath(row["target"] or ""),
            fstype=row["fstype"] or "",
            options=tuple((row["options"] or "").split(",")),
            number=row.get("maj:min") or "",
            top=PurePosixPath(row.get("fsroot") or "/"),
            own_options=row.get("fs-options") or "",
        )
        for row in rows
    ]
