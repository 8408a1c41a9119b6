# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of the first kernel's initrd, to be read from top to bottom: look, check, add."""

from __future__ import annotations

import os

from ... import __version__
from ...config.firstsettings import OF_WHOLE
from ...config.settings import FirstKernelSettings
from ...core.errors import KdumpInitrdError, UsageError
from ...core.log import get_logger, step
from ...image.manifest import Manifest
from ...image.tree import Tree
from ...probe.kernel import releases
from ..found import find_root
from . import appended, payload, standalone
from .captureline import line_of
from .capturepair import find_pair
from .firstimage import FirstImage, Order
from .payload import Arming

logger = get_logger(__name__)


def plan(settings: FirstKernelSettings) -> FirstImage:
    """Look at the root, the capture kernel and initrd, and the base; nothing is written.

    Raises KdumpInitrdError for anything that would not boot or could not be armed.
    """
    _check_usage(settings)
    with step("Looking at the root, capture kernel and initrd"):
        root, profile = find_root(settings, target=settings.output or settings.base)
        words = settings.capture_kernel, settings.capture_initrd
        pair = find_pair(*words, root=root, profile=profile, force=settings.force)
    release = settings.release or os.uname().release
    tree = Tree()
    with step("Resolving kexec, tools and libraries"):
        runner = payload.add_programs(tree, root=root, profile=profile, source=settings.tools)
        pair.check_machine(runner.machine)
        regular = releases.options_of(release, root=root, layout=profile.kernel)
        runner.loading.warn(release, regular)
    with step("Rendering the hook"):
        arming = Arming(pair.kernel, pair.initrd, line_of(pair, settings, profile), pair.limits())
        values = payload.add_payload(tree, arming, runner, root=root)
    manifest = Manifest(
        kind="first-kernel",
        version=__version__,
        distro=profile.id,
        kernel=release,
        machine=pair.image.machine,
        capture=pair.image.release,
        cmdline=f"{arming.line.built_in} {arming.line.append}".strip(),
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
