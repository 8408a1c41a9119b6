# SPDX-License-Identifier: GPL-2.0-or-later
"""The images that a host has for a kernel: where each one is, and how it is planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..config.capturesettings import capture_settings
from ..config.effective import Effective
from ..config.firstsettings import first_settings
from ..config.settings import (
    CaptureSettings,
    FirstKernelSettings,
    HostSettings,
)
from ..core.errors import KdumpInitrdError
from ..core.root import Root
from ..probe.distro.profiles import Distro
from ..recipes import capture, dumptarget
from ..recipes.firstkernel import recipe
from . import places
from .keep import Manner, Wanted
from .loading.loadplan import capture_release
from .ready import thinpools


@dataclass(frozen=True)
class Host:
    """The host whose images are kept; it is looked at once, for all kernels.

    ``distro`` is the profile that was asked for, None for the root's own.
    """

    root: Root
    profile: Distro
    distro: str | None
    configured: Effective
    wanted: HostSettings
    manner: Manner


def resolved(host: Host) -> CaptureSettings:
    """Return the settings of all capture initrds, with the place for dumps found."""
    said = {"root": str(host.root), "distro": host.distro}
    settings = capture_settings(host.configured.values, said)
    if "capture" not in host.wanted.images:
        return settings
    return dumptarget.resolve(settings, root=host.root, profile=host.profile)


def capture_image(host: Host, release: str, target: CaptureSettings) -> Wanted:
    """Return a kernel's capture initrd, which saves to ``target``."""
    out = places.capture_image(release, root=host.root, profile=host.profile)
    settings = replace(target, release=release, output=str(out))

    def plan() -> capture.Capture:
        planned = capture.plan(settings)
        thinpools.warn(planned.site.pools, settings, root=host.root, profile=host.profile)
        return planned

    return Wanted("capture", release, f"capture-{release}", out, settings, plan)


def capturing(host: Host, release: str) -> str:
    """Return the release of the kernel that saves a kernel's crashes."""
    return capture_release(release, host.configured, root=host.root, profile=host.profile)


def first_images(host: Host, release: str, captures: Path) -> Iterator[Wanted]:
    """Yield the initrds that the kernel boots with: the distribution's, or our whole one."""
    said = {
        "root": str(host.root),
        "distro": host.distro,
        "release": release,
        "capture_initrd": str(captures),
        "capture_kernel": capturing(host, release),
    }
    settings = first_settings(host.configured.values, said)
    name = f"first-kernel-{release}"
    if settings.standalone:
        boot = f"boot/{host.profile.kernel.first_image.format(release=release)}"
        out = host.root.place(boot)
        yield _first_image(name, out, replace(settings, output=str(out)))
        return
    bases = places.initrds(release, root=host.root, profile=host.profile)
    if not bases:
        raise KdumpInitrdError(
            f"{release}: it has no initrd that could load the capture kernel: "
            "it is not armed at boot",
            hint=f"mkinitrd-kdump -i {captures} -v {release} --base INITRD --in-place extends the "
            'one that it boots with; or set images = "capture" in /etc/kdump-initrd.toml, and load '
            "the capture kernel in another way",
        )
    for number, base in enumerate(bases, 1):
        mine = name if number == 1 else f"{name}@{number}"
        yield _first_image(mine, base, replace(settings, base=str(base), in_place=True))


def _first_image(name: str, out: Path, settings: FirstKernelSettings) -> Wanted:
    release = settings.release or ""
    plan = partial(recipe.plan, settings)
    return Wanted("first-kernel", release, name, out, settings, plan, settings.in_place)
