# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole initrd for the first kernel, without a base: arm, mount the root, leave."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger, step
from ...core.resources import find_data, search_path
from ...image import hooks
from ...image.archive.cpio import Packing
from ...image.manifest import MANIFEST
from ...image.render import render
from ...image.tree import Tree
from ...probe.host.hostfacts import HostFacts
from ...probe.kernel import releases
from ...probe.kernel.kmod import KernelModule
from ...probe.kernel.releases import KernelRelease
from ...probe.programs import closure, tools
from ...probe.programs.script import read_interpreter
from ...probe.programs.tools import Toolbox
from ...saver.imagepaths import SYSROOT
from ...targets.blockdevice import BlockDevice, look, needs_of
from ...targets.refusals import ROOT
from ...targets.target import Needs
from .. import templatevalues
from ..parts import hardware, imagecodec, layers, layout, ondemand
from ..parts.layers import Layer
from ..parts.layout import LIB
from . import rootdevice
from .firstimage import FirstImage, Order

logger = get_logger(__name__)

#: The parts of /init besides the template; the header of each says what it needs.
_PARTS = ("cmdline.sh", "device.sh", "root.sh")
#: What capture images have, too.
_SHARED = ("functions.sh", "assemble.sh")
_CMDLINE = Path("/proc/cmdline")


@dataclass(frozen=True)
class RootSite:
    """What was found: the regular kernel, the root's device, the layers below it.

    ``needs`` names the layers that it is known to be on; for ``layers`` the image brings the tools.
    """

    kernel: KernelRelease
    device: BlockDevice
    needs: Needs
    layers: tuple[Layer, ...]


def plan(order: Order) -> FirstImage:
    """Decide the whole initrd; nothing is written.

    Raises KdumpInitrdError for a root that the image could not mount.
    """
    settings = order.settings
    with step("Looking at the root's device"):
        site = _look(order)
        compression = imagecodec.choose(settings.compress, site.kernel)
    tree = order.tree
    layout.lay_out(tree, folders=(SYSROOT,))
    with step("Resolving kernel modules"):
        modules = _add_modules(tree, order, site)
    with step("Resolving tools and libraries"):
        _add_programs(tree, order, site)
    with step("Rendering the scripts"):
        _add_scripts(tree, order, site)
    device = site.device
    manifest = replace(
        order.manifest,
        target=device.spec,
        fstype=device.fstype,
        modules=tuple(dict.fromkeys(module.name for module in modules)),
        entries={str(entry.dest): entry.why for entry in tree},
    )
    tree.add_content(MANIFEST, manifest.to_json().encode(), why="what this image is")
    name = order.profile.kernel.first_image.format(release=order.release)
    facts = {
        "root": f"{device.spec} ({device.fstype})",
        "kernel modules": f"{len(modules)} of {order.release}",
        **order.facts,
    }
    return FirstImage(
        out=Path(settings.output) if settings.output else order.root.place(f"boot/{name}"),
        entries=tuple(tree),
        packing=Packing(compression, layout.time_stamp()),
        facts=facts,
        root=order.root,
    )


def _look(order: Order) -> RootSite:
    settings, root = order.settings, order.root
    release = releases.find(order.release, root=root, layout=order.profile.kernel)
    running = root.is_host and not settings.root_device
    cmdline = rootdevice.words(_CMDLINE.read_text(errors="replace")) if running else ()
    name = rootdevice.find_name(settings.root_device, root=root, cmdline=cmdline)
    rootdevice.check_name(name, root=root, cmdline=cmdline)
    node = rootdevice.locate(name.spec)
    host = HostFacts(root.asked)
    here = look(ROOT, BlockDevice(name.spec, name.fstype, node), host=host)
    if here is None:
        rootdevice.check_words(name.spec, cmdline)
        logger.warning("%s: not on this host: nothing about it could be checked", name.spec)
    device = rootdevice.identify(name, node, fstype=settings.fstype)
    needs = needs_of(device, here)
    found = layers.needed(
        needs.layers,
        elsewhere=not hardware.for_this_host(settings, needs),
        spec=name.spec,
        root=root,
        profile=order.profile,
    )
    return RootSite(release, device, needs, found)


