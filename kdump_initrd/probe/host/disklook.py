# SPDX-License-Identifier: GPL-2.0-or-later
"""What a root's own /dev, /sys, /proc and /run tell about a block device, to any user.

No program is started for it, except on the running host if there is no udev: then findfs and blkid
read the devices, if the user may.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...core.devicename import is_tag, unescape, unescape_octal
from ...core.root import Root
from . import device


@dataclass(frozen=True)
class Disk:
    """A block device: its path, what is on it ("" if unknown), and where that is mounted here."""

    node: Path
    fstype: str
    mounted: Path | None


def has_udev(root: Root) -> bool:
    """Tell whether udev has left its links."""
    return root.folder("dev/disk") is not None


def find(spec: str, *, root: Root) -> Disk | None:
    """Return the device that a path or TAG=value names, None if it is not there."""
    node = _node(spec, root)
    if node is None:
        return None
    number = _number(node, root)
    fstype, mounted = _mount(node, number, root)
    return Disk(node, fstype or _type(node, number, root), mounted)


def _node(spec: str, root: Root) -> Path | None:
    if not is_tag(spec):
        return root.there(spec)
    tag, _, value = spec.partition("=")
    for path in root.entries(f"dev/disk/by-{tag.lower()}"):
        if unescape(path.name) == value:
            return root.there(path)
    return device.node_of(spec) if root.is_host and not has_udev(root) else None


def _number(node: Path, root: Root) -> str:
    """Return the MAJOR:MINOR of a device, "" if sysfs does not know it."""
    with suppress(OSError):
        return root.read_text(f"sys/class/block/{node.name}/dev").strip()
    return ""


def btrfs_devices(entries: Sequence[Path]) -> tuple[Path, ...]:
    """Return the nodes of what sysfs lists as the devices of a btrfs that is mounted.

    The entries are those of fs/btrfs/UUID/devices (fs/btrfs/sysfs.c); "!" is a slash in a name.
    """
    return tuple(Path("/dev", each.name.replace("!", "/")) for each in entries)


def _siblings(node: Path, root: Root) -> list[str]:
    """Return the names of all devices of a btrfs that is mounted from one of them, here ``node``.

    The mount has the name of any.
    """
    for folder in root.entries("sys/fs/btrfs"):
        names = [each.name for each in btrfs_devices(root.entries(folder / "devices"))]
        if node.name in names:
            return names
    return []


def _mount(node: Path, number: str, root: Root) -> tuple[str, Path | None]:
    """Return (type, mount point) of a device, ("", None) if it is not mounted (proc(5)).

    Of several mounts it is one that shows all of the file system, if there is one.
    """
    found = []
    nodes = {node, *(node.with_name(name) for name in _siblings(node, root))}
    with suppress(OSError):
        for line in root.read_text("proc/self/mountinfo").splitlines():
            words, _, behind = line.partition(" - ")
            fields, (fstype, source, *_) = words.split(), [*behind.split(), "", ""]
            if len(fields) < 5:
                continue
            if fields[2] == number or root.path / source.lstrip("/") in nodes:
                place = root.folder(unescape_octal(fields[4]))
                found.append((fields[3] != "/", len(fields[4]), fstype, place))
    if not found:
        return "", None
    _, _, fstype, place = min(found, key=lambda each: each[:2])
    return fstype, place


def _type(node: Path, number: str, root: Root) -> str:
    """Return the type of what is on a device that is not mounted, "" if unknown.

    udev keeps what it has found in a file for each device number (sd-device's database).
    """
    with suppress(OSError):
        for line in root.read_text(f"run/udev/data/b{number}").splitlines():
            if line.startswith("E:ID_FS_TYPE="):
                return device.driver_of(line.partition("=")[2])
    if root.is_host and os.access(node, os.R_OK):
        return device.read_superblock(node)[0]
    return ""
