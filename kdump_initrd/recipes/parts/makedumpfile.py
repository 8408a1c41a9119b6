# SPDX-License-Identifier: GPL-2.0-or-later
"""``--collector makedumpfile``: the program in a capture initrd, and what it can do."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ...config.settings import CaptureSettings
from ...core.errors import KdumpInitrdError, UsageError
from ...core.root import Root
from ...image.tree import Tree
from ...probe.distro.profiles import Distro
from ...probe.programs import closure, elffile, tools
from ...saver.codec import rows as pagecodecs
from . import layout

_NAME = "makedumpfile"
_PLACE = PurePosixPath("usr/sbin", _NAME)
#: The compression that it always knows; it is linked with the libraries of the others that it knows
#: (its Makefile: USELZO, USESNAPPY, USEZSTD).
_ALWAYS = "zlib"


def find(settings: CaptureSettings, *, root: Root, profile: Distro) -> Path | None:
    """Return the root's makedumpfile if it is the collector, else None.

    Raises KdumpInitrdError if it does not exist, UsageError if it cannot do what was asked for.
    """
    if settings.collector != _NAME:
        return None
    if settings.dump_format == "flat":
        raise UsageError(
            f"--collector {_NAME}: not with --dump-format flat",
            hint="use --dump-format kdump or elf, or --collector saver",
        )
    found = tools.find(_NAME, root, profile.tools)
    if found is None:
        raise KdumpInitrdError(
            f"--collector {_NAME}: not found in {root}",
            hint=f"install {_NAME} there, or use --collector saver",
        )
    return found


def knows(program: Path | None, codec: str) -> bool:
    """Tell whether a makedumpfile compresses pages so; without one, there is nothing to know."""
    if program is None or codec == _ALWAYS:
        return True
    needed = elffile.read_elf(program).needed
    # A static one does not tell which codecs it has.
    (library,) = pagecodecs.BY_NAME[codec].libraries
    stem = library.partition(".")[0]
    return not needed or any(name.startswith(f"{stem}.") for name in needed)


def add(tree: Tree, program: Path | None, *, root: Root) -> tuple[PurePosixPath, ...]:
    """Add it and its libraries; return the folders that LD_LIBRARY_PATH must name."""
    if program is None:
        return ()
    tree.add_file(_PLACE, program, why="writes the dump", mode=0o755)
    return layout.add_libraries(tree, closure.closure([program], root=root))


def path(program: Path | None) -> str:
    """Return where the image has it, "" without one: DumpParams.collector."""
    return f"/{_PLACE}" if program else ""
