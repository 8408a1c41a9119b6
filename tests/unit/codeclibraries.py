# SPDX-License-Identifier: GPL-2.0-or-later
"""Libraries of the dump's codecs in a root, and which of them an image takes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.python.minimal import PythonRuntime
from kdump_initrd.recipes.found import Site
from kdump_initrd.recipes.parts import pagecodec

from .elfwriter import write_elf

SHIPPED = search_path("distros", root=Root(Path("/nonexistent")))
LZO, SNAPPY, ZSTD, DEFLATE, ZLIB = (
    "liblzo2.so.2", "libsnappy.so.1", "libzstd.so.1", "libdeflate.so.0", "libz.so.1"
)  # fmt: skip
ALL = (LZO, SNAPPY, ZSTD, DEFLATE, ZLIB)


def choose(
    root: Path,
    wanted: str,
    *libraries: str,
    profile: str = "fedora",
    makedumpfile: Path | None = None,
) -> tuple[str, str]:
    """Return the codec and its library in a root that holds these libraries."""
    python = write_elf(root / "usr/bin/python3.11")
    for name in libraries:
        write_elf(root / "usr/lib" / name)
    runtime = SimpleNamespace(interpreter=SimpleNamespace(source=python))
    facts = profiles.load(profile, search_path=SHIPPED, root=Root())
    site = SimpleNamespace(root=Root(root), profile=facts, makedumpfile=makedumpfile)
    name, found = pagecodec.choose(wanted, cast(PythonRuntime, runtime), cast(Site, site))
    return name, " ".join(library.dest.name for library in found.libraries)
