# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of a capture initrd, read top to bottom: probe, decide, image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import __version__, ingredients
from .config.settings import CaptureSettings, ToolSource
from .errors import KdumpInitrdError, UsageError
from .image import hooks, listing, reservation
from .image.cpio import Compression, write_image
from .image.hooks import Hook
from .image.manifest import MANIFEST, Manifest
from .image.render import render
from .image.tree import Tree
from .ingredients import ETC, LIB
from .log import get_logger, step
from .probe import device, distro, elf, kernel, kmod, python, sysfs, tools
from .probe.device import DumpDevice
from .probe.distro import Distro
from .probe.kernel import KernelRelease
from .probe.kmod import KernelModule, Wish
from .probe.python import PythonRuntime
from .resources import search_path
from .saver.params import SaverParams

logger = get_logger(__name__)

_MOUNT = "/kdump"
_RUN = "/run/kdump-initrd"
#: From the smallest reservation that an image needs to the largest (docs/architecture.md).
_PREFERRED = (Compression.ZSTD, Compression.XZ, Compression.GZIP, Compression.LZ4)

#: The libraries of the saver's codecs, in the order of --dump-compress auto.
_CODECS = {"lzo": "liblzo2.so.2", "zstd": "libzstd.so.1", "zlib": "libz.so.1"}
#: The scripts beside the hooks that say in their header what they need.
_SCRIPTS = (("hooks", "functions.sh"), ("templates", "init.j2"), ("templates", "python.j2"))


@dataclass(frozen=True)
class Target:
    """Where the dump goes: the device, the folder on its file system, how it is mounted."""

    device: DumpDevice
    folder: str
    mount_options: str


@dataclass(frozen=True)
class Capture:
    """A capture initrd, decided: what goes into it and where it is to be written."""

    out: Path
    tree: Tree
    manifest: Manifest
    compression: Compression

    def lines(self) -> Iterator[str]:
        """Yield what the image would hold, a line an entry."""
        return listing.list_tree(self.tree)

    def write(self, *, force: bool) -> int:
        """Write the image and return its size in bytes; raises KdumpInitrdError."""
        with step(f"Writing {self.out}"):
            write_image(
                self.tree, self.out, compression=self.compression, mtime=_mtime(), force=force
            )
        return self.out.stat().st_size

    def summary(self, stored: int) -> Iterator[str]:
        """Yield what the user wants to know of the image that took ``stored`` bytes."""
        unpacked = self.tree.unpacked_size()
        reserve = reservation.crashkernel(
            stored=stored, unpacked=unpacked, window=self.compression.window
        )
        yield f"  image          {self.out}"
        yield f"  size           {stored / 1e6:.2f} MB stored, {unpacked / 1e6:.2f} MB unpacked"
        yield f"  kernel modules {len(self.manifest.modules)} of {self.manifest.kernel}"
        yield f"  dump target    {self.manifest.target} ({self.manifest.fstype})"
        yield f"  reserve        crashkernel={reserve}M"
        yield f"  command line   {self.manifest.cmdline}"


