# SPDX-License-Identifier: GPL-2.0-or-later
"""What util-linux tells about block devices: which one carries a tag, and what is on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ...core.devicename import TAGS, unescape
from ...core.run import run

#: blkid's name for a file system: the driver that can write to it (the driver ntfs could not).
_DRIVERS = {"ntfs": "ntfs3"}
_TIMEOUT = 30.0


def node_of(spec: str) -> Path | None:
    """Return the block device that carries the tag ``spec`` here, or None."""
    result = run(["findfs", spec], timeout=_TIMEOUT, check=False)
    name = result.stdout.decode(errors="replace").strip()
    return Path(name) if result.status == 0 and name else None


def namesakes(spec: str) -> tuple[str, ...]:
    """Return the devices that carry the tag ``spec`` here, as far as lsblk sees them."""
    tag, _, value = spec.partition("=")
    if tag not in TAGS:
        return ()
    argv = ["lsblk", "--json", "--list", "--paths", "--output", f"NAME,{tag}"]
    result = run(argv, timeout=_TIMEOUT, check=False)
    text = result.stdout.decode(errors="replace")
    rows = json.loads(text)["blockdevices"] if result.status == 0 and text.strip() else []
    return tuple(dict.fromkeys(row["name"] for row in rows if row.get(tag.lower()) == value))


def read_superblock(path: Path) -> tuple[str, str]:
    """Return (file system type, UUID) that blkid reads from a device or image file, "" if none.

    The type is what mount(8) takes to mount it for writing.
    """
    values = _blkid(["--usages", "filesystem"], path)
    return driver_of(values.get("TYPE", "")), unescape(values.get("UUID", ""))


def driver_of(word: str) -> str:
    """Return the type that mount(8) takes to mount it for writing, for blkid's or udev's name."""
    found = unescape(word)
    return _DRIVERS.get(found, found)


def read_signature(path: Path) -> str:
    """Return blkid's name for whatever is on a device, file system or not, "" for nothing."""
    return unescape(_blkid([], path).get("TYPE", ""))


def partuuid(path: Path) -> str:
    """Return the PARTUUID of a partition, "" if that is not one or its disk cannot be read."""
    return unescape(_blkid([], path).get("PART_ENTRY_UUID", ""))


def _blkid(options: Sequence[str], path: Path) -> dict[str, str]:
    argv: list[str | Path] = ["blkid", "--probe", *options, "--output", "export", path]
    result = run(argv, timeout=_TIMEOUT, check=False)
    lines = result.stdout.decode(errors="replace").splitlines()
    return dict(line.partition("=")[::2] for line in lines)
