# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtio disk whose requests fail by the rules of QEMU's blkdebug."""

from __future__ import annotations

import json

from .disks import Disk


def faulty(disk: Disk, **rules: list[dict[str, object]]) -> tuple[str, ...]:
    """Return QEMU's words for a disk with these rules (docs/devel/blkdebug.rst of QEMU)."""
    file = {"driver": "file", "filename": str(disk.path), "node-name": "disk-file"}
    file["cache"] = {"direct": False, "no-flush": True}  # type: ignore[assignment]
    debug = {"driver": "blkdebug", "image": "disk-file", "node-name": "disk", **rules}
    words = [word for node in (file, debug) for word in ("-blockdev", json.dumps(node))]
    return (*words, "-device", "virtio-blk-pci,drive=disk,write-cache=on")


def dying(disk: Disk, *, writes: int) -> tuple[str, ...]:
    """Return QEMU's words for a disk on which all fails (EIO) after so many writes."""
    states: list[dict[str, object]] = [
        {"event": "pwritev", "state": number, "new_state": number + 1}
        for number in range(1, writes)
    ]
    failing: list[dict[str, object]] = [
        {"event": "pwritev", "iotype": kind, "state": writes} for kind in ("read", "write", "flush")
    ]
    return faulty(disk, **{"set-state": states, "inject-error": failing})
