# SPDX-License-Identifier: GPL-2.0-or-later
"""Makedumpfiles to compare with: the host's, and those of Debian's later suites."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from kdump_initrd.core.run import run

from .architectures import Architecture
from .kernels import Kernel
from .libraries import closure
from .suites import Suite
from .tools import tool

#: The first of Debian's suites whose makedumpfile (1.7.8) knows Linux 6.12's pages.
_LATER = "forky"


def makedumpfile(kernel: Kernel) -> list[str | Path]:
    """Return the words that start a makedumpfile that can filter the kernel's pages.

    For the host's kernel it is the host's own. Raises MissingTool, or as makedumpfile_of.
    """
    if kernel.root == Path("/"):
        return [tool("makedumpfile")]
    return makedumpfile_of(Suite(_LATER, kernel.architecture))


def makedumpfile_of(suite: Suite) -> list[str | Path]:
    """Return the words that start the makedumpfile of one of Debian's suites.

    Raises NoPackages if it cannot be fetched, MissingTool, or LibraryError.
    """
    return own(suite.packages("makedumpfile"), suite.architecture)


def own(root: Path, architecture: Architecture) -> list[str | Path]:
    """Return the words that start the makedumpfile of a root.

    It comes with its own dynamic linker and libraries; QEMU runs one of another architecture.
    Raises MissingTool, or LibraryError.
    """
    program = root / "usr/bin/makedumpfile"
    found = closure(program, root)
    assert found.linker is not None
    folders = sorted({str(library.parent) for library in found.libraries})
    emulator = [tool(architecture.user)] if architecture.user else []
    return [*emulator, found.linker, "--library-path", ":".join(folders), program]


def version(makedumpfile: Sequence[str | Path]) -> str:
    """Return the name and the version of the makedumpfile that these words start."""
    said = run([*makedumpfile, "-v"], timeout=60).stdout.decode()
    return " ".join(re.findall(r"(makedumpfile): version (\S+)", said)[0])
