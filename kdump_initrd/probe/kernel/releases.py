# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel release of a root: its image, its modules directory, its configuration."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.root import Root
from ..distro import placeholder
from ..distro.profilekeys import Kernel as Layout
from . import kernelimage, versions
from .kernelimage import KernelImage

logger = get_logger(__name__)

#: What a capture kernel cannot do without.
_REQUIRED = ("CONFIG_CRASH_DUMP", "CONFIG_PROC_VMCORE")
#: The options that tell the page size, from 6.9 on and before (arch/*/Kconfig), and the most bits.
_PAGE_SHIFT, _PAGES = "CONFIG_PAGE_SHIFT", re.compile(r"CONFIG_(?:ARM64|PPC)_(\d{1,3})K_PAGES")
_LARGEST_PAGE = 18
#: How a configuration says that an option is off, behind its name.
_UNSET = " is not set"
#: With CONFIG_IKCONFIG_PROC, the running kernel's configuration.
_RUNNING = Path("/proc/config.gz")


@dataclass(frozen=True)
class KernelRelease:
    """One installed kernel.

    ``image`` is None if the root has none (it is not needed to build a capture initrd), ``modules``
    if everything is built in. ``config`` maps CONFIG_ names to "y", "m", "n" or a value; it is
    empty if the root has none.
    """

    release: str
    image: Path | None
    modules: Path | None
    config: Mapping[str, str]

    @cached_property
    def header(self) -> KernelImage | None:
        """What the image tells about itself; raises KdumpInitrdError for a damaged one."""
        return kernelimage.read(self.image) if self.image else None

    def builds_in(self, option: str) -> bool:
        """Tell whether ``option`` is built in, as far as the configuration is known."""
        return self.config.get(option) == "y"


def find(release: str, *, root: Root, layout: Layout) -> KernelRelease:
    """Return the kernel ``release`` of ``root``; raises KdumpInitrdError when it is not there."""
    modules = first(layout.modules, root=root, release=release)
    if modules is not None and not modules.is_dir():
        modules = None
    image = first(layout.image, root=root, release=release)
    config = options_of(release, root=root, layout=layout)
    if modules is None and (image is None or not config):
        if image is not None:
            raise KdumpInitrdError(
                f"{release}: no modules directory for {image}",
                hint=f"install the modules of {release} under {root}/lib/modules; if everything is "
                "built in, its configuration must say so",
            )
        there = ", ".join(releases(root=root, layout=layout)) or "none"
        hint = f"present: {there}"
        if release == os.uname().release:
            hint = f"this is the running kernel; name another after the options; {hint}"
        raise KdumpInitrdError(f"{release}: no such kernel in {root}", hint=hint)
    return KernelRelease(release=release, image=image, modules=modules, config=config)


def releases(*, root: Root, layout: Layout) -> list[str]:
    """Return the kernel releases that have modules in ``root``, oldest first."""
    above = (str(PurePosixPath(pattern).parent) for pattern in layout.modules)
    names = {
        entry.name
        for folder in root.folders(above)
        for entry in root.entries(folder)
        if root.folder(entry) is not None
    }
    odd = {name for name in names if not name.isprintable()}
    for name in sorted(odd):
        logger.warning("%a: not a kernel release: skipped", name)
    return versions.oldest_first(names - odd, order=layout.versions)


def check_capture_options(kernel: KernelRelease) -> None:
    """Refuse a kernel that cannot be a capture kernel; warn if its configuration is unknown.

    Raises KdumpInitrdError if an option is missing.
    """
    if not kernel.config:
        logger.warning(
            "%s: no configuration found: cannot tell whether it has %s",
            kernel.release,
            " and ".join(_REQUIRED),
        )
        return
    for option in _REQUIRED:
        if kernel.config.get(option) != "y":
            raise KdumpInitrdError(
                f"{kernel.release}: built without {option}: it cannot be a capture kernel",
                hint="use another kernel release",
            )


def options_of(
    release: str, *, root: Root, layout: Layout, image: Path | None = None
) -> dict[str, str]:
    """Return the configuration of a kernel: from a file or, for the running one, from itself.

    The file may be beside its ``image``, too. The result is as KernelRelease.config; raises
    KdumpInitrdError if the file cannot be read.
    """
    beside = image and root.file(image.with_name(f"config-{release}"))
    path = beside or first(layout.config, root=root, release=release)
    running = root.is_host and release == os.uname().release
    if path is None and not (running and _RUNNING.is_file()):
        return {}
    try:
        if path is not None:
            return _options(root.read_text(path))
        return _options(gzip.decompress(_RUNNING.read_bytes()).decode("utf-8", "replace"))
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise KdumpInitrdError(f"{path or _RUNNING}: {why}") from error


def first(patterns: Sequence[str], *, root: Root, release: str) -> Path | None:
    """Return the first path of ``patterns`` that exists in ``root``, or None."""
    for pattern in patterns:
        for name in placeholder.expand(pattern, root=root, release=release):
            path = root.there(name)
            if path is not None:
                return path
    return None


def page_size(config: Mapping[str, str]) -> int:
    """Return the bytes of a page by a kernel's configuration, 0 if it does not tell."""
    shift = config.get(_PAGE_SHIFT, "")
    if shift.isascii() and shift.isdigit():
        return 1 << min(int(shift), _LARGEST_PAGE)
    sizes = (_PAGES.fullmatch(name) for name, value in config.items() if value == "y")
    return next((int(match[1]) << 10 for match in sizes if match), 0)


def _options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    # Ten thousand lines: patterns would take longer than all the rest of what status looks at.
    for line in text.splitlines():
        if line.startswith("CONFIG_"):
            name, _, value = line.partition("=")
            options[name] = value.strip('"')
        elif line.startswith("# CONFIG_") and line.endswith(_UNSET):
            options[line[2 : -len(_UNSET)]] = "n"
    return options
