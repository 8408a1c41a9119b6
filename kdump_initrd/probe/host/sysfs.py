# SPDX-License-Identifier: GPL-2.0-or-later
"""The hardware that a block device sits on, as sysfs tells it: modaliases, drivers, slaves."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.root import Asked, Root
from . import mappings
from .mappings import Encrypted, Multipath, attribute, disk_of, layer_of, name_of

#: A disk that is not hardware, but made by a driver that has no other name here.
VIRTUAL = "virtual"
#: Drivers whose disks come over the network, though they seem to be on a bus of this machine:
#: USB/IP (drivers/usb/usbip).
_NETWORK_DRIVERS = ("vhci_hcd",)
#: iSCSI adapters that log in by themselves, with settings in their flash memory. For all others
#: (bnx2i, cxgb4i, iSER, qedi), a program has to log in.
_OWN_SESSIONS = ("qla4xxx",)
#: Network controllers' class, the first byte of three (PCI Code and ID Assignment, 1.3).
_PCI_NETWORK = "0x02"


@dataclass(frozen=True)
class Hardware:
    """What is between a block device and the machine, outermost last.

    ``modaliases`` and ``drivers`` (module names) name the kernel modules. ``layers`` is empty if a
    disk appears as soon as its drivers are loaded; else it names what else must be set up:
    "md" ("md with external metadata" if its superblock is not Linux's own), "lvm", "luks", "crypt"
    (encrypted otherwise), "mpath", "dm"; networks, "iscsi", "nvme-fabrics" and "network"; and for
    any other disk that is not hardware, the kernel's name without its number: "loop", "bcache".

    ``name`` is the device's name for its users, for a mapped one /dev/mapper/NAME. ``holders`` are
    like ``layers``, but of what uses this device as a part of itself. ``volumes`` are the names of
    LVM's own mappings among the layers, as /dev/mapper/NAME, ``multipaths`` the disks with several
    paths, ``encrypted`` the LUKS volumes. ``read_only`` is whether the kernel refuses to write to
    it now, ``is_secret`` whether all that is written to it is encrypted.
    """

    modaliases: tuple[str, ...]
    drivers: tuple[str, ...]
    layers: tuple[str, ...]
    name: str = ""
    holders: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    multipaths: tuple[Multipath, ...] = ()
    encrypted: tuple[Encrypted, ...] = ()
    read_only: bool = False
    is_secret: bool = False


def mounted(asked: Asked) -> Root:
    """Return the sysfs of this host, as a root of its own; the questions go to ``asked``."""
    return Root(Path("/sys"), asked)


def hardware_of(node: Path, *, sysfs: Root) -> Hardware | None:
    """Walk from the block device ``node`` (/dev/NAME) through partitions and slaves to the bus.

    None means that sysfs does not know the device.
    """
    start = _entry_of(node, sysfs)
    if start is None:
        return None
    walk = _Walk(sysfs)
    walk.visit(start)
    return Hardware(
        tuple(walk.modaliases),
        tuple(walk.drivers),
        tuple(walk.layers),
        name_of(start, sysfs),
        tuple(dict.fromkeys(_holders_of(start, sysfs))),
        tuple(walk.volumes),
        tuple(walk.multipaths),
        tuple(walk.encrypted),
        read_only=attribute(start / "ro", sysfs) == "1",
        is_secret=mappings.is_secret(start, sysfs),
    )


def opened_as(node: Path, *, sysfs: Root) -> str:
    """Return the name of the mapping that the LUKS volume on a device is open by, "" for none."""
    start = _entry_of(node, sysfs)
    return mappings.opened_as(start, sysfs) if start is not None else ""


def running_watchdogs(*, sysfs: Root) -> tuple[str, ...]:
    """Return the driver modules of the hardware watchdogs that are ticking now.

    (Documentation/ABI/testing/sysfs-class-watchdog: state is "active" or "inactive".)
    """
    found = []
    for watchdog in map(sysfs.real_path, sysfs.entries("class/watchdog", "watchdog*")):
        if attribute(watchdog / "state", sysfs) == "active":
            device = sysfs.real_path(watchdog / "device")
            name = _module_of(device, sysfs) or _driver_of(device, sysfs)
            if name and name != "softdog" and name not in found:
                found.append(name)
    return tuple(found)


def is_loaded(name: str, *, sysfs: Root) -> bool:
    """Tell whether the running kernel has loaded the module ``name``: built-in ones have no state.

    (Documentation/ABI/stable/sysfs-module: initstate.)
    """
    return sysfs.file(f"module/{name.replace('-', '_')}/initstate") is not None


def _entry_of(node: Path, sysfs: Root) -> Path | None:
    """Return the folder of a block device, by its number, since a node may have any name."""
    try:
        found = node.stat()
    except OSError:
        found = None
    if found and stat.S_ISBLK(found.st_mode):
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        numbered = sysfs.there(f"dev/block/{number}")
        if numbered is not None:
            return numbered
    return sysfs.there(f"class/block/{node.resolve().name}")


def _holders_of(device: Path, sysfs: Root) -> Iterator[str]:
    """Yield the layers that a device, or the disk that it is a partition of, is a part of."""
    for each in dict.fromkeys((device, disk_of(device, sysfs))):
        for holder in sysfs.entries(each / "holders"):
            disk = disk_of(sysfs.real_path(holder), sysfs)
            yield layer_of(disk, sysfs) or _kind_of(holder)


def _kind_of(disk: Path) -> str:
    """Return the kernel's name for a kind of disks: "loop" for loop0, "etherd" for etherd!e1.1."""
    return re.split(r"[\d!]", disk.name)[0] or VIRTUAL


class _Walk:
    """Collects what lies below one block device, each thing once."""

    def __init__(self, sysfs: Root) -> None:
        self._sysfs = sysfs
        self._seen: set[Path] = set()
        # Dictionaries keep the order, and each thing once.
        self.modaliases: dict[str, None] = {}
        self.drivers: dict[str, None] = {}
        self.layers: dict[str, None] = {}
        self.volumes: dict[str, None] = {}
        self.multipaths: list[Multipath] = []
        self.encrypted: list[Encrypted] = []

    def visit(self, device: Path) -> None:
        if device in self._seen:
            return
        self._seen.add(device)
        disk = disk_of(device, self._sysfs)
        layer = layer_of(disk, self._sysfs)
        controllers: list[Path] = []
        if layer:
            self._note_layer(disk, layer)
        else:
            controllers = self._controllers(disk)
            for each in controllers or [disk]:
                self._note_beyond(each, disk)
        for slave in mappings.slaves(disk, self._sysfs):
            self.visit(slave)
        for each in (disk, *controllers):
            for level in self._levels(each):
                self._note(level)

    def _controllers(self, disk: Path) -> list[Path]:
        # An NVMe disk with native multipath hangs on its subsystem; its controllers are links
        # there (drivers/nvme/host/core.c, nvme_init_subsystem).
        links = self._sysfs.entries(disk.parent, "nvme[0-9]*")
        return [self._sysfs.real_path(each) for each in links if each.is_symlink()]

    def _levels(self, device: Path) -> Iterator[Path]:
        """Yield a device and what it hangs on, up to the machine itself."""
        for level in (device, *device.parents):
            if level in (self._sysfs.path / "devices", self._sysfs.path):
                break
            yield level

    def _note(self, level: Path) -> None:
        alias = attribute(level / "modalias", self._sysfs)
        if alias:
            self.modaliases[alias] = None
        for name in (_module_of(level, self._sysfs), _driver_of(level, self._sysfs)):
            if name:
                self.drivers[name] = None

    def _note_layer(self, disk: Path, layer: str) -> None:
        self.layers[layer] = None
        if layer.startswith("md"):
            level = attribute(disk / "md/level", self._sysfs)
            self.drivers["md_mod"] = None
            if level.startswith("raid"):
                # drivers/md/raid1.c: MODULE_ALIAS("md-raid1"), and so on.
                self.modaliases[f"md-{level}"] = None
        else:
            self.drivers["dm_mod"] = None
            if layer == "lvm":
                self.volumes[name_of(disk, self._sysfs)] = None
            elif layer == "mpath":
                found = mappings.multipath(disk, self._sysfs)
                self.multipaths += [found] if found else []
            elif layer == "luks":
                self.drivers["dm_crypt"] = None
                self.encrypted.append(mappings.encrypted(disk, self._sysfs))

    def _note_beyond(self, device: Path, disk: Path) -> None:
        """Note if a disk needs more than drivers, since it is on no bus, or on a network.

        Above a disk that is hardware there is a device that a bus has found (so it has a modalias)
        and that has a driver. SCSI devices prove nothing: their host may be anything.
        """
        sysfs = self._sysfs
        parts = device.relative_to(sysfs.path).parts
        served = [
            level
            for level in self._levels(device)
            if _driver_of(level, sysfs)
            and not attribute(level / "modalias", sysfs).startswith("scsi:")
        ]
        drivers = [_driver_of(level, sysfs) for level in served]
        if "nvme-fabrics" in parts:
            self.layers["nvme-fabrics"] = None
        elif any(re.fullmatch(r"session\d+", part) for part in parts):
            if not {*drivers} & {*_OWN_SESSIONS}:
                self.layers["iscsi"] = None
        elif "virtual" in parts[:2] or not any(_has_alias(level, sysfs) for level in served):
            self.layers[_kind_of(disk)] = None
        elif {*drivers} & {*_NETWORK_DRIVERS} or "net" in parts or _on_network_card(served, sysfs):
            self.layers["network"] = None


def _has_alias(level: Path, sysfs: Root) -> bool:
    # A bus of cards (mmc) writes it into uevent only; every bus writes it there.
    return bool(attribute(level / "modalias", sysfs)) or "MODALIAS=" in attribute(
        level / "uevent", sysfs
    )


def _on_network_card(served: Sequence[Path], sysfs: Root) -> bool:
    """Tell whether the first PCI function on the way is a network controller."""
    classes = [attribute(level / "class", sysfs) for level in served]
    return next((each for each in classes if each.startswith("0x")), "").startswith(_PCI_NETWORK)


def _module_of(device: Path, sysfs: Root) -> str:
    found = sysfs.there(device / "driver/module")
    return found.name if found is not None else ""


def _driver_of(device: Path, sysfs: Root) -> str:
    link = device / "driver"
    found = sysfs.real_path(link)
    return found.name if found != link else ""
