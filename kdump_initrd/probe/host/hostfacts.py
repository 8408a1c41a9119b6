# SPDX-License-Identifier: GPL-2.0-or-later
"""What this host tells about its block devices and mounts, as one object to be handed over."""

from __future__ import annotations

from pathlib import Path

from ...core.root import Asked, Root
from . import device, disklook, luksheader, mounts, superblock, sysfs
from .luksheader import LuksVolume
from .mounts import Mount, Planned
from .sysfs import Hardware


class HostFacts:
    """The facts of this host that a target asks for; each is found out when it is asked for.

    What is read from sysfs for them goes to ``asked``: an image depends on that, too.
    """

    def __init__(self, asked: Asked | None = None) -> None:
        self._sysfs = sysfs.mounted(Asked() if asked is None else asked)

    def node_of(self, spec: str) -> Path | None:
        """Return the block device that carries a tag here; see device.node_of()."""
        return device.node_of(spec)

    def namesakes(self, spec: str) -> tuple[str, ...]:
        """Return the devices that carry a tag here; see device.namesakes()."""
        return device.namesakes(spec)

    def superblock(self, node: Path) -> tuple[str, str]:
        """Return (file system type, UUID) of a device; see device.read_superblock()."""
        return device.read_superblock(node)

    def signature(self, node: Path) -> str:
        """Return blkid's name for what is on a device; see device.read_signature()."""
        return device.read_signature(node)

    def elsewhere(self, node: Path, fstype: str) -> tuple[str, ...]:
        """Return which parts of a file system are on other devices; see superblock.beyond()."""
        return superblock.beyond(node, fstype)

    def hardware(self, node: Path) -> Hardware | None:
        """Return what a device sits on; see sysfs.hardware_of()."""
        return sysfs.hardware_of(node, sysfs=self._sysfs)

    def luks(self, node: Path) -> LuksVolume | None:
        """Return the LUKS volume on a device; see luksheader.read()."""
        return luksheader.read(node)

    def opened_as(self, node: Path) -> str:
        """Return the mapping of the LUKS volume on a device; see sysfs.opened_as()."""
        return sysfs.opened_as(node, sysfs=self._sysfs)

    def btrfs_devices(self, uuid: str) -> tuple[Path, ...]:
        """Return the devices of a btrfs that the kernel knows; see disklook.btrfs_devices()."""
        return disklook.btrfs_devices(self._sysfs.entries(f"fs/btrfs/{uuid}/devices"))

    def has_loaded(self, module: str) -> bool:
        """Tell whether the running kernel has loaded a module; see sysfs.is_loaded()."""
        return sysfs.is_loaded(module, sysfs=self._sysfs)

    def watchdogs(self) -> tuple[str, ...]:
        """Return the drivers of the watchdogs that are ticking; see sysfs.running_watchdogs()."""
        return sysfs.running_watchdogs(sysfs=self._sysfs)

    def mounted(self, path: str) -> Mount | None:
        """Return the file system that a folder lies on now; see mounts.mounted()."""
        return mounts.mounted(path)

    def in_fstab(self, path: str, *, root: Root) -> Planned | None:
        """Return what a root's fstab mounts where a folder lies; see mounts.in_fstab()."""
        return mounts.in_fstab(path, root=root)

    def type_on(self, node: Path) -> str:
        """Return the type of what is mounted from a device; see mounts.type_on()."""
        return mounts.type_on(node)

    def options_on(self, node: Path) -> tuple[str, ...]:
        """Return the options of what is mounted from a device; see mounts.options_on()."""
        return mounts.options_on(node)

    def partuuid(self, node: Path) -> str:
        """Return the PARTUUID of a partition; see device.partuuid()."""
        return device.partuuid(node)

    def hiding(self, node: Path, path: str) -> Mount | None:
        """Return what is mounted over a folder of a device; see mounts.hiding()."""
        return mounts.hiding(node, path)

    def folder_on(self, node: Path, fstype: str, path: str) -> tuple[str, str]:
        """Return what a folder of this host is on a device; see mounts.folder_on()."""
        return mounts.folder_on(node, fstype, path)
