# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules that the image loads when something asks for them: a device, the kernel, a tool.

A first kernel is not left with the drivers of hardware that it does not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .image.tree import Tree
from .ingredients import ETC, add_module_files, module_list
from .probe import kmod
from .probe.distro import Distro
from .probe.kernel import KernelRelease
from .probe.kmod import KernelModule, Wish

#: A file for each name that may be asked for, with its modules in the order of loading.
_TABLE = ETC / "on-demand"


def add(
    tree: Tree,
    wishes: Iterable[Wish],
    *,
    kernel: KernelRelease,
    profile: Distro,
    root: Path,
    omit: Sequence[str],
) -> tuple[KernelModule, ...]:
    """Add what each name of ``wishes`` needs, and its entry in the table.

    Returns the modules that the names themselves stand for.
    """
    single = {name: Wish((name,), wish.why) for wish in wishes for name in wish.names}
    found = kmod.closures(single.values(), kernel=kernel, root=root, omit=omit)
    every = {module.name: module for modules in found for module in modules}
    add_module_files(tree, tuple(every.values()), kernel=kernel, profile=profile, root=root)
    named = {}
    tree.add_directory(_TABLE, why="kernel modules that may be asked for")
    for name, modules in zip(single, found):
        if modules:
            # What a soft dependency loads behind it comes last; an alias is the last one's.
            own = {module.name: module for module in modules}.get(kmod.canonical(name), modules[-1])
            named[own.name] = own
            text = module_list(modules)
            tree.add_content(_TABLE / name, text, why="kernel modules that may be asked for")
            tree.add_content(_TABLE / own.name, text, why="kernel modules by their name")
    return tuple(named.values())


def by_bus(modules: Iterable[KernelModule]) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Return by bus ("pci") and module the patterns of the devices that the module drives."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, patterns in kmod.aliases(modules).items():
        for pattern in patterns:
            bus = pattern.partition(":")[0]
            found.setdefault(bus, {}).setdefault(name, []).append(pattern)
    return {
        bus: {name: tuple(each) for name, each in names.items()} for bus, names in found.items()
    }
