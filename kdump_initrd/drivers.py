# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel modules an image needs: hardware, file system, what the user adds."""

from __future__ import annotations

from .config.settings import CaptureSettings
from .errors import KdumpInitrdError, UsageError
from .probe import kmod, sysfs
from .probe.device import DumpDevice
from .probe.kmod import KernelModule, Wish
from .probe.sysfs import Hardware
from .site import Site


def choose(settings: CaptureSettings, site: Site) -> tuple[KernelModule, ...]:
    """Return the kernel modules that the dump needs, in load order.

    Raises KdumpInitrdError for what is neither a module nor built in, UsageError for an unknown
    set of hardware.
    """
    target, profile = site.target.device, site.profile
    chosen = _chosen(settings, target)
    found = _hardware(target) if target.node else None
    wishes = []
    if chosen == ("host",):
        wishes.append(_host_hardware(target, found))
        wishes.append(Wish(site.watchdogs, "running watchdog"))
    else:
        sets = tuple(profile.hardware) if chosen == ("generic",) else chosen
        for name in sets:
            if name not in profile.hardware:
                raise UsageError(
                    f"--hardware {name}: unknown set",
                    hint=f"known are host, generic, {', '.join(profile.hardware)}",
                )
            wishes.append(Wish(profile.hardware[name], f"hardware set {name}"))
    fs = target.fstype
    wishes.append(Wish((f"fs-{fs}",), f"dump file system {fs}", required=True))
    wishes.append(Wish(profile.filesystems.get(fs, ()), f"dump file system {fs}"))
    wishes += [Wish((m,), f"--add-module {m}", required=True) for m in settings.add_modules]
    return kmod.closure(wishes, kernel=site.kernel, root=site.root, omit=settings.omit_modules)


def ticking_watchdogs(settings: CaptureSettings, target: DumpDevice) -> tuple[str, ...]:
    """Return the drivers of this host's running watchdogs, where the image is for this host."""
    return sysfs.running_watchdogs() if _chosen(settings, target) == ("host",) else ()


def _chosen(settings: CaptureSettings, target: DumpDevice) -> tuple[str, ...]:
    return settings.hardware or (("host",) if target.node else ("generic",))


def _hardware(target: DumpDevice) -> Hardware | None:
    """Return what the device sits on; None where sysfs does not know it.

    Raises KdumpInitrdError for layers that the image cannot assemble.
    """
    found = sysfs.hardware_of(target.node) if target.node else None
    if found is not None and found.layers:
        raise KdumpInitrdError(
            f"{target.spec}: lies on {', '.join(found.layers)}, which the image cannot assemble",
            hint="save to a plain partition or disk",
        )
    return found


def _host_hardware(target: DumpDevice, found: Hardware | None) -> Wish:
    hint = "say --hardware generic, or the sets that the machine has"
    if target.node is None:
        raise KdumpInitrdError(
            f"{target.spec}: not on this host, so its hardware is unknown", hint=hint
        )
    if found is None or not (found.modaliases or found.drivers):
        raise KdumpInitrdError(f"{target.node}: sysfs does not tell its hardware", hint=hint)
    return Wish((*found.modaliases, *found.drivers), "hardware of the dump device")
