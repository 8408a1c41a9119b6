# SPDX-License-Identifier: GPL-2.0-or-later
"""Run in a guest with a folder as its argument: copy what /sys says of devices to there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Whole trees, and the names of the files that are copied of them.
_TOPS = ("block", "class/block", "dev/block", "devices", "module")
_FILES = (
    *("class", "dev", "initstate", "level", "metadata_version", "modalias", "name", "partition"),
    *("ro", "size", "start", "uevent", "uuid", "wwid"),
)


def copy(source: Path, target: Path) -> None:
    """Copy a folder's links, folders, and files of those names, as deep as it goes."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(source):
        path, copied = Path(entry.path), target / entry.name
        if entry.is_symlink():
            copied.symlink_to(path.readlink())
        elif entry.is_dir():
            copy(path, copied)
        elif entry.name in _FILES:
            try:
                copied.write_bytes(path.read_bytes())
            except OSError:
                continue


if __name__ == "__main__":
    for top in _TOPS:
        copy(Path("/sys") / top, Path(sys.argv[1]) / top)
