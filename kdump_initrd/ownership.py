# SPDX-License-Identifier: GPL-2.0-or-later
"""Who can write what images are made from: a hook is run by root, and so is a template."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .config.native import DROP_INS, NAME

#: Relative to the root: what comes before the files that the package brings.
_OVERRIDES = "etc/kdump-initrd"


def warnings(root: Path) -> Iterator[str]:
    """Yield a line for each file and folder that others than root and this user can write.

    Nothing is said of another root than the running one: its files may be anybody's.
    """
    if root != Path("/"):
        return
    yield from writable(root)


def writable(root: Path, *, trusted: tuple[int, ...] = (0,)) -> Iterator[str]:
    """Yield the lines for the overrides and configuration of a root; users are ``trusted``."""
    top = root / _OVERRIDES
    places = [root / NAME, root / DROP_INS, *(root / DROP_INS).glob("*"), top, *top.rglob("*")]
    for path in sorted(places):
        with suppress(OSError):
            who = _who(path.stat(), {*trusted, os.geteuid()})
            if who:
                yield (
                    f"{path}: can be written by {who}, and what is in it runs as root: "
                    f"chown root:root {path}; chmod go-w {path}"
                )


def _who(status: os.stat_result, trusted: set[int]) -> str:
    if status.st_uid not in trusted:
        return f"user {status.st_uid}"
    if status.st_mode & stat.S_IWOTH:
        return "everybody"
    if status.st_mode & stat.S_IWGRP and status.st_gid != 0:
        return f"group {status.st_gid}"
    return ""
