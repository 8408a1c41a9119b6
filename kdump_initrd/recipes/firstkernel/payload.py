# SPDX-License-Identifier: GPL-2.0-or-later
"""What the first kernel's initrd carries: capture kernel, capture initrd, kexec, the hook."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...config.settings import ToolSource
from ...core.errors import KdumpInitrdError
from ...core.resources import find_data, search_path
from ...core.root import Root
from ...image.hooks import read_needs
from ...image.render import render
from ...image.tree import Tree, inside
from ...probe.distro.profiles import Distro
from ...probe.host import xen
from ...probe.programs import closure, elffile, tools
from ...saver.imagepaths import PAYLOAD
from .loading import Loading, loading_of

#: Its folder in the image: no other initrd has it, and the hook removes it at the end.
HOME = inside(PAYLOAD)
_LIB = HOME / "lib"
_ARM = "first/arm.j2"
_READER = "kernelline.sh"
#: The most bytes that are added to the command line when it is loaded. With kexec -s, the kernel
#: adds "elfcorehdr=0x… " and "dmcryptkeys=0x… " (arch/x86/kernel/kexec-bzimage64.c: 30 and 31), and
#: counts the NUL; with kexec -c, kexec-tools add " elfcorehdr=…K" and " acpi_rsdp=0x…"
#: (kexec/arch/i386/crashdump-x86.c), on ppc64 " savemaxmem=…M".
_ADDED = 64


@dataclass(frozen=True)
class Runner:
    """How the programs of the payload are run: words by command, "sh" and "kexec" among them.

    The programs are the root's; the image may have another loader and other libraries, so each
    program that is not static is run by the loader that it came with. ``loading`` is what kexec
    is told.
    """

    machine: str
    words: Mapping[str, tuple[str, ...]]
    loading: Loading


@dataclass(frozen=True)
class Limits:
    """The reservation in MiB: below ``floor`` nothing is loaded, ``least`` may work, ``wanted``."""

    floor: int
    least: int
    wanted: int


def add_programs(tree: Tree, *, root: Root, profile: Distro, source: ToolSource) -> Runner:
    """Add kexec, a shell and the hook's tools with their libraries; return how they are run.

    Raises KdumpInitrdError for one that the root does not have.
    """
    kexec = root.first_file(f"{folder}/kexec" for folder in profile.tools.path)
    if kexec is None:
        raise KdumpInitrdError(f"{root}: no kexec", hint="install kexec-tools there")
    script = find_data("templates", _ARM, root=root)
    # A script of an administrator's need not say what the words are for that it gets.
    said = read_needs(root.read_text(script), script).commands
    needs = tuple(dict.fromkeys((*said, "rm", "timeout")))
    busybox = None if source is ToolSource.ROOT else tools.find_busybox(root, profile.tools)
    toolbox = tools.pick(needs, root=root, tools=profile.tools, busybox=busybox)
    if toolbox.missing or (source is ToolSource.BUSYBOX and busybox is None):
        raise KdumpInitrdError(
            f"{', '.join(toolbox.missing) or 'busybox'}: not in the root, and the hook needs it",
            hint="install busybox there",
        )
    files = {"kexec": kexec, "sh": toolbox.shell, **dict(toolbox.programs)}
    images = {name: elffile.read_elf(path) for name, path in files.items()}
    _add_libraries(tree, files.values(), root)
    interpreter = next((each.interpreter for each in images.values() if each.interpreter), "")
    loader = (f"/{_LIB}/{PurePosixPath(interpreter).name}", "--library-path", f"/{_LIB}")
    words = {}
    for name, path in files.items():
        dest = HOME / "bin" / ("busybox" if path == busybox else name)
        tree.add_file(dest, path, why="tool of the hook", mode=0o755)
        run = loader if images[name].interpreter else ()
        words[name] = (*run, f"/{dest}", *(["sh"] if path == busybox else []))
    for name in toolbox.applets:
        words[name] = (*words["sh"][:-1], name)
    machine = images["kexec"].architecture.name
    return Runner(machine, words, loading_of(machine, root.read(kexec)))


def _add_libraries(tree: Tree, files: Iterable[Path], root: Root) -> None:
    for library in closure.closure(files, root=root).libraries:
        dest = _LIB / library.dest.name
        tree.add_file(dest, library.source, why=library.why, mode=0o755)


@dataclass(frozen=True)
class Arming:
    """What the hook loads and how: the capture kernel's command line and the reservation.

    ``cmdline`` is built in, ``append`` follows the words that are taken over at run time, and
    ``longest`` is the number of bytes that the capture kernel accepts. ``modules`` are the image's.
    """

    kernel: Path
    initrd: Path
    cmdline: str
    append: str
    longest: int
    modules: Sequence[str]
    limits: Limits


def add_payload(
    tree: Tree, arming: Arming, runner: Runner, *, root: Root, profile: Distro
) -> Mapping[str, object]:
    """Add the capture kernel, its initrd and the hook; return values for the hook's callers.

    Raises KdumpInitrdError for a command line that the capture kernel does not accept.
    """
    room = arming.longest - _ADDED - (len(os.fsencode(arming.append)) + 1 if arming.append else 0)
    _check_room(arming, room)
    tree.add_file(HOME / "kernel", arming.kernel, why="capture kernel", mode=0o600)
    tree.add_file(HOME / "initrd", arming.initrd, why="capture initrd", mode=0o600)
    values = {
        "home": f"/{HOME}",
        "rm": runner.words["rm"],
        "timeout": runner.words["timeout"],
        "kexec": runner.words["kexec"],
        **runner.loading.values(),
        "cmdline": arming.cmdline,
        "append": arming.append,
        "inherit": _inherited(arming, profile),
        "room": room,
        "dom0": xen.DOM0,
        "floor": arming.limits.floor,
        "least": arming.limits.least,
        "wanted": arming.limits.wanted,
    }
    reader = find_data("hooks", _READER, root=root)
    tree.add_file(HOME / _READER, reader, why="reads the kernel's command line", mode=0o644)
    text = render(_ARM, values, search_path=search_path("templates", root=root), root=root)
    tree.add_content(HOME / "arm", text.encode(), why="loads the capture kernel", mode=0o755)
    return {"arm": f"/{HOME}/arm", "shell": runner.words["sh"]}


def _check_room(arming: Arming, room: int) -> None:
    size = len(os.fsencode(arming.cmdline))
    if size > room:
        longest = arming.longest - _ADDED
        needed = size + longest - room
        raise KdumpInitrdError(
            f"the capture kernel's command line would have {needed} bytes, "
            f"and {arming.kernel} takes {longest}",
            hint="use fewer words in --append-cmdline"
            if arming.append
            else "use fewer words in [cmdline] of the distribution's profile",
        )


def _inherited(arming: Arming, profile: Distro) -> Sequence[str]:
    """Return the names of the parameters that are taken over, with "_" for "-".

    These are the names on the list, and any parameters of the image's modules and of the sets'
    drivers, which may be built into the kernel.
    """
    names = _checked(profile.cmdline.get("inherit", ()))
    drivers = (name for names in profile.hardware.values() for name in names)
    modules = [each for each in (*arming.modules, *drivers) if re.fullmatch(r"[\w-]+", each)]
    names += [f"{module}.*" for module in modules]
    return list(dict.fromkeys(name.replace("-", "_") for name in names))


def _checked(names: Sequence[str]) -> list[str]:
    for name in names:
        if not re.fullmatch(r"[\w.-]+\*?", name):
            raise KdumpInitrdError(
                f"cmdline.inherit: {name!r} is not a parameter name",
                hint="letters, digits, dots, dashes, and a * at the end",
            )
    return [*names]
