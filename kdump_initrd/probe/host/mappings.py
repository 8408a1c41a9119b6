# SPDX-License-Identifier: GPL-2.0-or-later
"""What sysfs tells of a block device that is made of others: which layer it is, and its names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...core.root import Root

#: cryptsetup's types of encrypted mappings, beside LUKS1 and LUKS2 (lib/libcryptsetup.h).
_ENCRYPTED = ("plain", "loopaes", "tcrypt", "bitlk", "fvault2")


@dataclass(frozen=True)
class Multipath:
    """A disk that several paths lead to: its mapping, and the WWID by which its paths are known.

    ``uuid`` is that of device-mapper, ``wwid`` what sysfs calls it, ``paths`` how many there are.
    """

    name: str
    uuid: str
    paths: int
    wwid: str


@dataclass(frozen=True)
class Encrypted:
    """An opened LUKS volume: its mapping's name, its UUID, and the device that it is on."""

    name: str
    uuid: str
    device: Path


def attribute(path: Path, sysfs: Root) -> str:
    """Return what is in an attribute, "" if it is not there."""
    try:
        return sysfs.read_text(path).strip()
    except OSError:
        return ""


def name_of(block: Path, sysfs: Root) -> str:
    """Return a device's name for its users: /dev/mapper/NAME or /dev/NAME."""
    mapped = attribute(block / "dm/name", sysfs)
    # In sysfs, "!" stands for a slash in a name.
    return f"/dev/mapper/{mapped}" if mapped else f"/dev/{block.name.replace('!', '/')}"


def disk_of(device: Path, sysfs: Root) -> Path:
    """Return the disk that a device is a partition of, or the device itself."""
    return device.parent if sysfs.file(device / "partition") is not None else device


def layer_of(disk: Path, sysfs: Root) -> str:
    """Return the layer that a disk of device-mapper or MD RAID is, "" for any other disk."""
    if sysfs.folder(disk / "md") is not None:
        external = attribute(disk / "md/metadata_version", sysfs).startswith("external:")
        return "md with external metadata" if external else "md"
    if sysfs.folder(disk / "dm") is not None:
        # A partition of a multipath disk is a mapping of kpartx's: part1-mpath-….
        uuid = re.sub(r"^part\d+-(?=mpath-)", "", attribute(disk / "dm/uuid", sysfs))
        kind, _, rest = uuid.lower().partition("-")
        if kind == "crypt":
            how = rest.partition("-")[0]
            return "luks" if how in ("luks1", "luks2") else "crypt" if how in _ENCRYPTED else "dm"
        return kind if kind in ("lvm", "mpath") else "dm"
    return ""


def slaves(disk: Path, sysfs: Root) -> list[Path]:
    """Return the devices that a disk is made of."""
    return [sysfs.real_path(each) for each in sysfs.entries(disk / "slaves")]


def multipath(disk: Path, sysfs: Root) -> Multipath | None:
    """Return a disk with several paths, None for a partition of one."""
    uuid, paths = attribute(disk / "dm/uuid", sysfs), slaves(disk, sysfs)
    if not uuid.startswith("mpath-") or not paths:
        return None
    # SCSI's disks have it at their device, those of NVMe themselves.
    found = (attribute(paths[0] / name, sysfs) for name in ("device/wwid", "wwid"))
    wwid = next((each for each in found if each), "")
    return Multipath(attribute(disk / "dm/name", sysfs), uuid, len(paths), wwid)


def encrypted(disk: Path, sysfs: Root) -> Encrypted:
    """Return an opened LUKS volume; device-mapper has its UUID without hyphens."""
    found = attribute(disk / "dm/uuid", sysfs).split("-")[2]
    uuid = re.sub(r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", r"\1-\2-\3-\4-\5", found)
    below = next((name_of(each, sysfs) for each in slaves(disk, sysfs)), "")
    return Encrypted(attribute(disk / "dm/name", sysfs), uuid, Path(below))


def opened_as(device: Path, sysfs: Root) -> str:
    """Return the name of the mapping that a LUKS volume on a device is open by, "" for none."""
    for each in sysfs.entries(device / "holders"):
        holder = sysfs.real_path(each)
        if layer_of(holder, sysfs) == "luks":
            return attribute(holder / "dm/name", sysfs)
    return ""


def is_secret(device: Path, sysfs: Root) -> bool:
    """Tell whether all that is written to a device is encrypted before it comes to a disk."""
    todo, seen = [device], {device}
    while todo:
        disk = disk_of(todo.pop(), sysfs)
        if layer_of(disk, sysfs) in ("luks", "crypt"):
            continue
        parts = slaves(disk, sysfs)
        if not parts:
            return False
        todo += [each for each in parts if each not in seen]
        seen.update(parts)
    return True
