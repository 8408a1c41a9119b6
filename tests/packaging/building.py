# SPDX-License-Identifier: GPL-2.0-or-later
"""Building the packages, and reading what is in them."""

from __future__ import annotations

import fcntl
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import run

REPO = Path(__file__).resolve().parents[2]
FAMILIES = ("redhat", "suse")


@dataclass(frozen=True)
class Entry:
    """A file, folder or link in a package: its mode with the type's bits, and its owner."""

    mode: int
    owner: str


@dataclass(frozen=True)
class Packages:
    """The packages that one call of make built, in a folder."""

    folder: Path

    @property
    def deb(self) -> Path:
        """The .deb."""
        (found,) = self.folder.glob("*.deb")
        return found

    def rpm(self, family: str) -> Path:
        """The .rpm of a family."""
        (found,) = self.folder.glob(f"*.{family}*.rpm")
        return found


def make(*words: str) -> str:
    """Run make in the checkout and return its stdout; raises KdumpInitrdError.

    One at a time: what it makes lies in the checkout's build folder.
    """
    (REPO / "build").mkdir(exist_ok=True)
    with (REPO / "build/making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        argv = ["make", "--no-print-directory", "-C", str(REPO), *words]
        return run(argv, timeout=300).stdout.decode()


def build(folder: Path, *words: str) -> Packages:
    """Build all packages into ``folder``; ``words`` are more for make."""
    make("-j2", "deb", "rpm", f"DIST={folder}", *words)
    return Packages(folder)


def newer_deb(package: Path, target: Path) -> Path:
    """Make a .deb of the next version with the same content, at ``target``."""
    tree = target.with_suffix(".tree")
    run(["dpkg-deb", "-R", package, tree], timeout=60)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+1", control.read_text(), flags=re.M))
    run(["dpkg-deb", "--root-owner-group", "-b", tree, target], timeout=60)
    return target


def in_deb(package: Path) -> Mapping[str, Entry]:
    """Return what is in a .deb, by absolute path; the top is left out."""
    data = run(["dpkg-deb", "--fsys-tarfile", package], timeout=60).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        kinds = {tarfile.REGTYPE: 0o100000, tarfile.DIRTYPE: 0o040000, tarfile.SYMTYPE: 0o120000}
        return {
            f"/{member.name[2:]}": Entry(
                kinds[member.type] | member.mode, f"{member.uid}:{member.gid}"
            )
            for member in archive
            if member.name != "."
        }


def in_rpm(package: Path) -> Mapping[str, Entry]:
    """Return what is in an .rpm, by absolute path."""
    form = "[%{FILENAMES}\t%{FILEMODES:octal}\t%{FILEUSERNAME}:%{FILEGROUPNAME}\n]"
    lines = run(["rpm", "-qp", "--qf", form, package], timeout=60).stdout.decode().splitlines()
    rows = [line.split("\t") for line in lines]
    return {path: Entry(int(mode, 8), owner) for path, mode, owner in rows}


def in_tree(top: Path) -> Mapping[str, Entry]:
    """Return what is below a folder, by absolute path with the folder as root; no folders."""
    found = (path for path in top.rglob("*") if path.is_symlink() or not path.is_dir())
    return {
        f"/{path.relative_to(top)}": Entry(path.lstat().st_mode, f"{path.lstat().st_uid}:0")
        for path in found
    }
