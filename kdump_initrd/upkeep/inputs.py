# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs of an image: what its root was asked, found or not, and whether that has changed.

A list of what a recipe reads would lack something as soon as a recipe changes. The root remembers
all questions instead, among them those about what other programs are called with.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core import files
from ..core.resources import is_own
from ..core.root import Asked, Root

#: Of what is larger, in bytes, the stamp tells whether it is the same.
_LARGEST = 1 << 30
#: What the digest is of a folder whose names do not matter, and of what is no file and no folder.
_FOLDER, _OTHER = "folder", "other"


@dataclass(frozen=True)
class Input:
    """What is at a path.

    ``digest`` is the SHA-256 of a file's content; of a folder whose names matter "names " and that
    of these, sorted; of a link "link " and its target; "" where there is nothing. ``stamp`` is
    (size, inode, mtime, ctime), times in nanoseconds: what has the same stamp has the same content.
    """

    digest: str = ""
    stamp: tuple[int, ...] = ()


def collect(asked: Asked, *, root: Root, leave_out: Iterable[Path] = ()) -> dict[str, Input]:
    """Return what was asked for, by path, as it is now.

    ``leave_out`` are files that are no inputs: what was written. Only what is of the root, or of
    this program, is an input. With what is missing go the folders above it: each may become a link
    to another one.
    """
    found = {}
    for name in asked.looked | asked.listed:
        if _belongs(name, root):
            found[name] = take(Path(name), names=name in asked.listed)
    missing = [Path(name) for name, each in found.items() if each.digest in ("", _FOLDER)]
    for above in {above for path in missing for above in path.parents}:
        if _belongs(str(above), root) and str(above) not in found:
            found[str(above)] = take(above)
    out = {str(path) for path in leave_out}
    return {name: found[name] for name in sorted(found.keys() - out)}


def take(path: Path, *, names: bool = False) -> Input:
    """Return what is at ``path`` now; ``names`` tells whether those in a folder matter.

    What is behind a link is nothing.
    """
    try:
        status = path.lstat()
        stamp = _stamp(status)
        if stat.S_ISREG(status.st_mode):
            return Input(_content(path, stamp), stamp)
        if path.parent.resolve() != path.parent:
            return Input()
        if stat.S_ISLNK(status.st_mode):
            return Input(f"link {path.readlink()}", stamp)
        if not stat.S_ISDIR(status.st_mode):
            return Input(_OTHER)
        if not names:
            return Input(_FOLDER)
        text = "\0".join(sorted(each.name for each in path.iterdir()))
        return Input(f"names {hashlib.sha256(os.fsencode(text)).hexdigest()}", stamp)
    except OSError:
        return Input()


def is_same(path: Path, before: Input) -> bool:
    """Tell whether ``path`` is as it was; it is read only where its stamp has changed."""
    try:
        status = path.lstat()
    except OSError:
        return not before.digest
    if before.digest in ("", _FOLDER):
        return before.digest == _FOLDER and stat.S_ISDIR(status.st_mode)
    if before.stamp and _stamp(status) == before.stamp:
        return True
    return take(path, names=before.digest.startswith("names ")).digest == before.digest


def changed(before: Mapping[str, Input], *, root: Root) -> str | None:
    """Return the first path that is not as it was, None where all are."""
    # A record may name anything, and a path is to be looked at only where it was taken.
    return next(
        (name for name, each in before.items()
         if not _belongs(name, root) or not is_same(Path(name), each)),
        None,
    )  # fmt: skip


def _content(path: Path, stamp: tuple[int, ...]) -> str:
    if stamp[0] > _LARGEST:
        return hashlib.sha256(repr(stamp).encode()).hexdigest()
    digest = hashlib.sha256()
    with files.open_file(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def _belongs(name: str, root: Root) -> bool:
    # As text: a record has hundreds of paths.
    inside = f"{name}/".startswith(f"{root.path}/".replace("//", "/"))
    parts = name.split("/")
    return ".." not in parts and "\0" not in name and (inside or is_own(Path(name)))
