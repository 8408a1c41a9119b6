# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules that the image loads on demand: for a device, for the kernel, for a tool.

The regular kernel does not keep drivers of hardware that is not there, and a capture kernel has no
time to load them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...core.resources import find_data, search_path
from ...core.root import Root
from ...image.render import render
from ...image.tree import Tree, inside
from ...probe.distro.profiles import Distro
from ...probe.kernel import kmod
from ...probe.kernel.kmod import KernelModule, Wish
from ...probe.kernel.modulefile import canonical
from ...probe.kernel.releases import KernelRelease
from ...saver.imagepaths import ON_DEMAND
from .layout import LIB, add_kernel_modules, add_module_files, module_list

#: A file for each name that can be asked for, with its modules in the order of loading.
_TABLE = inside(ON_DEMAND)
#: Scripts that the hooks which load them share.
_PARTS = {
    "kernelline.sh": "reads the kernel's command line",
    "plug.sh": "finds drivers for devices",
}
#: The bus and the first number, mostly the vendor's; the bus of "acpi*:VMBUS:*" is acpi.
_START = re.compile(r"(?P<bus>[^*?\[\]\\:]+)\*?:(?P<number>(?:[a-z]+[0-9A-F]+)?)")


@dataclass(frozen=True)
class OnDemand:
    """Modules on demand: ``named`` by the names asked for, ``every`` with their dependencies."""

    named: tuple[KernelModule, ...]
    every: tuple[KernelModule, ...]


def add_modules(
    tree: Tree,
    *,
    certain: Sequence[Wish],
    plugged: Sequence[Wish],
    kernel: KernelRelease,
    profile: Distro,
    root: Root,
    omit: Sequence[str],
) -> tuple[KernelModule, ...]:
    """Add modules that are always loaded, and drivers that are loaded if their device is present.

    Returns the modules of both, those for devices first.
    """
    asked = OnDemand((), ())
    if plugged:
        asked = add(tree, plugged, kernel=kernel, profile=profile, root=root, omit=omit)
    modules = kmod.closure(certain, kernel=kernel, root=root, omit=omit)
    add_kernel_modules(tree, modules, kernel=kernel, profile=profile, root=root)
    for name, why in _PARTS.items():
        tree.add_file(LIB / name, find_data("hooks", name, root=root), why=why, mode=0o644)
    values = {"drivers": [module.name for module in asked.named], "starts": by_start(asked.named)}
    folders = search_path("templates", root=root)
    text = render("drivers.j2", values, search_path=folders, root=root)
    tree.add_content(LIB / "drivers.sh", text.encode(), why="which driver is for which device")
    return tuple({module.name: module for module in (*asked.every, *modules)}.values())


def add(
    tree: Tree,
    wishes: Iterable[Wish],
    *,
    kernel: KernelRelease,
    profile: Distro,
    root: Root,
    omit: Sequence[str],
) -> OnDemand:
    """Add the modules for each name of ``wishes``, and its entry in the table; return them."""
    found = kmod.closures(wishes, kernel=kernel, root=root, omit=omit)
    every = {module.name: module for modules in found.values() for module in modules}
    add_module_files(tree, tuple(every.values()), kernel=kernel, profile=profile, root=root)
    named = {}
    tree.add_directory(_TABLE, why="kernel modules that may be asked for")
    for name, modules in found.items():
        if modules:
            # What a soft dependency loads behind it comes last; an alias is the last one's.
            own = {module.name: module for module in modules}.get(canonical(name), modules[-1])
            named[own.name] = own
            text = module_list(modules)
            tree.add_content(_TABLE / name, text, why="kernel modules that may be asked for")
            tree.add_content(_TABLE / own.name, text, why="kernel modules by their name")
    return OnDemand(tuple(named.values()), tuple(every.values()))


def by_start(modules: Iterable[KernelModule]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the patterns of what each module drives, by their beginning ("pci:v00001AF4").

    So a device is compared with the patterns of its own beginning only: there are thousands.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for name, patterns in kmod.aliases(modules).items():
        for pattern in patterns:
            start = _START.match(pattern)
            # What begins with a wildcard is compared with every device.
            key = f"{start['bus']}:{start['number']}" if start else ""
            found.setdefault(key, {}).setdefault(name, []).append(pattern)
    return {
        start: {name: tuple(each) for name, each in names.items()} for start, names in found.items()
    }