def plan(settings: CaptureSettings) -> Capture:
    """Look at the host and the root, and decide all of the image; nothing is written.

    Raises KdumpInitrdError for anything that would make the image useless.
    """
    with step("Looking at the root, kernel and device"):
        root = _root(settings)
        profile = _profile(settings, root)
        release = kernel.find(
            settings.release or os.uname().release, root=root, layout=profile.kernel
        )
        kernel.check_capture_options(release)
        target = _target(settings, profile)
        compression = _compression(settings.compress, release)
    tree = Tree()
    ingredients.lay_out(tree, mount_point=_MOUNT)
    with step("Resolving kernel modules"):
        modules = _modules(settings, target.device, release, profile, root)
        ingredients.add_kernel_modules(tree, modules, kernel=release, profile=profile, root=root)
    with step("Resolving Python, tools and libraries"):
        runtime = python.find_python(
            root, python=Path(settings.python) if settings.python else None
        )
        codec, codec_library = _codec(settings.dump_compress, runtime, root)
        scripts = hooks.discover(search_path("hooks", root=root))
        programs = _add_tools(tree, settings, profile, scripts, target, root=root)
        ingredients.add_python(tree, runtime)
        folders = [
            folder
            for found in (elf.closure(programs, root=root), runtime.libraries, codec_library)
            for folder in ingredients.add_libraries(tree, found)
        ]
    with step("Rendering the scripts"):
        values = {
            "version": __version__,
            "distro": profile.name,
            "release": release.release,
            "settings": settings,
            "target": target,
            "dump": profile.dump,
            "hooks": scripts,
            "python": runtime,
            "library_path": ":".join(map(str, dict.fromkeys(folders))),
        }
        _add_scripts(tree, scripts, values, root=root)
        _add_params(tree, settings, profile, target, codec)
    machine = elf.read_elf(runtime.interpreter.source).architecture.name
    manifest = Manifest(
        kind="capture",
        version=__version__,
        distro=profile.id,
        kernel=release.release,
        target=target.device.spec,
        fstype=target.device.fstype,
        cmdline=" ".join(profile.capture_cmdline(machine)),
        modules=tuple(module.name for module in modules),
        entries={str(entry.dest): entry.why for entry in tree},
    )
    tree.add_content(MANIFEST, manifest.to_json().encode(), why="what this image is")
    name = profile.kernel.capture_image.format(release=release.release)
    return Capture(Path(settings.output or root / name), tree, manifest, compression)


def _root(settings: CaptureSettings) -> Path:
    root = Path(settings.root)
    if not root.is_dir():
        raise KdumpInitrdError(f"--root {root}: no such directory")
    return root


def _profile(settings: CaptureSettings, root: Path) -> Distro:
    profiles = search_path("distros", root=root)
    if settings.distro:
        return distro.load(settings.distro, search_path=profiles)
    return distro.detect(root, search_path=profiles)


def _target(settings: CaptureSettings, profile: Distro) -> Target:
    dump_device = device.identify(settings.device, settings.fstype)
    folder, options = device.folder_on(dump_device, settings.path or profile.dump.path)
    return Target(dump_device, folder, options)


def _compression(wanted: str | None, release: KernelRelease) -> Compression:
    """Take the codec that was asked for, else the one with the smallest reservation."""
    if wanted:
        codec = Compression(wanted)
        if release.config.get(codec.kernel_option, "y") != "y":
            raise KdumpInitrdError(
                f"--compress {wanted}: {release.release} cannot unpack it",
                hint=f"it is built without {codec.kernel_option}",
            )
        return codec
    if not release.config:
        return _PREFERRED[0]
    able = (codec for codec in _PREFERRED if release.builds_in(codec.kernel_option))
    return next(able, Compression.NONE)


def _modules(
    settings: CaptureSettings,
    target: DumpDevice,
    release: KernelRelease,
    profile: Distro,
    root: Path,
) -> tuple[KernelModule, ...]:
    """Decide which kernel modules the dump needs."""
    chosen = settings.hardware or (("host",) if target.node else ("generic",))
    wishes = []
    if chosen == ("host",):
        wishes += _host_hardware(target)
    else:
        sets = tuple(profile.hardware) if chosen == ("generic",) else chosen
        for name in sets:
            if name not in profile.hardware:
                raise UsageError(
                    f"--hardware {name}: unknown set",
                    hint=f"known are host, generic, {', '.join(profile.hardware)}",
                )
            wishes.append(Wish(profile.hardware[name], f"hardware set {name}"))
    fs = target.fstype
    wishes.append(Wish((f"fs-{fs}",), f"dump file system {fs}", required=True))
    wishes.append(Wish(profile.filesystems.get(fs, ()), f"dump file system {fs}"))
    wishes.append(Wish(settings.add_modules, "--add-module", required=True))
    return kmod.closure(wishes, kernel=release, root=root, omit=settings.omit_modules)


