# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file system a folder lies on: of the mounted ones, or of those in a root's fstab(5)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..rooted import resolve
from ..run import run

_TIMEOUT = 30.0
#: Stand before the file system itself: systemd's automount points, the kernel's first root.
_STAND_INS = ("autofs", "rootfs")
#: Bind mounts of an fstab that lead to one another end somewhere.
_MAX_BINDS = 16


@dataclass(frozen=True)
class Mount:
    """A mounted file system.

    ``source`` is a device path, TAG=value, or whatever else is mounted; for a device path of a
    mounted one, ``number`` is its MAJOR:MINOR.
    """

    source: str
    target: PurePosixPath
    fstype: str
    options: tuple[str, ...]
    number: str = ""

    def folder(self, path: PurePosixPath) -> PurePosixPath:
        """Return what ``path``, which lies below the target, is from there on, as "/…"."""
        return PurePosixPath("/", path.relative_to(self.target))


def mounted(path: str) -> Mount | None:
    """Return the mounted file system that ``path`` lies on; None where nobody can tell.

    Links are followed. Of what does not exist yet, the nearest folder that does counts.
    """
    wanted = Path(os.path.realpath(path))
    there = next(each for each in (wanted, *wanted.parents) if os.path.lexists(each))
    mounts = _findmnt(["--nofsroot", "--target", there], ["MAJ:MIN"])
    mounts = [mount for mount in mounts if mount.fstype not in _STAND_INS]
    # What was mounted last on one place hides the others.
    return mounts[-1] if mounts else None


def in_fstab(path: str, *, root: Path) -> tuple[Mount, PurePosixPath] | None:
    """Return what ``root``'s fstab mounts where its ``path`` lies, and the folder on it.

    Links of the root are followed, and bind mounts, too. None where no line tells.
    """
    table = resolve("etc/fstab", root=root)
    if table is None or not table.is_file():
        return None
    mounts = [each for each in _findmnt(["--fstab", "--tab-file", table], []) if _at_boot(each)]
    for _ in range(_MAX_BINDS):
        wanted = _inside(path, root=root)
        above = [each for each in mounts if each.target in (wanted, *wanted.parents)]
        if not above:
            return None
        # Of several on one place, the last one hides the others.
        mount = max(reversed(above), key=lambda each: len(each.target.parts))
        folder = mount.folder(wanted)
        if not {"bind", "rbind"} & set(mount.options):
            return mount, folder
        mounts.remove(mount)
        path = f"{mount.source}/{folder}"
    return None


def _at_boot(mount: Mount) -> bool:
    late = "noauto" in mount.options and "x-systemd.automount" not in mount.options
    return mount.target.is_absolute() and not late


def _inside(path: str, *, root: Path) -> PurePosixPath:
    """Return ``path`` of ``root`` without links, from "/" on."""
    found = resolve(path, root=root)
    return PurePosixPath("/", found.relative_to(root) if found else path)


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
        )
        for row in rows
    ]
