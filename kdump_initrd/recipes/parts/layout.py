# SPDX-License-Identifier: GPL-2.0-or-later
"""What the recipes put into a tree: folders, programs with libraries, modules, Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ...config.settings import ToolSource
from ...core.errors import KdumpInitrdError
from ...core.resources import find_data
from ...core.root import Root
from ...image.hooks import Needs
from ...image.tree import Tree, inside
from ...probe.distro.profiles import Distro
from ...probe.kernel import firmware
from ...probe.kernel.kmod import KernelModule
from ...probe.kernel.releases import KernelRelease
from ...probe.programs import tools
from ...probe.programs.closure import Closure
from ...probe.programs.tools import Toolbox
from ...probe.python.minimal import PythonRuntime
from ...probe.python.zipped import stdlib_zip
from ...saver import imagepaths
from ...saver.imagepaths import MODULES, PYTHON, PYTHON_ZIP
from ...targets.target import Needs as TargetNeeds

#: The folder of our own programs and hooks in the image.
LIB = inside(imagepaths.LIB)
#: What /init and the hooks of a capture image share; and what one with several targets has as well.
_SHARED = ("functions.sh", "folder.sh", "guard.sh", "launch.sh", "modules.sh", "ticker.sh")
_BETWEEN = "targets.sh"


def lay_out(tree: Tree, *, folders: tuple[str, ...]) -> None:
    """Add the folders and links of every image, and a console for the first process."""
    for name in ("bin", "sbin", "lib", "lib64"):
        tree.add_directory(f"usr/{name}", why="layout")
        tree.add_symlink(name, f"usr/{name}", why="layout")
    for name in ("dev", "proc", "sys", "run", "tmp", *folders):
        tree.add_directory(name, why="layout")
    tree.add_node("dev/console", (5, 1), why="/init's output before devtmpfs", mode=0o600)


def shared(targets: int) -> tuple[str, ...]:
    """Return the scripts that /init and the hooks share, in an image with so many targets."""
    return _SHARED if targets == 1 else (*_SHARED, _BETWEEN)


def add_shared(tree: Tree, targets: int, *, root: Root) -> None:
    """Add what /init and the hooks of a capture image share, and the pipes that they read."""
    for name in shared(targets):
        source = find_data("hooks", name, root=root)
        tree.add_file(LIB / name, source, why="what /init and the hooks share", mode=0o644)
    tree.add_fifo(LIB / "words", why="what /init listens to")
    tree.add_fifo(LIB / "silence", why="what the watchdogs' hook waits at")


def add_filesystems(tree: Tree, needs: Sequence[TargetNeeds], *, root: Root) -> None:
    """Add what the hooks read for certain types of file systems."""
    for name in dict.fromkeys(name for each in needs for name in each.scripts):
        source = find_data("hooks", f"filesystems/{name}", root=root)
        tree.add_file(LIB / name, source, why="finds the parts of a file system", mode=0o644)


def choose_toolbox(
    source: ToolSource,
    needs: Sequence[Needs],
    *,
    own: tuple[str, ...] = (),
    root: Root,
    profile: Distro,
) -> Toolbox:
    """Decide where the shell and the scripts' commands come from; ``own`` are never busybox's.

    Raises KdumpInitrdError if the root has no shell, or no busybox although it was asked for.
    """
    busybox = None if source is ToolSource.ROOT else tools.find_busybox(root, profile.tools)
    if source is ToolSource.BUSYBOX and busybox is None:
        raise KdumpInitrdError(f"{root}: no busybox", hint="install it, or use --tools root")
    return tools.pick(
        tuple(sorted({name for each in needs for name in each.commands})),
        applets=tuple(sorted({name for each in needs for name in each.applets})),
        own=own,
        root=root,
        tools=profile.tools,
        busybox=busybox,
    )


def add_toolbox(tree: Tree, toolbox: Toolbox) -> tuple[Path, ...]:
    """Add the shell and the commands; return their files on the host, to find their libraries.

    Raises KdumpInitrdError for missing commands.
    """
    if toolbox.missing:
        raise KdumpInitrdError(
            f"{', '.join(toolbox.missing)}: not in the root, and the image needs it",
            hint="install busybox there, or the package of each",
        )
    sources = {toolbox.shell: None}
    if toolbox.busybox:
        tree.add_file("usr/bin/busybox", toolbox.busybox, why="shell and tools", mode=0o755)
        tree.add_symlink("usr/bin/sh", "busybox", why="shell")
        for name in toolbox.applets:
            tree.add_symlink(f"usr/sbin/{name}", "../bin/busybox", why="tool of the hooks")
    else:
        tree.add_file("usr/bin/sh", toolbox.shell, why="shell", mode=0o755)
    for name, source in toolbox.programs:
        tree.add_file(f"usr/sbin/{name}", source, why="tool of the hooks", mode=0o755)
        sources[source] = None
    return tuple(sources)


def add_libraries(tree: Tree, found: Closure) -> tuple[PurePosixPath, ...]:
    """Add the libraries; return the folders that LD_LIBRARY_PATH must name."""
    for library in found.libraries:
        tree.add_file(library.dest, library.source, why=library.why, mode=0o755)
    return found.extra_dirs


def add_python(tree: Tree, runtime: PythonRuntime) -> None:
    """Add the interpreter, its extension modules and the zip of all others; no libraries."""
    interpreter = runtime.interpreter
    tree.add_file(interpreter.dest, interpreter.source, why="runs the saver", mode=0o755)
    if interpreter.dest != inside(PYTHON):
        tree.add_symlink(PYTHON, f"/{interpreter.dest}", why="runs the saver")
    for extension in runtime.extensions:
        tree.add_file(extension.dest, extension.source, why=extension.why, mode=0o755)
    tree.add_content(PYTHON_ZIP, stdlib_zip(runtime), why="the saver and its modules")


def add_kernel_modules(
    tree: Tree,
    modules: Sequence[KernelModule],
    *,
    kernel: KernelRelease,
    profile: Distro,
    root: Root,
) -> None:
    """Add the modules, unpacked, their firmware, and the list that is loaded in its order."""
    add_module_files(tree, modules, kernel=kernel, profile=profile, root=root)
    tree.add_content(MODULES, module_list(modules), why="kernel modules in load order")


def add_module_files(
    tree: Tree,
    modules: Sequence[KernelModule],
    *,
    kernel: KernelRelease,
    profile: Distro,
    root: Root,
) -> None:
    """Add the modules, unpacked, and their firmware; files that exist already stay."""
    fresh = [module for module in modules if module.dest not in tree]
    for module in fresh:
        tree.add_content(module.dest, module.data, why=module.why)
    layout = profile.kernel.firmware
    for each in firmware.find(fresh, root=root, layout=layout, release=kernel.release):
        if each.dest not in tree:
            tree.add_content(each.dest, each.data, why=each.why)


def module_list(modules: Sequence[KernelModule]) -> bytes:
    """Return a line for each module: its file and its parameters."""
    lines = (f"/{module.dest} {module.parameters}".rstrip() for module in modules)
    return "".join(f"{line}\n" for line in lines).encode()


def time_stamp() -> int:
    """Return the time of an archive's entries: SOURCE_DATE_EPOCH, seconds since 1970, or 0."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not (epoch.isascii() and epoch.isdigit()):
        raise KdumpInitrdError(
            f"SOURCE_DATE_EPOCH={epoch}: not a time", hint="give whole seconds since 1970"
        )
    return int(epoch)
