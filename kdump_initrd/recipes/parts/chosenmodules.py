# SPDX-License-Identifier: GPL-2.0-or-later
"""Which modules the saver imports by names that it is told: no statement of it names them."""

from __future__ import annotations

from collections.abc import Iterable

from ...probe.kernel.releases import KernelRelease
from ...saver import arch, store
from ...targets.target import Target


def of_image(targets: Iterable[Target], kernel: KernelRelease) -> frozenset[str]:
    """Return the full names of the ways to write to targets, and of the architecture's module.

    That is the capture kernel's, which sees no other one's memory. Where nobody can tell which it
    is, there are all architectures.
    """
    stores = {f"{store.__name__}.{each.params().store}" for each in targets}
    return frozenset(stores | _architectures(kernel))


def _architectures(kernel: KernelRelease) -> set[str]:
    found = arch.of_uname(kernel.header.machine if kernel.header else "")
    return {type(each).__module__ for each in ([found] if found.unames else arch.every())}
