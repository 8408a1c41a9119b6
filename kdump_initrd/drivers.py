# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel modules an image needs: hardware, file system, what the user adds."""

from __future__ import annotations

from pathlib import Path

from .config.settings import CaptureSettings
from .errors import KdumpInitrdError, UsageError
from .probe import kmod, sysfs
from .probe.device import DumpDevice
from .probe.distro import Distro
from .probe.kernel import KernelRelease
from .probe.kmod import KernelModule, Wish


def choose(
    settings: CaptureSettings,
    target: DumpDevice,
    release: KernelRelease,
    profile: Distro,
    root: Path,
) -> tuple[KernelModule, ...]:
    """Return the kernel modules that the dump needs, in load order.

    Raises KdumpInitrdError for what is neither a module nor built in, UsageError for an unknown
    set of hardware.
    """
    chosen = settings.hardware or (("host",) if target.node else ("generic",))
    wishes = []
    if chosen == ("host",):
        wishes += _host_hardware(target)
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
    return kmod.closure(wishes, kernel=release, root=root, omit=settings.omit_modules)


def _host_hardware(target: DumpDevice) -> list[Wish]:
    if target.node is None:
        raise KdumpInitrdError(
            f"{target.spec}: not on this host, so its hardware is unknown",
            hint="say --hardware generic, or the sets that the machine has",
        )
    found = sysfs.hardware_of(target.node)
    if found.layers:
        raise KdumpInitrdError(
            f"{target.spec}: lies on {', '.join(found.layers)}, which the image cannot assemble",
            hint="save to a plain partition or disk",
        )
    return [
        Wish((*found.modaliases, *found.drivers), "hardware of the dump device"),
        Wish(sysfs.running_watchdogs(), "running watchdog"),
    ]
