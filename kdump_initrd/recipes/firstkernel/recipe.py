# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of the first kernel's initrd, to be read from top to bottom: look, check, add."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ... import __version__
from ...config.firstsettings import OF_WHOLE
from ...config.settings import FirstKernelSettings
from ...core.errors import KdumpInitrdError, UsageError
from ...core.log import get_logger, step
from ...core.root import Root
from ...image import reservation
from ...image.archive.segments import read_manifest
from ...image.manifest import Manifest
from ...image.tree import Tree
from ...probe.distro.profiles import Distro
from ...probe.host import xen
from ...probe.kernel import kernelimage, releases
from ...probe.kernel.kernelimage import KernelImage
from ...probe.kernel.releases import KernelRelease
from ..found import find_root
from ..parts.kernelterms import terms_of
from . import appended, payload, standalone
from .firstimage import FirstImage, Order

logger = get_logger(__name__)

#: An image has been seen to work this far below reservation.least(), in MiB.
_LUCK = 8


@dataclass(frozen=True)
class CapturePair:
    """The capture kernel and the capture initrd, checked against each other.

    ``config`` is the kernel's configuration, empty if it is not known. ``manifest`` is None for
    another tool's initrd.
    """

    kernel: Path
    image: KernelImage
    config: Mapping[str, str]
    initrd: Path
    manifest: Manifest | None


def plan(settings: FirstKernelSettings) -> FirstImage:
    """Look at the root, the capture kernel and initrd, and the base; nothing is written.

    Raises KdumpInitrdError for anything that would not boot or could not be armed.
    """
    _check_usage(settings)
    with step("Looking at the root, capture kernel and initrd"):
        root, profile = find_root(settings, target=settings.output or settings.base)
        pair = _capture_pair(settings, root, profile)
    release = settings.release or os.uname().release
    tree = Tree()
    with step("Resolving kexec, tools and libraries"):
        runner = payload.add_programs(tree, root=root, profile=profile, source=settings.tools)
        _check_machine(pair, runner.machine)
        regular = releases.options_of(release, root=root, layout=profile.kernel)
        runner.loading.warn(release, regular)
    with step("Rendering the hook"):
        arming = _arming(pair, settings, profile)
        values = payload.add_payload(tree, arming, runner, root=root, profile=profile)
    manifest = Manifest(
        kind="first-kernel",
        version=__version__,
        distro=profile.id,
        kernel=release,
        machine=pair.image.machine,
        capture=pair.image.release,
        cmdline=f"{arming.cmdline} {arming.append}".strip(),
    )
    facts = {
        "capture kernel": f"{pair.image.release or pair.kernel} ({pair.image.machine})",
        "reserve": f"crashkernel={arming.limits.wanted}M",
        "command line": manifest.cmdline,
    }
    order = Order(settings, root, profile, release, tree, manifest, values, facts)
    if settings.standalone:
        return standalone.plan(order)
    base = appended.find_base(settings.base, root=root, profile=profile, release=release)
    if base is None and settings.in_place:
        raise KdumpInitrdError(
            f"--in-place: {root} has no initrd for {release}", hint="name one with --base FILE"
        )
    if base is None:
        releases.find(release, root=root, layout=profile.kernel)
        logger.warning("%s: %s has no initrd for it: a complete one is written", release, root)
        return standalone.plan(order)
    _check_appended(settings)
    return appended.plan(order, base)


def _check_usage(settings: FirstKernelSettings) -> None:
    if settings.in_place and settings.output:
        raise UsageError(
            "--in-place and -o are mutually exclusive", hint="-o FILE leaves the base unchanged"
        )
    if settings.standalone and (settings.base or settings.in_place):
        raise UsageError(
            "--standalone takes no base", hint="leave --base and --in-place out, or --standalone"
        )


