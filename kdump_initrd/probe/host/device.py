# SPDX-License-Identifier: GPL-2.0-or-later
"""A block device: its stable name, and the file system on it."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.run import run
from . import filesystem, superblock

logger = get_logger(__name__)

#: The tags that findfs(8) resolves.
TAGS = ("UUID", "LABEL", "PARTUUID", "PARTLABEL")
#: blkid's name for a file system: the driver that can write to it (ntfs was one that cannot).
_DRIVERS = {"ntfs": "ntfs3"}
_TIMEOUT = 30.0


@dataclass(frozen=True)
class BlockDevice:
    """What an image waits for and mounts.

    ``spec`` is a device path or TAG=value. ``node`` is the block device on this host, None where
    it is not here.
    """

    spec: str
    fstype: str
    node: Path | None


def identify(spec: str, fstype: str) -> BlockDevice:
    """Look ``spec`` up on this host, and give it the most stable name there is.

    A device path whose UUID can be read becomes that UUID; one that cannot be read is kept with
    a warning. Raises KdumpInitrdError for what is no name of a device, a path that is no block
    device, an unformatted device, a file system other than ``fstype``, and one that no dump can
    be saved to.
    """
    node = locate(spec)
    _check_type(spec, fstype)
    node, uuid = _check(node, spec, fstype)
    if not spec.startswith("/"):
        found = BlockDevice(spec, fstype, node)
    elif uuid:
        found = BlockDevice(f"UUID={uuid}", fstype, node)
    else:
        logger.warning("%s: its UUID cannot be read: the name may change between boots", spec)
        # The image has no udev: /dev/disk/by-* is not there.
        return BlockDevice(str(Path(spec).resolve()), fstype, node)
    _warn_of_namesakes(found)
    return found


def locate(spec: str) -> Path | None:
    """Return the block device of that name here; None where none carries the tag.

    Raises KdumpInitrdError for what is no name of a device, and for a path of none.
    """
    _check_name(spec)
    tag, equals, value = spec.partition("=")
    if equals and tag in TAGS and value:
        _check_value(tag, value)
        return node_of(spec)
    if not spec.startswith("/"):
        raise KdumpInitrdError(
            f"{spec}: not a dump device",
            hint=f"give a device path or one of {', '.join(f'{tag}=' for tag in TAGS)}",
        )
    path = Path(spec)
    if not path.exists():
        raise KdumpInitrdError(f"{spec}: no such device", hint="lsblk lists those present")
    if not stat.S_ISBLK(path.stat().st_mode):
        raise KdumpInitrdError(f"{spec}: not a block device", hint="lsblk lists those present")
    return path


def _check_name(spec: str) -> None:
    if not spec.isprintable():
        raise KdumpInitrdError(
            f"{spec!a}: not a dump device: the name is not printable",
            hint="name it otherwise: by UUID=, or by a new label",
        )
    if spec != spec.strip():
        logger.warning("%s: the name begins or ends with a blank: is that meant?", ascii(spec))


def _check_type(spec: str, fstype: str) -> None:
    why = filesystem.refusal(fstype)
    if why:
        raise KdumpInitrdError(
            f"{spec}: {why}", hint="save to a disk or partition with ext4, xfs, btrfs or vfat on it"
        )
    if not filesystem.is_known(fstype):
        logger.warning(
            "%s: not known as a file system on block devices: check that it can be mounted from %s",
            *(fstype, spec),
        )


def _check_value(tag: str, value: str) -> None:
    """Refuse a UUID that is none: file systems' own ones are hexadecimal, too, if shorter."""
    if tag not in ("UUID", "PARTUUID") or re.fullmatch(r"[0-9A-Fa-f]+(-[0-9A-Fa-f]+)*", value):
        return
    raise KdumpInitrdError(
        f"{tag}={value}: not a UUID: hexadecimal digits and hyphens are wanted",
        hint=f"lsblk -o NAME,{tag},LABEL lists those present; LABEL= takes any name",
    )


def _warn_of_namesakes(device: BlockDevice) -> None:
    """Warn where several devices carry the name: the image would take any of them."""
    tag, _, value = device.spec.partition("=")
    if device.node is None or tag not in TAGS:
        return
    argv = ["lsblk", "--json", "--list", "--paths", "--output", f"NAME,{tag}"]
    result = run(argv, timeout=_TIMEOUT, check=False)
    text = result.stdout.decode(errors="replace")
    rows = json.loads(text)["blockdevices"] if result.status == 0 and text.strip() else []
    names = dict.fromkeys(row["name"] for row in rows if row.get(tag.lower()) == value)
    if len(names) > 1:
        logger.warning(
            "%s: %s have that name, and the image takes the one that it finds first: give each its "
            "own, or say PARTUUID=",
            *(device.spec, " and ".join(names)),
        )


def node_of(spec: str) -> Path | None:
    """Return the block device that carries the tag ``spec`` here, or None."""
    result = run(["findfs", spec], timeout=_TIMEOUT, check=False)
    name = result.stdout.decode(errors="replace").strip()
    return Path(name) if result.status == 0 and name else None


def _check(node: Path | None, spec: str, fstype: str) -> tuple[Path | None, str]:
    """Compare what is on ``node`` with ``fstype``; return it and its UUID ("" if unreadable)."""
    if node is None:
        return None, ""
    try:
        elsewhere = superblock.beyond(node, fstype)
    except OSError as error:
        logger.warning(
            "%s: cannot be read (%s): its file system is not checked", spec, error.strerror
        )
        return node, ""
    found, uuid = read_superblock(node)
    if not found:
        what = read_signature(node)
        if what:  # somebody's data: no word of formatting
            raise KdumpInitrdError(
                f"{spec}: holds {what}, no file system",
                hint="name a disk or partition with a file system on it",
            )
        raise KdumpInitrdError(
            f"{spec}: no file system on it", hint=f"format it first, as mkfs.{fstype} would"
        )
    if found != fstype:
        raise KdumpInitrdError(
            f"{spec}: holds {found}, not {fstype}",
            hint=f"say that it is {found}, or format it anew",
        )
    if elsewhere:
        known = spec if spec == str(node) else f"{node} ({spec})"
        raise KdumpInitrdError(
            f"{known}: {fstype} {elsewhere}, which the image cannot assemble",
            hint="save to a file system that is on one disk or partition alone",
        )
    return node, uuid


def read_superblock(path: Path) -> tuple[str, str]:
    """Return (file system type, UUID) that blkid reads from a device or image file, "" if none.

    The type is as mount(8) wants it to be written to.
    """
    values = _blkid(["--usages", "filesystem"], path)
    found = unescape(values.get("TYPE", ""))
    return _DRIVERS.get(found, found), unescape(values.get("UUID", ""))


def read_signature(path: Path) -> str:
    """Return blkid's name for whatever is on a device, file system or not, "" if nothing."""
    return unescape(_blkid([], path).get("TYPE", ""))


def _blkid(options: Sequence[str], path: Path) -> dict[str, str]:
    argv: list[str | Path] = ["blkid", "--probe", *options, "--output", "export", path]
    result = run(argv, timeout=_TIMEOUT, check=False)
    lines = result.stdout.decode(errors="replace").splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def unescape(text: str) -> str:
    r"""Undo util-linux's and udev's \xNN escapes."""
    raw = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())
    return raw.decode(errors="replace")


def unescape_octal(text: str) -> str:
    r"""Undo the \NNN escapes of fstab and /proc/mounts."""
    raw = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8) & 255]), text.encode())
    return raw.decode(errors="replace")
