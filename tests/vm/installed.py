# SPDX-License-Identifier: GPL-2.0-or-later
"""kdump-initrd installed on a Debian disk, with the images that --refresh makes there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from kdump_initrd.core.run import run
from tests.packaging.building import make

from .disks import Disk
from .libraries import closure
from .rootfs import GUEST, isolated

#: What a package depends on: Python's libraries, and a library of one of them.
_MODULES = ("jinja2", "markupsafe", "libarchive", "elftools")
_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/libarchive.so.13")
_DIST = "usr/local/lib/python3.11/dist-packages"
#: Where `make install` is told to put things, as the Debian package tells it.
_WORDS = ("PREFIX=/usr", "SYSCONFDIR=/etc", "FAMILY=debian", "SHTAB=")


def install(disk: Disk, folder: Path, files: Mapping[str, str]) -> None:
    """Install the checkout into the root on a disk without partitions, and further ``files``.

    The files of /usr/local/sbin can be run. Raises KdumpInitrdError with the words of --refresh.
    """
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    make("-s", "install", f"DESTDIR={tree}", *_WORDS)
    for name in _MODULES:
        source = Path(str(import_module(name).__file__)).parent
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, tree / _DIST / name, ignore=ignored)
    for library in (_LIBRARY, *closure(_LIBRARY).libraries):
        target = tree / "usr/lib/x86_64-linux-gnu" / library.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if "/sbin/" in name else 0o644)
    run([*isolated(), GUEST / "install", disk.path, tree], timeout=300)
    shutil.rmtree(tree)
