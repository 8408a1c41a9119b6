# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel modules an image needs: hardware, file system, what the user adds."""

from __future__ import annotations

from ...config.settings import CommonSettings
from ...core.errors import KdumpInitrdError, UsageError
from ...core.log import get_logger
from ...probe.distro.profiles import Distro
from ...probe.host import sysfs
from ...probe.host.hostfacts import HostFacts
from ...probe.host.sysfs import Hardware
from ...probe.kernel.kmod import Wish
from ...targets.blockdevice import BlockDevice, look
from ...targets.refusals import Purpose

logger = get_logger(__name__)


def hardware(
    settings: CommonSettings, purpose: Purpose, device: BlockDevice, *, profile: Distro
) -> list[Wish]:
    """Return the wishes for the device's hardware: this host's, or a wish for each set.

    Raises KdumpInitrdError for a device that the image cannot assemble or that nobody knows,
    UsageError for an unknown set.
    """
    chosen = _chosen(settings, device)
    found = look(purpose, device, host=HostFacts())
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
                hint=f"expected one of host, generic, {', '.join(profile.hardware)}",
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
