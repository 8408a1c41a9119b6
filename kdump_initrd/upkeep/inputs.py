# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs of an image: what its root was asked for, and whether any of it has changed.

A list of files kept by hand would be incomplete as soon as a recipe changes. Instead, the root
remembers all questions, those about the arguments of other programs included, and also those whose
answer was "not there".
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

#: A larger file, in bytes, is the same if its stamp is.
_LARGEST = 1 << 30
#: The digests of a folder whose names do not matter, and of anything that is not a file or folder.
_FOLDER, _OTHER = "folder", "other"
#: A folder that Python makes beside what it reads, in this program's own folders, too.
_BYTECODE = "__pycache__"


@dataclass(frozen=True)
class Input:
    """What is at a path.

    ``digest`` is the SHA-256 of a file's content; for a folder whose names matter it is "names "
    and the SHA-256 of these, sorted; for a link it is "link " and its target; "" if nothing is
    there. ``stamp`` is (size, inode, mtime, ctime), with times in nanoseconds: if it is the same,
    so is the content.
    """

    digest: str = ""
    stamp: tuple[int, ...] = ()


def collect(asked: Asked, *, root: Root, leave_out: Iterable[Path] = ()) -> dict[str, Input]:
    """Return what was asked for, by path, as it is now.

    ``leave_out`` are files that are not inputs: those that were written. Only files of the root, or
    of this program, are inputs. If a path is missing, the folders above it are inputs, too, since
    each may become a link.
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
    """Return what is at ``path`` now; ``names`` says whether the names in a folder matter.

    If a folder on the way is a link, nothing is there: what the link leads to has its own path.
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
        text = "\0".join(sorted(each.name for each in path.iterdir() if each.name != _BYTECODE))
        return Input(f"names {hashlib.sha256(os.fsencode(text)).hexdigest()}", stamp)
    except OSError:
        return Input()


def is_same(path: Path, before: Input) -> bool:
    """Tell whether ``path`` is as it was; it is read only if its stamp has changed."""
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
    """Return the first path that is not as it was, None if all are."""
    # A record may name anything, but nothing outside the root and this program is looked at.
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
    # Compared as text, which is fast: a record has hundreds of paths.
    inside = f"{name}/".startswith(f"{root.path}/".replace("//", "/"))
    parts = name.split("/")
    return ".." not in parts and "\0" not in name and (inside or is_own(Path(name)))
