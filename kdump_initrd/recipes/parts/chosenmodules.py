# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that the saver imports by a name that is a value: no import statement tells them."""

from __future__ import annotations

from collections.abc import Iterable

from ...config.settings import CaptureSettings
from ...probe.kernel.releases import KernelRelease
from ...saver import arch, store
from ...saver.save import OLDER
from ...targets.target import Target


def of_image(
    targets: Iterable[Target], kernel: KernelRelease, settings: CaptureSettings
) -> frozenset[str]:
    """Return the full names of the modules for its targets, its architecture and its rules.

    The architecture is the capture kernel's, which reads no other one's memory. If it is not known,
    all architectures are returned.
    """
    stores = {f"{store.__name__}.{each.params().store}" for each in targets}
    rules = (settings.keep, settings.max_age, settings.max_use, settings.loop_crashes)
    older = {OLDER} if any(rules) else set()
    return frozenset(stores | older | _architectures(kernel))


def _architectures(kernel: KernelRelease) -> set[str]:
    found = arch.of_uname(kernel.header.machine if kernel.header else "")
    return {type(each).__module__ for each in ([found] if found.unames else arch.every())}