def _add_modules(tree: Tree, order: Order, site: RootSite) -> tuple[KernelModule, ...]:
    """Add what is loaded at once, and what is loaded on demand; return all that were named.

    The drivers of this host are loaded at once, those of sets if their device is present.
    """
    settings, profile, root = order.settings, order.profile, order.root
    host = HostFacts(root.asked)
    wishes = hardware.drivers(settings, ROOT, site.needs, profile=profile, host=host)
    others = hardware.others(ROOT, site.needs, profile=profile) + hardware.added(settings)
    here = hardware.for_this_host(settings, site.needs)
    modules = ondemand.add_modules(
        tree,
        certain=[*wishes, *others] if here else others,
        plugged=[] if here else wishes,
        kernel=site.kernel,
        profile=profile,
        root=root,
        omit=settings.omit_modules,
    )
    ondemand.add(
        tree,
        layers.module_wishes(site.layers),
        kernel=site.kernel,
        profile=profile,
        root=root,
        omit=settings.omit_modules,
    )
    return modules


def _add_programs(tree: Tree, order: Order, site: RootSite) -> None:
    """Add the shell, tools, what assembles and checks the root, and their libraries."""
    toolbox = _toolbox(order, site)
    programs = [*layout.add_toolbox(tree, toolbox)]
    programs += layers.add(tree, site.layers, root=order.root, profile=order.profile)
    check = f"fsck.{site.device.fstype}"
    source = _own(order, check)
    # A script of that name does nothing: these file systems check themselves when mounted.
    if source is not None and read_interpreter(source) is None:
        tree.add_file(f"usr/sbin/{check}", source, why="checks the root", mode=0o755)
        programs.append(source)
    found = closure.closure(programs, root=order.root)
    folders = layout.add_libraries(tree, found)
    # What only the root's ld.so.cache knows must be found without LD_LIBRARY_PATH: that would go
    # to the root's own first process.
    for library in found.libraries:
        if library.dest.parent in [folder.relative_to("/") for folder in folders]:
            for place in ("usr/lib", "usr/lib64"):
                link = tree.resolve(place) / library.dest.name
                if link not in tree:
                    tree.add_symlink(link, f"/{library.dest}", why=library.why)


def _toolbox(order: Order, site: RootSite) -> Toolbox:
    needs = []
    paths = [find_data("hooks", f"first/{name}", root=order.root) for name in _PARTS]
    paths += [find_data("hooks", name, root=order.root) for name in (*_SHARED, "modprobe")]
    paths += [find_data("templates", "first/init.j2", root=order.root)]
    for path in paths:
        needs.append(hooks.read_needs(order.root.read_text(path), path))
    # util-linux's knows partition tags, and does not take half a mirror for a file system.
    better = tuple(name for name in ("findfs", "blkid") if _own(order, name) is not None)
    if "findfs" in site.needs.programs and "findfs" not in better:
        raise KdumpInitrdError(
            f"{site.device.spec}: {order.root} has no findfs of util-linux to find it by",
            hint="install util-linux there",
        )
    needs.append(hooks.Needs(better, (), 0))
    return layout.choose_toolbox(
        order.settings.tools, needs, own=better, root=order.root, profile=order.profile
    )


def _own(order: Order, name: str) -> Path | None:
    """Return the root's program ``name``, unless it is busybox's."""
    found = tools.find(name, order.root, order.profile.tools)
    return None if found == tools.find_busybox(order.root, order.profile.tools) else found


def _add_scripts(tree: Tree, order: Order, site: RootSite) -> None:
    """Add /init, its parts, and the script that the kernel calls to load a module."""
    values = {
        **order.values,
        "paths": templatevalues.paths(),
        "parts": _PARTS,
        "device": {"spec": site.device.spec, "fstype": site.device.fstype},
        "expected": site.needs.layers,
    }
    folders = search_path("templates", root=order.root)
    text = render("first/init.j2", values, search_path=folders, root=order.root)
    tree.add_content("init", text.encode(), why="the first process, and its parts", mode=0o755)
    for name in _SHARED:
        source = find_data("hooks", name, root=order.root)
        tree.add_file(LIB / name, source, why="what /init shares", mode=0o644)
    for name in _PARTS:
        source = find_data("hooks", f"first/{name}", root=order.root)
        tree.add_file(LIB / name, source, why="a part of /init", mode=0o644)
    source = find_data("hooks", "modprobe", root=order.root)
    tree.add_file("usr/sbin/modprobe", source, why="the kernel asks it for modules", mode=0o755)
