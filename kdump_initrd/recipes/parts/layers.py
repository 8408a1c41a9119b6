# SPDX-License-Identifier: GPL-2.0-or-later
"""What assembles a device on LVM or MD RAID: the root's tools, their tables, the modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...image.tree import Tree
from ...probe.distro.profiles import Distro
from ...probe.kernel.kmod import Wish


@dataclass(frozen=True)
class Layer:
    """One way of making a block device from others.

    ``tool`` assembles it; ``helpers`` are what the tool calls, if the root has them. ``tables``
    maps a place in the image to the root's candidates for it. ``modules`` are names by which the
    kernel or the tool asks for a module (request_module() of drivers/md).
    """

    name: str
    title: str
    tool: str
    helpers: tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]]
    modules: tuple[str, ...]


_MD = Layer(
    "md",
    "MD RAID",
    "mdadm",
    (),
    {"etc/mdadm.conf": ("etc/mdadm/mdadm.conf", "etc/mdadm.conf")},
    ("md_mod", *(f"md-level-{level}" for level in ("0", "1", "4", "5", "6", "10", "-1"))),
)
_LVM = Layer(
    "lvm",
    "LVM",
    "lvm",
    ("thin_check", "cache_check"),
    {f"etc/lvm/{name}": (f"etc/lvm/{name}",) for name in ("lvm.conf", "lvmlocal.conf")},
    (
        "dm_mod", "dm-snapshot", "dm-mirror", "dm-raid", "dm-thin-pool", "dm-thin", "dm-cache",
        "dm-cache-smq", "dm-writecache", "dm-integrity", *_MD.modules,
    ),
)  # fmt: skip
#: Arrays first: volumes may be on them.
LAYERS = (_MD, _LVM)


def needed(
    certain: Iterable[str], *, elsewhere: bool, spec: str, root: Root, profile: Distro
) -> tuple[Layer, ...]:
    """Return the layers that the image must be able to assemble.

    Those in ``certain`` are required. The others are added if the image may be for another machine
    (``elsewhere``) and the root has their tools. Raises KdumpInitrdError if the tool of a required
    layer is missing.
    """
    chosen = []
    for layer in LAYERS:
        if _find(layer.tool, root, profile) is not None:
            if layer.name in certain or elsewhere:
                chosen.append(layer)
        elif layer.name in certain:
            raise KdumpInitrdError(
                f"{spec}: lies on {layer.title}, but {root} has no {layer.tool}",
                hint="install it there",
            )
    return tuple(chosen)


def add(tree: Tree, layers: Sequence[Layer], *, root: Root, profile: Distro) -> tuple[Path, ...]:
    """Add the layers' tools and tables; return the tools' files on the host."""
    programs = []
    for layer in layers:
        for name in (layer.tool, *layer.helpers):
            source = _find(name, root, profile)
            if source is not None:
                tree.add_file(
                    f"usr/sbin/{name}", source, why=f"assembles {layer.title}", mode=0o755
                )
                programs.append(source)
        for dest, candidates in layer.tables.items():
            source = root.first_file(candidates)
            if source is not None:
                tree.add_file(dest, source, why=f"the root's table for {layer.tool}", mode=0o644)
    return tuple(programs)


def module_wishes(layers: Sequence[Layer]) -> list[Wish]:
    """Return wishes for the modules that the kernel or a tool asks for when it assembles.

    Loading all of them at each start would cost a second: raid6_pq measures its algorithms.
    """
    return [Wish(layer.modules, f"for {layer.title}") for layer in layers]


def _find(name: str, root: Root, profile: Distro) -> Path | None:
    return root.first_file(f"{folder}/{name}" for folder in profile.tools.path)
