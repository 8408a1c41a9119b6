# SPDX-License-Identifier: GPL-2.0-or-later
"""The hardware that a block device sits on, as sysfs tells it: modaliases, drivers, slaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hardware:
    """What is between a block device and the machine, outermost last.

    ``modaliases`` and ``drivers`` (module names) name the kernel modules; ``layers`` are the
    virtual devices on the way: "md" ("md with external metadata" where its superblock is not
    Linux's own), "lvm", "crypt", "mpath", "dm"; and networks: "iscsi", "nvme-fabrics", "nbd",
    "rbd".
    """

    modaliases: tuple[str, ...]
    drivers: tuple[str, ...]
    layers: tuple[str, ...]


def hardware_of(node: Path, *, sysfs: Path = Path("/sys")) -> Hardware | None:
    """Walk from the block device ``node`` (/dev/NAME) through partitions and slaves to the bus.

    None stands for a device that sysfs does not know.
    """
    start = sysfs / "class/block" / node.resolve().name
    if not start.exists():
        return None
    walk = _Walk(sysfs)
    walk.visit(start)
    return Hardware(tuple(walk.modaliases), tuple(walk.drivers), tuple(walk.layers))


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
        disk = device.parent if (device / "partition").exists() else device
        self._note_layer(disk)
        self._note_network(disk)
        for slave in sorted((disk / "slaves").glob("*")):
            self.visit(slave)
        self._climb(disk)
        # An NVMe disk with native multipath hangs on its subsystem; its controllers are links
        # there (drivers/nvme/host/core.c, nvme_init_subsystem).
        for controller in sorted(disk.parent.glob("nvme[0-9]*")):
            if controller.is_symlink():
                self._note_network(controller.resolve())
                self._climb(controller.resolve())

    def _climb(self, device: Path) -> None:
        for level in (device, *device.parents):
            if level == self._sysfs / "devices" or level == self._sysfs:
                break
            self._note(level)

    def _note(self, level: Path) -> None:
        alias = _read(level / "modalias")
        if alias:
            self.modaliases[alias] = None
        for name in (_module_of(level), _driver_of(level)):
            if name:
                self.drivers[name] = None

    def _note_layer(self, disk: Path) -> None:
        if (disk / "md").is_dir():
            external = _read(disk / "md/metadata_version").startswith("external:")
            self.layers["md with external metadata" if external else "md"] = None
            level = _read(disk / "md/level")
            self.drivers["md_mod"] = None
            if level.startswith("raid"):
                # drivers/md/raid1.c: MODULE_ALIAS("md-raid1"), and so on.
                self.modaliases[f"md-{level}"] = None
        if (disk / "dm").is_dir():
            kind = _read(disk / "dm/uuid").partition("-")[0].lower()
            self.layers[kind if kind in ("lvm", "crypt", "mpath") else "dm"] = None
            self.drivers["dm_mod"] = None

    def _note_network(self, device: Path) -> None:
        parts = device.relative_to(self._sysfs).parts
        if "nvme-fabrics" in parts:
            self.layers["nvme-fabrics"] = None
        # The sessions of an adapter that does it by itself hang on its bus, not on the platform.
        if parts[1:2] == ("platform",) and parts[3:4] and parts[3].startswith("session"):
            self.layers["iscsi"] = None
        kind = device.name.rstrip("0123456789")
        if kind in ("nbd", "rbd"):
            self.layers[kind] = None


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
