# SPDX-License-Identifier: GPL-2.0-or-later
"""The hardware that a block device sits on, as sysfs tells it: modaliases, drivers, slaves."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: A disk that is none of hardware, but of a driver that nobody has a word for.
VIRTUAL = "virtual"
#: Drivers whose disks come over the network though a bus of this machine seems to have them:
#: USB/IP (drivers/usb/usbip).
_NETWORK_DRIVERS = ("vhci_hcd",)
#: iSCSI adapters that log in by themselves, from their flash memory. For all others (bnx2i, cxgb4i,
#: iSER, qedi), a program does, whatever the session hangs on.
_OWN_SESSIONS = ("qla4xxx",)
#: Network controllers' class, the first byte of three (PCI Code and ID Assignment, 1.3).
_PCI_NETWORK = "0x02"


@dataclass(frozen=True)
class Hardware:
    """What is between a block device and the machine, outermost last.

    ``modaliases`` and ``drivers`` (module names) name the kernel modules. ``layers`` is empty for a
    disk that its drivers alone bring up; else it names what must be done for it beside that:
    "md" ("md with external metadata" where its superblock is not Linux's own), "lvm", "crypt",
    "mpath", "dm"; networks, "iscsi", "nvme-fabrics" and "network"; and of any other disk that is no
    hardware the kernel's name without its number: "loop", "bcache", "nbd".

    ``name`` is the device's name for its users: /dev/mapper/NAME of what is mapped. ``holders`` are
    the same as ``layers``, of what uses this device as a part of itself. ``read_only`` is whether
    the kernel refuses to write to it now.
    """

    modaliases: tuple[str, ...]
    drivers: tuple[str, ...]
    layers: tuple[str, ...]
    name: str = ""
    holders: tuple[str, ...] = ()
    read_only: bool = False


def hardware_of(node: Path, *, sysfs: Path = Path("/sys")) -> Hardware | None:
    """Walk from the block device ``node`` (/dev/NAME) through partitions and slaves to the bus.

    None stands for a device that sysfs does not know.
    """
    start = _entry_of(node, sysfs)
    if not start.exists():
        return None
    walk = _Walk(sysfs)
    walk.visit(start)
    return Hardware(
        tuple(walk.modaliases),
        tuple(walk.drivers),
        tuple(walk.layers),
        _name_of(start),
        tuple(dict.fromkeys(_holders_of(start.resolve()))),
        read_only=_read(start / "ro") == "1",
    )


def running_watchdogs(*, sysfs: Path = Path("/sys")) -> tuple[str, ...]:
    """Return the driver modules of the hardware watchdogs that are ticking now.

    (Documentation/ABI/testing/sysfs-class-watchdog: state is "active" or "inactive".)
    """
    found = []
    for state in sorted(sysfs.glob("class/watchdog/watchdog*/state")):
        if _read(state) == "active":
            device = (state.parent / "device").resolve()
            name = _module_of(device) or _driver_of(device)
            if name and name != "softdog" and name not in found:
                found.append(name)
    return tuple(found)


def is_loaded(name: str, *, sysfs: Path = Path("/sys")) -> bool:
    """Tell whether the running kernel has loaded the module ``name``: built-in ones have no state.

    (Documentation/ABI/stable/sysfs-module: initstate.)
    """
    return (sysfs / "module" / name.replace("-", "_") / "initstate").exists()


def _entry_of(node: Path, sysfs: Path) -> Path:
    """Return the place of a block device: by its number, since a node may have any name."""
    try:
        found = node.stat()
    except OSError:
        found = None
    if found and stat.S_ISBLK(found.st_mode):
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        if (sysfs / "dev/block" / number).exists():
            return sysfs / "dev/block" / number
    return sysfs / "class/block" / node.resolve().name


def _name_of(block: Path) -> str:
    mapped = _read(block / "dm/name")
    # Of a name with a slash, sysfs has "!" in its place.
    return f"/dev/mapper/{mapped}" if mapped else f"/dev/{block.resolve().name.replace('!', '/')}"


def _disk_of(device: Path) -> Path:
    return device.parent if (device / "partition").exists() else device


def _holders_of(device: Path) -> Iterator[str]:
    """Yield the layers that a device, or the disk that it is a partition of, is a part of."""
    for each in dict.fromkeys((device, _disk_of(device))):
        for holder in sorted((each / "holders").glob("*")):
            yield _layer_of(_disk_of(holder.resolve())) or _kind_of(holder)


def _layer_of(disk: Path) -> str:
    """Return what a disk is that device-mapper or MD RAID makes, "" for any other."""
    if (disk / "md").is_dir():
        external = _read(disk / "md/metadata_version").startswith("external:")
        return "md with external metadata" if external else "md"
    if (disk / "dm").is_dir():
        kind = _read(disk / "dm/uuid").partition("-")[0].lower()
        return kind if kind in ("lvm", "crypt", "mpath") else "dm"
    return ""


def _kind_of(disk: Path) -> str:
    """Return the kernel's name of a kind of disks: "loop" of loop0, "etherd" of etherd!e1.1."""
    return re.split(r"[\d!]", disk.name)[0] or VIRTUAL


class _Walk:
    """Collects what lies below one block device, each thing once."""

    def __init__(self, sysfs: Path) -> None:
        self._sysfs = sysfs.resolve()
        self._seen: set[Path] = set()
        # Dictionaries keep the order and drop what comes again.
        self.modaliases: dict[str, None] = {}
        self.drivers: dict[str, None] = {}
        self.layers: dict[str, None] = {}

    def visit(self, block: Path) -> None:
        device = block.resolve()
        if device in self._seen:
            return
        self._seen.add(device)
        disk = _disk_of(device)
        layer = _layer_of(disk)
        if layer:
            self._note_layer(disk, layer)
        # An NVMe disk with native multipath hangs on its subsystem; its controllers are links
        # there (drivers/nvme/host/core.c, nvme_init_subsystem).
        links = [each for each in sorted(disk.parent.glob("nvme[0-9]*")) if each.is_symlink()]
        controllers = [each.resolve() for each in links]
        if not layer:
            for each in controllers or [disk]:
                self._note_beyond(each, disk)
        for slave in sorted((disk / "slaves").glob("*")):
            self.visit(slave)
        for each in (disk, *controllers):
            for level in self._levels(each):
                self._note(level)

    def _levels(self, device: Path) -> Iterator[Path]:
        """Yield a device and what it hangs on, up to the machine itself."""
        for level in (device, *device.parents):
            if level == self._sysfs / "devices" or level == self._sysfs:
                break
            yield level

    def _note(self, level: Path) -> None:
        alias = _read(level / "modalias")
        if alias:
            self.modaliases[alias] = None
        for name in (_module_of(level), _driver_of(level)):
            if name:
                self.drivers[name] = None

    def _note_layer(self, disk: Path, layer: str) -> None:
        self.layers[layer] = None
        if layer.startswith("md"):
            level = _read(disk / "md/level")
            self.drivers["md_mod"] = None
            if level.startswith("raid"):
                # drivers/md/raid1.c: MODULE_ALIAS("md-raid1"), and so on.
                self.modaliases[f"md-{level}"] = None
        else:
            self.drivers["dm_mod"] = None

    def _note_beyond(self, device: Path, disk: Path) -> None:
        """Note what a disk needs beside drivers, if that is so: it hangs on no bus, or a network.

        A disk of hardware has a device above it that a bus has found (which gives it a modalias)
        and a driver serves. SCSI's own are not proof: they hang on a host, which may be anything.
        """
        parts = device.relative_to(self._sysfs).parts
        served = [
            level
            for level in self._levels(device)
            if _driver_of(level) and not _read(level / "modalias").startswith("scsi:")
        ]
        drivers = [_driver_of(level) for level in served]
        if "nvme-fabrics" in parts:
            self.layers["nvme-fabrics"] = None
        elif any(re.fullmatch(r"session\d+", part) for part in parts):
            if not {*drivers} & {*_OWN_SESSIONS}:
                self.layers["iscsi"] = None
        elif "virtual" in parts[:2] or not any(_has_alias(level) for level in served):
            self.layers[_kind_of(disk)] = None
        elif {*drivers} & {*_NETWORK_DRIVERS} or "net" in parts or _on_network_card(served):
            self.layers["network"] = None


def _has_alias(level: Path) -> bool:
    # A bus of cards (mmc) writes it into uevent only; so does any that has the file.
    return bool(_read(level / "modalias")) or "MODALIAS=" in _read(level / "uevent")


def _on_network_card(served: Sequence[Path]) -> bool:
    """Tell whether the first PCI function on the way is a network controller."""
    classes = [_read(level / "class") for level in served]
    return next((each for each in classes if each.startswith("0x")), "").startswith(_PCI_NETWORK)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _module_of(device: Path) -> str:
    link = device / "driver/module"
    return link.resolve().name if link.exists() else ""


def _driver_of(device: Path) -> str:
    link = device / "driver"
    return link.resolve().name if link.is_symlink() else ""
