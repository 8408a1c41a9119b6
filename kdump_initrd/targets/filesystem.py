# SPDX-License-Identifier: GPL-2.0-or-later
"""What a type of file system needs in addition to being mounted from its one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ..probe.host.hostfacts import HostFacts
    from ..probe.host.sysfs import Hardware
    from .blockdevice import BlockDevice


@dataclass(frozen=True)
class Placed:
    """A folder on a file system, and how that is mounted.

    ``options`` are those of the mount, besides rw; where they name devices, these are stable names.
    ``others`` are its other devices on this host. ``scripts`` are those of hooks/filesystems that
    find the other devices in the image.
    """

    folder: str
    options: str = ""
    others: tuple[Path, ...] = ()
    scripts: tuple[str, ...] = ()


class FileSystem:
    """A type of file system that needs nothing else; the others are derived from it."""

    #: How the options of fstab(5) begin that an image must have, too.
    kept: ClassVar[tuple[str, ...]] = ()
    #: The same for those that the image can do without: it finds the devices that they name.
    spared: ClassVar[tuple[str, ...]] = ()

    def place(
        self, device: BlockDevice, folder: str, options: str | None, *, host: HostFacts
    ) -> Placed:
        """Return where a folder is on the file system of a device.

        If ``options`` are not None, it is a folder of the file system when it is mounted with them,
        else one of this host. Raises KdumpInitrdError if the image could not mount it.
        """
        if options is None and device.node is not None:
            return Placed(*host.folder_on(device.node, device.fstype, folder))
        return Placed(folder, options or "")


def below(devices: Sequence[Hardware]) -> Hardware:
    """Return what all devices of a file system sit on, by the name of the first one."""
    first = devices[0]
    lists = [each.name for each in fields(first) if isinstance(getattr(first, each.name), tuple)]
    joined: dict[str, Any] = {
        name: tuple(dict.fromkeys(one for each in devices for one in getattr(each, name)))
        for name in lists
    }
    return replace(first, **joined, read_only=any(each.read_only for each in devices))
