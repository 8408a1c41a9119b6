# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel modules of a capture image: for its targets, what they lie on, and the user."""

from __future__ import annotations

from ...config.settings import CaptureSettings
from ...image.tree import Tree
from ...probe.host.hostfacts import HostFacts
from ...probe.kernel.kmod import KernelModule, Wish
from ...targets.refusals import DUMP
from ..found import Site
from . import hardware, layers, ondemand


def add(
    tree: Tree, settings: CaptureSettings, site: Site, *, can_wait: bool
) -> tuple[KernelModule, ...]:
    """Add the modules, and return them.

    If they ``can_wait``, drivers of sets are loaded if their device is present. Without busybox all
    are loaded: a start of Python takes longer than most of them.
    """
    profile, host = site.profile, HostFacts(site.root.asked)
    wishes = [
        wish
        for each in site.needs
        for wish in hardware.drivers(settings, DUMP, each, profile=profile, host=host)
    ]
    others = [Wish(site.watchdogs, "running watchdog")]
    for each in site.needs:
        others += hardware.others(DUMP, each, profile=profile)
    others += hardware.added(settings)
    is_here = all(hardware.for_this_host(settings, each) for each in site.needs)
    if is_here:
        others.append(layers.in_use(site.layers, host))
    else:
        _add_on_demand(tree, settings, site)
    wait = can_wait and not is_here
    return ondemand.add_modules(
        tree,
        certain=others if wait else [*wishes, *others],
        plugged=wishes if wait else [],
        kernel=site.kernel,
        profile=profile,
        root=site.root,
        omit=settings.omit_modules,
    )


def _add_on_demand(tree: Tree, settings: CaptureSettings, site: Site) -> None:
    """Add the modules that the kernel or a tool may ask for when it assembles."""
    if site.layers:
        ondemand.add(
            tree,
            layers.module_wishes(site.layers),
            kernel=site.kernel,
            profile=site.profile,
            root=site.root,
            omit=settings.omit_modules,
        )
