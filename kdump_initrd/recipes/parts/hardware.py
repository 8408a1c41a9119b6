# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel modules an image needs: hardware, file system, what the user adds."""

from __future__ import annotations

from dataclasses import dataclass

from ...config.settings import CommonSettings
from ...core.errors import KdumpInitrdError, UsageError
from ...core.log import get_logger
from ...probe.distro.profiles import Distro
from ...probe.host import sysfs
from ...probe.host.device import BlockDevice
from ...probe.host.sysfs import Hardware
from ...probe.kernel.kmod import Wish

logger = get_logger(__name__)


@dataclass(frozen=True)
class Purpose:
    """What an image does with its device, and which layers below it can assemble.

    ``name`` is "dump" or "root"; ``hint`` is for a device on a layer that is not in
    ``assembles``.
    """

    name: str
    assembles: tuple[str, ...]
    hint: str


#: What mends a place that the image cannot reach; the first words name the way.
PLAIN_DISK = (
    "save to a partition or disk of its own, without layers: -c DEV -f FS, or device and fstype in "
    "/etc/kdump-initrd.toml"
)
DUMP = Purpose("dump", (), PLAIN_DISK)
ROOT = Purpose("root", ("lvm", "md"), "use a base: leave --standalone out")
#: The layers of sysfs.Hardware in words.
_TITLES = {
    "lvm": "LVM",
    "md": "MD RAID",
    "md with external metadata": "firmware RAID",
    "crypt": "encryption (LUKS or dm-crypt)",
    "mpath": "multipath",
    "dm": "device-mapper",
    "iscsi": "iSCSI",
    "nvme-fabrics": "NVMe over a network",
    "nbd": "a network block device (nbd)",
    "rbd": "Ceph (rbd)",
    "drbd": "DRBD",
    "network": "a network",
    "loop": "a loop device",
    "zram": "memory (zram)",
    "ram": "memory (ram)",
    "zd": "a ZFS volume",
}


def hardware(
    settings: CommonSettings, purpose: Purpose, device: BlockDevice, *, profile: Distro
) -> list[Wish]:
    """Return the wishes for the device's hardware: this host's, or a wish for each set.

    Raises KdumpInitrdError for a device that the image cannot assemble or that nobody knows,
    UsageError for an unknown set.
    """
    chosen = _chosen(settings, device)
    found = look(purpose, device)
    if chosen == ("host",):
        return _host_hardware(purpose, device, found)
    if device.node and found is None:
        logger.warning(
            "%s: sysfs does not know it: check that it is a plain disk or a partition of one",
            device.node,
        )
    wishes = []
    # Whoever names a set has such hardware; the generic ones are of all machines there are.
    named = chosen != ("generic",)
    for name in chosen if named else tuple(profile.hardware):
        if name not in profile.hardware:
            raise UsageError(
                f"--hardware {name}: unknown set",
                hint=f"known are host, generic, {', '.join(profile.hardware)}",
            )
        wishes.append(Wish(profile.hardware[name], f"hardware set {name}", strict=named))
    return wishes


def others(
    settings: CommonSettings, purpose: Purpose, device: BlockDevice, *, profile: Distro
) -> list[Wish]:
    """Return the wishes for the file system, and the user's."""
    why = f"{purpose.name} file system {device.fstype}"
    return [
        Wish((f"fs-{device.fstype}",), why, required=True),
        Wish(profile.filesystems.get(device.fstype, ()), why),
        *(Wish((m,), f"--add-module {m}", required=True) for m in settings.add_modules),
    ]


def for_this_host(settings: CommonSettings, device: BlockDevice) -> bool:
    """Tell whether the image is for this host and no other."""
    return _chosen(settings, device) == ("host",)


def look(purpose: Purpose, device: BlockDevice) -> Hardware | None:
    """Return what the device sits on; None where it is not here or sysfs does not know it.

    Raises KdumpInitrdError for layers that the image cannot assemble.
    """
    found = sysfs.hardware_of(device.node) if device.node else None
    if found is None:
        return None
    why = beyond(purpose, found)
    if why:
        # A UUID that was read from the device is no name that anybody has typed.
        name = found.name or str(device.node)
        known = device.spec if device.spec.startswith("/") else f"{name} ({device.spec})"
        raise KdumpInitrdError(f"{known}: {why}", hint=purpose.hint)
    if found.read_only and purpose is DUMP:
        logger.warning("%s: is read-only now: check that it can be written to", device.node)
    return found


def beyond(purpose: Purpose, found: Hardware) -> str:
    """Return why the image cannot bring up such a device, "" where it can."""
    layers = [each for each in found.layers if each not in purpose.assembles]
    if layers:
        titles = (_TITLES.get(each, f"a virtual device ({each})") for each in layers)
        return f"lies on {', '.join(titles)}, which the image cannot assemble"
    holders = [each for each in found.holders if each not in purpose.assembles]
    if holders:
        titles = (_TITLES.get(each, each) for each in holders)
        return f"is a part of {', '.join(titles)}, which the image cannot assemble"
    return ""


def ticking_watchdogs(settings: CommonSettings, device: BlockDevice) -> tuple[str, ...]:
    """Return the drivers of this host's running watchdogs, where the image is for this host."""
    return sysfs.running_watchdogs() if for_this_host(settings, device) else ()


def _chosen(settings: CommonSettings, device: BlockDevice) -> tuple[str, ...]:
    return settings.hardware or (("host",) if device.node else ("generic",))


def _host_hardware(purpose: Purpose, device: BlockDevice, found: Hardware | None) -> list[Wish]:
    """Return the wishes for what the device sits on here.

    A driver that is a module of the running kernel must be one of the image's, or built into it. Of
    others the name need not be a module's, and not every device on the way has a driver.
    """
    hint = "say --hardware generic, or the sets that the machine has"
    if device.node is None:
        raise KdumpInitrdError(
            f"{device.spec}: not on this host, so its hardware is unknown", hint=hint
        )
    if found is None:
        raise KdumpInitrdError(f"{device.node}: sysfs does not tell its hardware", hint=hint)
    why = f"hardware of the {purpose.name} device"
    loaded = tuple(name for name in found.drivers if sysfs.is_loaded(name))
    wishes = [Wish(loaded, why, required=True)] if loaded else []
    return [*wishes, Wish((*found.modaliases, *found.drivers), why, strict=True)]
