# SPDX-License-Identifier: GPL-2.0-or-later
"""The firmware that kernel modules name, as far as a root has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.root import Root
from .kmod import KernelModule
from .packed import SUFFIXES, unpacked

logger = get_logger(__name__)


@dataclass(frozen=True)
class Firmware:
    """A file for a driver: its place in the image, and its bytes, unpacked."""

    dest: PurePosixPath
    data: bytes
    why: str


def find(
    modules: Sequence[KernelModule], *, root: Root, layout: Sequence[str], release: str
) -> tuple[Firmware, ...]:
    """Return the firmware that ``modules`` name.

    Files that the root lacks are left out: most drivers name many that the machine does not need.
    Files that cannot be read are left out with a warning.
    """
    found: dict[PurePosixPath, Firmware] = {}
    for module in modules:
        for name in module.file.fields.get("firmware", ()):
            dest = PurePosixPath("usr/lib/firmware", name)
            source = _file(name, root=root, layout=layout, release=release)
            if source is None or dest in found:
                continue
            try:
                data = unpacked(source)
            except KdumpInitrdError as error:
                logger.warning("firmware of %s: %s: left out", module.name, error.message)
                continue
            found[dest] = Firmware(dest, data, f"firmware of {module.name}")
    return tuple(found.values())


def _file(name: str, *, root: Root, layout: Sequence[str], release: str) -> Path | None:
    if ".." in PurePosixPath(name).parts:
        return None
    # The kernel's own search order: drivers/base/firmware_loader/main.c, fw_path.
    bases = (f"updates/{release}/", "updates/", f"{release}/", "")
    return root.first_file(
        f"{folder}/{base}{name}{end}" for folder in layout for base in bases
        for end in ("", *SUFFIXES)
    )  # fmt: skip
