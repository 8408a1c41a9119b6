# SPDX-License-Identifier: GPL-2.0-or-later
"""Makedumpfiles to compare with: the host's, and those of Debian's later suites."""

from __future__ import annotations

from pathlib import Path

from .kernels import Kernel, packages
from .tools import tool

#: The first of Debian's suites whose makedumpfile (1.7.8) knows Linux 6.12's pages.
_LATER = "forky"


def makedumpfile(kernel: Kernel) -> list[str | Path]:
    """Return the words that start a makedumpfile that can filter the kernel's pages.

    For the host's kernel it is the host's own. Raises MissingTool, or as makedumpfile_of.
    """
    return [tool("makedumpfile")] if kernel.root == Path("/") else makedumpfile_of(_LATER)


def makedumpfile_of(suite: str) -> list[str | Path]:
    """Return the words that start the makedumpfile of one of Debian's suites.

    It comes with its own dynamic linker and libraries, in a root below cache(). Raises NoKernel
    or KdumpInitrdError if it cannot be fetched.
    """
    root = packages(suite, "makedumpfile")
    (linker,) = root.glob("usr/lib*/ld-linux*.so.2")
    (libc,) = root.glob("usr/lib/*/libc.so.6")
    return [linker, "--library-path", libc.parent, root / "usr/bin/makedumpfile"]
