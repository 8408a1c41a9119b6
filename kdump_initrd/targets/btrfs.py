# SPDX-License-Identifier: GPL-2.0-or-later
"""Btrfs: a subvolume, and several devices, which the image looks for by what is on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .filesystem import FileSystem, Placed

if TYPE_CHECKING:
    from ..probe.host.hostfacts import HostFacts
    from .blockdevice import BlockDevice


class Btrfs(FileSystem):
    """See FileSystem. A device may be added after the image is built: each image is prepared."""

    kept = ("subvol=", "subvolid=")
    spared = ("device=",)

    def place(
        self, device: BlockDevice, folder: str, options: str | None, *, host: HostFacts
    ) -> Placed:
        """See FileSystem. What is mounted from several devices is listed with any of them."""
        own = device.node.resolve() if device.node else None
        others = tuple(node for node in _devices(device, host) if node.resolve() != own)
        found = super().place(device, folder, options, host=host)
        for node in others:
            if options is None and not found.options:
                found = super().place(replace(device, node=node), folder, None, host=host)
        return replace(found, others=others, scripts=("btrfs.sh",))


def _devices(device: BlockDevice, host: HostFacts) -> tuple[Path, ...]:
    if device.node is None:
        return ()
    named = device.spec.startswith("UUID=")
    return devices(device.spec[5:] if named else host.superblock(device.node)[1], host)


def devices(uuid: str, host: HostFacts) -> tuple[Path, ...]:
    """Return the devices of a file system that are here.

    The kernel lists those of one that is mounted; of any other they have the UUID in common.
    """
    listed = host.btrfs_devices(uuid) if uuid else ()
    return listed or tuple(Path(name) for name in host.namesakes(f"UUID={uuid}"))
