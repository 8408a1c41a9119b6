# SPDX-License-Identifier: GPL-2.0-or-later
"""What assembles a device on LVM or MD RAID: the root's tools, their tables, the modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.resources import find_data
from ...core.root import Root
from ...image.tree import Tree
from ...probe.distro.profiles import Distro
from ...probe.host.hostfacts import HostFacts
from ...probe.kernel.kmod import Wish
from ...probe.programs import tools
from ...saver import imagepaths
from ...targets.refusals import ROOT
from ...targets.target import Needs
from .layout import LIB


@dataclass(frozen=True)
class Layer:
    """One way of making a block device from others.

    ``tool`` assembles it, which is in Debian's ``package``; ``helpers`` are what the tool calls, if
    the root has them. ``tables`` maps a place in the image to the root's candidates for it.
    ``modules`` are names by which the kernel or the tool asks for a module (request_module() of
    drivers/md); those that ``must`` be there are what our own tables name.
    """

    name: str
    title: str
    tool: str
    package: str
    helpers: tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]]
    modules: tuple[str, ...]
    must: tuple[str, ...] = ()


_MD = Layer(
    "md",
    "MD RAID",
    *("mdadm", "mdadm"),
    (),
    {"etc/mdadm.conf": ("etc/mdadm/mdadm.conf", "etc/mdadm.conf")},
    ("md_mod", *(f"md-level-{level}" for level in ("0", "1", "4", "5", "6", "10", "-1"))),
)
_LVM = Layer(
    "lvm",
    "LVM",
    *("lvm", "lvm2"),
    ("thin_check", "cache_check"),
    {f"etc/lvm/{name}": (f"etc/lvm/{name}",) for name in ("lvm.conf", "lvmlocal.conf")},
    (
        "dm_mod", "dm-snapshot", "dm-mirror", "dm-raid", "dm-thin-pool", "dm-thin", "dm-cache",
        "dm-cache-smq", "dm-writecache", "dm-integrity", *_MD.modules,
    ),
)  # fmt: skip
#: What the hooks of devices on layers share, and what the kernel asks for modules.
SCRIPTS = ("assemble.sh", "modprobe")
_MULTIPATH = Layer(
    *("mpath", "multipath", "dmsetup", "dmsetup", (), {}),
    ("dm_mod", "dm-multipath", "dm-round-robin", "scsi_dh_alua", "scsi_dh_rdac", "scsi_dh_emc"),
    must=("dm-multipath", "dm-round-robin"),
)
_LUKS = Layer(
    *("luks", "LUKS", "dmsetup", "dmsetup", (), {}),
    (
        "dm_mod", "dm-crypt",
        # What dm-crypt asks for: whole ciphers, which processors may have, and their parts.
        *(f"crypto-{name}" for name in ("xts(aes)", "cbc(aes)", "ecb(aes)", "aes", "xts", "cbc")),
        *(f"crypto-{name}" for name in ("ecb", "essiv", "sha256", "serpent", "twofish")),
        # The first of these by their own names: by which a running kernel knows them.
        *("aes_ce_blk", "aes_neon_bs", "vmx_crypto", "aes_s390"),
    ),
    must=("dm-crypt",),
)  # fmt: skip
#: By their own names: those above are the kernel's for them, for arrays and for mirrors of LVM.
_PERSONALITIES = ("raid0", "raid1", "raid10", "raid456")
#: In the order in which they are assembled.
LAYERS = (_MULTIPATH, _MD, _LUKS, _LVM)


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
        if tools.find(layer.tool, root, profile.tools) is not None:
            if layer.name in certain or (elsewhere and layer.name in ROOT.layers):
                chosen.append(layer)
        elif layer.name in certain:
            raise KdumpInitrdError(
                f"{spec}: lies on {layer.title}, but {root} has no {layer.tool}",
                hint=f"install it there (Debian: apt install {layer.package})",
            )
    return tuple(chosen)


def needed_by(needs: Sequence[Needs], *, root: Root, profile: Distro) -> tuple[Layer, ...]:
    """Return the layers that a capture image must be able to assemble for its targets.

    Raises KdumpInitrdError if the tool of one is missing.
    """
    found = {
        layer.name
        for each in needs
        for layer in needed(
            each.layers, elsewhere=False, spec=each.name, root=root, profile=profile
        )
    }
    return tuple(layer for layer in LAYERS if layer.name in found)


def add(
    tree: Tree, layers: Sequence[Layer], *, helpers: bool = True, root: Root, profile: Distro
) -> tuple[Path, ...]:
    """Add the layers' tools and tables; return the tools' files on the host.

    Without ``helpers`` nothing is checked when it is assembled: there is no memory for that.
    """
    programs = []
    for layer in layers:
        for name in (layer.tool, *(layer.helpers if helpers else ())):
            source = tools.find(name, root, profile.tools)
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


def add_scripts(tree: Tree, needs: Sequence[Needs], *, root: Root) -> None:
    """Add what hooks assemble by, and for each target that lies on layers a file by its number.

    Its first line has the layers, the second one those logical volumes that are known, and each of
    the others a disk with several paths: its name, UUID, number of paths, and WWID.
    """
    if not any(each.layers for each in needs):
        return
    part, asked = (find_data("hooks", name, root=root) for name in SCRIPTS)
    tree.add_file(LIB / part.name, part, why="assembles what a device lies on", mode=0o644)
    tree.add_file("usr/sbin/modprobe", asked, why="the kernel asks it for modules", mode=0o755)
    for number, each in enumerate(needs):
        if each.layers:
            found = each.hardware
            lines = [" ".join(each.layers), " ".join(found.volumes if found else ())]
            for disk in found.multipaths if found else ():
                lines.append(f"{disk.name} {disk.uuid} {disk.paths} {disk.wwid}")
            text = "".join(f"{line}\n" for line in lines)
            tree.add_content(
                f"{imagepaths.LAYERS}/{number}", text.encode(), why=f"what {each.name} lies on"
            )


def in_use(layers: Sequence[Layer], host: HostFacts) -> Wish:
    """Return a wish for those of the layers' modules that the running kernel has loaded.

    sysfs does not tell which types of mappings a device is made of, only that they are in use.
    """
    names = dict.fromkeys(name for layer in layers for name in (*layer.modules, *_PERSONALITIES))
    must = {name for layer in layers for name in layer.must}
    used = tuple(name for name in names if name in must or host.has_loaded(name))
    return Wish(used, "layers of the dump device")


def module_wishes(layers: Sequence[Layer]) -> list[Wish]:
    """Return wishes for the modules that the kernel or a tool asks for when it assembles.

    Loading all of them at each start would cost a second: raid6_pq measures its algorithms.
    """
    return [Wish(layer.modules, f"for {layer.title}") for layer in layers]
