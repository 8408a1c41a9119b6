# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the crash's folder comes to lie: what is on the dump file system, and what becomes of it.

The saver and the shell's copy have the same rules, so this table is for both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A file system, the folder that is configured, and where the crash's folder is made.

    tree has, by the path below the mount point, in order: "" a folder, "-> TARGET" a symbolic
    link, "|" a FIFO, "mount" another file system, and any other text a file's content. found is
    a path below the mount point, "" for its top; why is what is said where that is not folder.
    """

    name: str
    tree: dict[str, str]
    found: str
    why: str = ""
    folder: str = "/var/crash"


_LOOP = "Too many levels of symbolic links"
CASES = (
    Case("a folder", {"var": "", "var/crash": ""}, "var/crash"),
    Case("nothing at all", {}, "var/crash"),
    Case("the top", {}, "", folder=""),
    Case("dots and slashes", {}, "b", folder="//a/./../b/"),
    Case("more dots than there are folders", {}, "x", folder="/../../x"),
    Case("a relative link", {"srv": "", "var": "", "var/crash": "-> ../srv"}, "srv"),
    Case("an absolute link", {"srv": "", "var": "", "var/crash": "-> /srv"}, "srv"),
    Case("a link in the middle", {"data": "", "var": "-> data"}, "data/crash"),
    Case("a link to a link", {"a": "-> /b", "b": "-> c", "var": "-> a"}, "c/crash"),
    Case("a link to the memory of the image", {"var": "", "var/crash": "-> /run"}, "run"),
    Case("a link out of the mount", {"var": "", "var/crash": "-> ../../../tmp"}, "tmp"),
    Case("a dangling link", {"var": "", "var/crash": "-> /mnt/dumps/of/us"}, "mnt/dumps/of/us"),
    Case("a link to the top", {"var": "", "var/crash": "-> /"}, ""),
    Case("a link to dots", {"var": "", "var/crash": "-> .."}, ""),
    Case("blanks and umlauts", {"ä ö": "", "var": "-> ä ö"}, "ä ö/crash"),
    Case("a file in its place", {"var": "", "var/crash": "x"}, "", "Not a directory"),
    Case("a file on the way", {"var": "x"}, "", "Not a directory"),
    Case("a link to a file", {"var": "", "f": "x", "var/crash": "-> /f"}, "", "Not a directory"),
    Case("a pipe in its place", {"var": "", "var/crash": "|"}, "", "Not a directory"),
    Case("a link to itself", {"var": "", "var/crash": "-> crash"}, "", _LOOP),
    Case("two links", {"a": "-> b", "b": "-> a", "var": "-> a"}, "", _LOOP),
    Case("another file system", {"var": "", "var/crash": "mount"}, "", "Invalid cross-device link"),
    Case("a link to it", {"m": "mount", "var": "-> m"}, "", "Invalid cross-device link"),
    Case("a line that is two", {"var": "-> a\nb"}, "", "not a path of a dump folder"),
)


def grow(tree: dict[str, str], top: Path) -> list[Path]:
    """Make a tree; return what wants another file system mounted on it."""
    mounts = []
    for name, what in tree.items():
        path = top / name
        if what.startswith("-> "):
            path.symlink_to(what[3:])
        elif what == "|":
            os.mkfifo(path)
        elif what in ("", "mount"):
            path.mkdir()
            mounts += [path] if what else []
        else:
            path.write_text(what)
    return mounts