def _host_hardware(target: DumpDevice) -> list[Wish]:
    if target.node is None:
        raise KdumpInitrdError(
            f"{target.spec}: not on this host, so its hardware is unknown",
            hint="say --hardware generic, or the sets that the machine has",
        )
    found = sysfs.hardware_of(target.node)
    if found.layers:
        raise KdumpInitrdError(
            f"{target.spec}: lies on {', '.join(found.layers)}, which the image cannot assemble",
            hint="save to a plain partition or disk",
        )
    return [
        Wish((*found.modaliases, *found.drivers), "hardware of the dump device"),
        Wish(sysfs.running_watchdogs(), "running watchdog"),
    ]


def _add_tools(
    tree: Tree,
    settings: CaptureSettings,
    profile: Distro,
    runtime: tuple[Hook, ...],
    target: Target,
    *,
    root: Path,
) -> tuple[Path, ...]:
    """Add the shell and what the scripts call; return these programs' files."""
    busybox = None
    if settings.tools is not ToolSource.ROOT:
        busybox = tools.find_busybox(root, profile.tools)
    if settings.tools is ToolSource.BUSYBOX and busybox is None:
        raise KdumpInitrdError(f"{root}: no busybox", hint="install it, or say --tools root")
    needs = [hook.needs for hook in runtime]
    for kind, name in _SCRIPTS:
        path = _first(kind, name, root)
        needs.append(hooks.read_needs(path.read_text("utf-8"), path))
    toolbox = tools.pick(
        tuple(sorted({name for each in needs for name in each.commands})),
        applets=tuple(sorted({name for each in needs for name in each.applets})),
        own=("findfs",) if target.device.spec.startswith(tools.PARTITION_TAGS) else (),
        root=root,
        tools=profile.tools,
        busybox=busybox,
    )
    return ingredients.add_toolbox(tree, toolbox)


def _codec(wanted: str, runtime: PythonRuntime, root: Path) -> tuple[str, elf.Closure]:
    """Decide the codec of the dump; return it and the library that the saver opens."""
    if wanted == "none":
        return wanted, elf.Closure((), (), ())
    for name in _CODECS if wanted == "auto" else (wanted,):
        found = elf.opened(_CODECS[name], by=runtime.interpreter.source, root=root)
        if found is not None:
            return name, found
    raise KdumpInitrdError(
        f"--dump-compress {wanted}: {' or '.join(_CODECS.values())} not found in {root}",
        hint="install one, or say --dump-compress none",
    )


def _first(kind: str, name: str, root: Path) -> Path:
    return next(f / name for f in search_path(kind, root=root) if (f / name).exists())


def _add_scripts(
    tree: Tree, runtime: tuple[Hook, ...], values: Mapping[str, object], *, root: Path
) -> None:
    """Add /init, the saver's starter and the hooks."""
    templates = search_path("templates", root=root)
    text = render("init.j2", values, search_path=templates)
    tree.add_content("init", text.encode(), why="the first process", mode=0o755)
    text = render("python.j2", values, search_path=templates)
    tree.add_content(LIB / "python", text.encode(), why="starts the saver", mode=0o755)
    functions = _first("hooks", "functions.sh", root)
    tree.add_file(LIB / "functions.sh", functions, why="what the hooks share", mode=0o644)
    for hook in runtime:
        tree.add_file(LIB / "hooks" / hook.path, hook.source, why=f"hook of stage {hook.stage}")


def _add_params(
    tree: Tree, settings: CaptureSettings, profile: Distro, target: Target, codec: str
) -> None:
    """Add the contract with the saver."""
    params = SaverParams(
        output=f"{_MOUNT}{target.folder}",
        directory=profile.dump.directory,
        dump_name=profile.dump.dump,
        dmesg_name=profile.dump.dmesg,
        dump_format=settings.dump_format,
        dump_compress=codec,
        dump_level=settings.dump_level,
        progress=f"{_RUN}/progress",
        console="/dev/kmsg",
        state=f"{_RUN}/folder",
    )
    tree.add_content(ETC / "params.json", params.to_json().encode(), why="what the saver is to do")


def _mtime() -> int:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not epoch.isdigit():
        raise KdumpInitrdError(f"SOURCE_DATE_EPOCH={epoch}: whole seconds since 1970 are wanted")
    return int(epoch)
