# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of ways, by the names that profiles have for them, and which one a root has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..core.root import Root
from .grub import DropIn, Variable
from .grubby import Grubby
from .kernelinstall import KernelInstall
from .loader import Loader
from .pbl import Pbl
from .rpmostree import RpmOstree
from .uki import Uki
from .zipl import Zipl

if TYPE_CHECKING:
    from ..probe.distro.profilekeys import BootLoader

WAYS: Mapping[str, type[Loader]] = {
    "drop-in": DropIn,
    "variable": Variable,
    "grubby": Grubby,
    "pbl": Pbl,
    "rpm-ostree": RpmOstree,
    "kernel-install": KernelInstall,
    "uki": Uki,
    "zipl": Zipl,
}


def find(known: Mapping[str, BootLoader], root: Root, kernels: Mapping[str, Path]) -> Loader | None:
    """Return the first boot loader that a root has, None where none of them is there."""
    for name, facts in known.items():
        if _is_there(facts, root):
            return WAYS[facts.way](name, facts, root, kernels)
    return None


def _is_there(facts: BootLoader, root: Root) -> bool:
    return all(_has(mark, root) for mark in facts.marks) and (
        not facts.any or any(_has(mark, root) for mark in facts.any)
    )


def _has(mark: str, root: Root) -> bool:
    place = PurePosixPath(mark)
    return any(root.there(path) for path in root.entries(place.parent, place.name))
