# SPDX-License-Identifier: GPL-2.0-or-later
"""What the first kernel's initrd carries: capture kernel, capture initrd, kexec, the hook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from ...probe.programs import closure, elffile, tools
from ...saver.imagepaths import PAYLOAD
from . import objections
from .captureline import CaptureLine
from .kexeccall import Loading, loading_of
from .loadedname import BY_HOOK, FACTS, LOADED
from .objections import Limits

#: Its folder in the image: no other initrd has it, and the hook removes it at the end.
HOME = inside(PAYLOAD)
_LIB = HOME / "lib"
_ARM = "first/arm.j2"
_READER = "kernelline.sh"
#: The commands that the hook runs by the words of its runner.
NEEDS = ("mkdir", "rm", "timeout")
#: What it says of the payload's files: their SHA-256.
_DIGESTS = {"kernel": "kernel", "image": "initrd"}


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


def add_programs(tree: Tree, *, root: Root, profile: Distro, source: ToolSource) -> Runner:
    """Add kexec, a shell and the hook's tools with their libraries; return how they are run.

    Raises KdumpInitrdError for one that the root does not have.
    """
    kexec = tools.find("kexec", root, profile.tools)
    if kexec is None:
        raise KdumpInitrdError(f"{root}: no kexec", hint="install kexec-tools there")
    script = find_data("templates", _ARM, root=root)
    # A script of an administrator's need not say what the words are for that it gets.
    said = read_needs(root.read_text(script), script).commands
    needs = tuple(dict.fromkeys((*said, *NEEDS)))
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
    """What the hook loads and how: the capture kernel's command line and the reservation."""

    kernel: Path
    initrd: Path
    line: CaptureLine
    limits: Limits


def add_payload(tree: Tree, arming: Arming, runner: Runner, *, root: Root) -> Mapping[str, object]:
    """Add the capture kernel, its initrd and the hook; return values for the hook's callers."""
    tree.add_file(HOME / "kernel", arming.kernel, why="capture kernel", mode=0o600)
    tree.add_file(HOME / "initrd", arming.initrd, why="capture initrd", mode=0o600)
    values = {
        "home": f"/{HOME}",
        **{name: runner.words[name] for name in (*NEEDS, "kexec")},
        **runner.loading.values(),
        **arming.line.values(),
        **objections.values(arming.limits, runner.loading.old),
        "loaded": f"/{LOADED}",
    }
    digests = {name: tree[HOME / path].digest for name, path in _DIGESTS.items()}
    facts = {"by": BY_HOOK, **digests}
    text = "".join(f"{name}={value}\n" for name, value in facts.items())
    tree.add_content(FACTS, text.encode(), why="tells the running system what is loaded")
    reader = find_data("hooks", _READER, root=root)
    tree.add_file(HOME / _READER, reader, why="reads the kernel's command line", mode=0o644)
    text = render(_ARM, values, search_path=search_path("templates", root=root), root=root)
    tree.add_content(HOME / "arm", text.encode(), why="loads the capture kernel", mode=0o755)
    return {"arm": f"/{HOME}/arm", "shell": runner.words["sh"]}