def _check_appended(settings: FirstKernelSettings) -> None:
    """Refuse settings that would have no effect on a segment."""
    for row in OF_WHOLE:
        if getattr(settings, row.name):
            raise UsageError(
                f"{row.flags[0]}: only with --standalone",
                hint="an appended segment follows its base",
            )


def _capture_pair(settings: FirstKernelSettings, root: Root, profile: Distro) -> CapturePair:
    """Find both, and check that they fit together, and this host if they are for it."""
    if root.is_host:
        xen.check()
    path = _capture_kernel(settings.capture_kernel, root, profile)
    image = kernelimage.read(path)
    kernelimage.check_loadable(path, image)
    config = _options(path, image.release, root, profile)
    initrd = root.file(root.named(settings.capture_initrd))
    if initrd is None:
        raise KdumpInitrdError(
            f"-i {settings.capture_initrd}: no such file",
            hint="mkinitrd-kdump -c DEV -f FS writes one",
        )
    manifest = read_manifest(initrd)
    if manifest is not None and manifest.kind != "capture":
        raise KdumpInitrdError(
            f"{initrd}: a first kernel's initrd, which does not save a dump",
            hint="name what mkinitrd-kdump -c has written",
        )
    if manifest is None and not settings.force:
        raise KdumpInitrdError(
            f"{initrd}: not a capture initrd of kdump-initrd",
            hint="mkinitrd-kdump -c DEV -f FS writes one; --force accepts this one",
        )
    if manifest and image.release and manifest.kernel != image.release and not settings.force:
        raise KdumpInitrdError(
            f"{initrd}: for kernel {manifest.kernel}, but {path} is {image.release}",
            hint=f"mkinitrd-kdump -c DEV -f FS {image.release} writes one for it",
        )
    return CapturePair(path, image, config, initrd, manifest)


def _capture_kernel(wanted: str, root: Root, profile: Distro) -> Path:
    if "/" in wanted:
        return root.named(wanted)
    found = releases.first(profile.kernel.image, root=root, release=wanted)
    if found is None:
        there = ", ".join(releases.releases(root=root, layout=profile.kernel)) or "none"
        raise KdumpInitrdError(
            f"-v {wanted}: no such kernel in {root}", hint=f"give a path, or one of: {there}"
        )
    return found


def _options(path: Path, release: str, root: Root, profile: Distro) -> Mapping[str, str]:
    """Return the capture kernel's configuration; refuse one that says no."""
    if not release:
        return {}
    config = releases.options_of(release, root=root, layout=profile.kernel, image=path)
    if config:
        releases.check_capture_options(KernelRelease(release, path, None, config))
    return config


def _check_machine(pair: CapturePair, machine: str) -> None:
    """Refuse a capture kernel or initrd that the root's kexec cannot load or start."""
    found = {f"{pair.kernel}": pair.image.machine}
    if pair.manifest is not None and pair.manifest.machine:
        found[f"{pair.initrd}"] = pair.manifest.machine
    for path, theirs in found.items():
        if theirs != machine:
            raise KdumpInitrdError(
                f"{path}: for {theirs}, but the root is {machine}",
                hint="use a capture kernel and a capture initrd of this root's architecture",
            )


def _arming(pair: CapturePair, settings: FirstKernelSettings, profile: Distro) -> payload.Arming:
    line = pair.manifest.cmdline if pair.manifest else ""
    return payload.Arming(
        kernel=pair.kernel,
        initrd=pair.initrd,
        cmdline=line or " ".join(profile.capture_cmdline(pair.image.machine)),
        append=settings.append_cmdline,
        longest=pair.image.cmdline,
        modules=pair.manifest.modules if pair.manifest else (),
        limits=_limits(pair),
    )


def _limits(pair: CapturePair) -> payload.Limits:
    weight = reservation.weigh(pair.initrd)
    terms = terms_of(pair.image.machine, pair.image, pair.config)
    least = reservation.least(weight, terms)
    wanted = reservation.crashkernel(weight, terms)
    return payload.Limits(max(1, least - _LUCK), least, wanted)
