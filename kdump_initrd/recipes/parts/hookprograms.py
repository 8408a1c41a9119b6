# SPDX-License-Identifier: GPL-2.0-or-later
"""The administrator's hooks and programs in an image, with what they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ...config.settings import CaptureSettings
from ...core.errors import KdumpInitrdError
from ...core.files import open_file
from ...core.root import Root
from ...image import hooks
from ...image.hooks import Hook
from ...image.tree import Tree, inside
from ...probe.distro.profiles import Distro
from ...probe.programs import tools
from ...probe.programs.closure import closure
from ...probe.programs.script import read_interpreter
from .layout import add_libraries

#: The place of a configured hook among those of its stage.
_NUMBER = 60
#: File systems that hooks/mount/60-repair knows a tool for.
_REPAIRED = ("ext2", "ext3", "ext4", "xfs", "vfat", "exfat", "f2fs")
#: The image's own shell; and a Python that has the saver's modules only.
_OWN = ("/bin/sh", "/usr/bin/sh", "/usr/bin/python3")


def configured(settings: CaptureSettings, *, root: Root) -> Iterator[Hook]:
    """Yield the hooks that the settings name, each as STAGE:FILE; raises KdumpInitrdError."""
    for said in settings.hooks:
        stage, _, path = said.partition(":")
        if stage not in hooks.STAGES:
            raise KdumpInitrdError(
                f"{said}: no such stage", hint=f"expected one of {', '.join(hooks.STAGES)}"
            )
        source = root.file(path)
        if source is None:
            raise KdumpInitrdError(f"{path}: a hook for {stage}, and it is not there")
        yield hooks.read_one(stage, f"{_NUMBER}-{source.name}", source)


def wanted(settings: CaptureSettings, filesystems: Iterable[str]) -> dict[str, str]:
    """Return the programs that the settings ask for, by name or path, and what each is for.

    ``filesystems`` are those of the targets. Raises KdumpInitrdError for one that no tool repairs.
    """
    found = dict.fromkeys(settings.programs, "an added program")
    for fstype in filesystems if settings.fsck else ():
        if fstype not in _REPAIRED:
            raise KdumpInitrdError(
                f"{fstype}: no tool repairs it without questions", hint="leave --fsck out"
            )
        found["xfs_repair" if fstype == "xfs" else f"fsck.{fstype}"] = f"repairs {fstype}"
    return found


def add(
    tree: Tree,
    scripts: Sequence[Hook],
    more: Mapping[str, str],
    *,
    root: Root,
    profile: Distro,
) -> tuple[PurePosixPath, ...]:
    """Add what hooks need, and ``more`` programs, by what they are for; return library folders.

    Those are for LD_LIBRARY_PATH. Raises KdumpInitrdError for what is missing.
    """
    programs = [hook.source for hook in scripts if _needs_more(hook.source)]
    needed = {path: f"for the hook {hook.path}" for hook in scripts for path in hook.needs.files}
    for name, why in {**more, **needed}.items():
        source = root.file(name) if "/" in name else tools.find(name, root, profile.tools)
        if source is None:
            raise KdumpInitrdError(f"{name}: not in the root ({why})")
        dest = inside(name) if "/" in name else inside(f"/usr/sbin/{name}")
        if dest not in tree:
            tree.add_file(dest, source, why=why)
        if _needs_more(source):
            programs.append(source)
    return add_libraries(tree, closure(dict.fromkeys(programs), root=root)) if programs else ()


def _needs_more(source: Path) -> bool:
    # Whether it is a program, or a script that another one than the image's own runs.
    interpreter = read_interpreter(source)
    if interpreter is not None:
        return interpreter not in _OWN
    with open_file(source) as file:
        return file.read(4) == b"\x7fELF"
