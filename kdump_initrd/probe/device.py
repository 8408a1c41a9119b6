# SPDX-License-Identifier: GPL-2.0-or-later
"""A block device: its stable name, the file system on it, and where it is mounted here."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import KdumpInitrdError
from ..log import get_logger
from ..run import run

logger = get_logger(__name__)

#: The tags that findfs(8) resolves.
TAGS = ("UUID", "LABEL", "PARTUUID", "PARTLABEL")
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
    a warning. Raises KdumpInitrdError for a path that is no block device, an unformatted
    device, and a file system other than ``fstype``.
    """
    tag, equals, value = spec.partition("=")
    if equals and tag in TAGS and value:
        return BlockDevice(spec, fstype, _check(node_of(spec), spec, fstype)[0])
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
    node, uuid = _check(path, spec, fstype)
    if not uuid:
        logger.warning("%s: its UUID cannot be read: the name may change between boots", spec)
        # The image has no udev: /dev/disk/by-* is not there.
        return BlockDevice(str(path.resolve()), fstype, node)
    return BlockDevice(f"UUID={uuid}", fstype, node)


def folder_on(device: BlockDevice, path: str) -> tuple[str, str]:
    """Return (folder on the dump file system, mount options) for the host's folder ``path``.

    Where the device is mounted here and ``path`` lies below the mount point, the folder is what
    ``path`` is on that file system; else it is ``path`` as given.
    """
    wanted = PurePosixPath(os.path.normpath("/" + path.lstrip("/")))
    if device.node is None:
        return str(wanted), ""
    given, wanted = wanted, PurePosixPath(os.path.realpath(wanted))  # /var/crash may be a link
    argv = ["findmnt", "--noheadings", "--raw", "--output", "TARGET,FSROOT", "--source"]
    result = run([*argv, device.node], timeout=_TIMEOUT, check=False)
    best: tuple[PurePosixPath, PurePosixPath] | None = None
    for line in result.stdout.decode(errors="replace").splitlines():
        target, _, top = (unescape(word) for word in line.partition(" "))
        mounted = PurePosixPath(target)
        below = mounted == wanted or mounted in wanted.parents
        if below and (best is None or len(mounted.parts) > len(best[0].parts)):
            best = (mounted, PurePosixPath(top or "/"))
    if best is None:
        return str(given), ""
    relative = wanted.relative_to(best[0])
    if device.fstype == "btrfs" and str(best[1]) != "/":
        return str(PurePosixPath("/") / relative), f"subvol={best[1]}"
    return str(best[1] / relative), ""


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
        with node.open("rb") as file:
            file.read(4096)
    except OSError as error:
        logger.warning("%s: cannot be read (%s): its file system is not checked", spec, error)
        return node, ""
    found, uuid = read_superblock(node)
    if not found:
        raise KdumpInitrdError(
            f"{spec}: no file system on it", hint=f"format it first, as mkfs.{fstype} would"
        )
    if found != fstype:
        raise KdumpInitrdError(
            f"{spec}: holds {found}, not {fstype}",
            hint=f"say that it is {found}, or format it anew",
        )
    return node, uuid


def read_superblock(path: Path) -> tuple[str, str]:
    """Return (file system type, UUID) that blkid reads from a device or image file, "" if none."""
    values = _blkid(["--usages", "filesystem"], path)
    return unescape(values.get("TYPE", "")), unescape(values.get("UUID", ""))


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
