# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs of an image: whatever was read while it was planned, and whether it is still the same.

A list of what a recipe reads would lack something as soon as a recipe changes. Python tells of each
file that is opened (PEP 578, audit events), so that nobody has to keep such a list. What other
programs read is not told: there, it is the files and folders that they are called with.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core import files
from ..core import root as rooted
from ..core.resources import is_own

#: What is there now and not after a restart, what programs write for themselves: no inputs.
_VOLATILE = ("proc", "dev", "run", "tmp", "var")
#: Where names come and go that mean nothing to an image: a file there is an input, but not what
#: lies beside it.
_UNLISTED = ("boot", "efi", "sys")
_OVERRIDES = "etc/kdump-initrd"
#: Of what is larger, in bytes, the stamp tells whether it is the same.
_LARGEST = 1 << 30


@dataclass(frozen=True)
class Input:
    """A file, or a folder's names.

    ``digest`` is the SHA-256 of the content or of the sorted names, "" where there is nothing;
    ``stamp`` is (size, inode, mtime, ctime), times in nanoseconds: what has the same stamp has
    the same content.
    """

    digest: str
    stamp: tuple[int, ...] = ()


@dataclass
class Opened:
    """Files and folders that were read, and what programs were called with; absolute paths.

    Python's own relative ones are of folders that it removes.
    """

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    arguments: set[str] = field(default_factory=set)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one audit event (the table of audit events in Python's documentation)."""
        if event == "open" and arguments[2] & os.O_ACCMODE == os.O_RDONLY:
            self.files |= _absolute(arguments[:1])
        elif event in ("os.listdir", "os.scandir"):
            self.folders |= _absolute(arguments)
        elif event == "subprocess.Popen":
            self.arguments |= _absolute(arguments[1][1:])


class _Hook:
    """The process's one audit hook: it cannot be taken away again, so it stays and listens."""

    def __init__(self) -> None:
        self.listeners: list[Opened] = []
        self._added = False

    def add(self) -> None:
        if not self._added:
            sys.addaudithook(self._hear)
            self._added = True

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        for listener in self.listeners:
            listener.note(event, arguments)


_hook = _Hook()


@contextmanager
def watch() -> Iterator[Opened]:
    """Yield what is read in the block; blocks may be nested."""
    _hook.add()
    opened = Opened()
    _hook.listeners.append(opened)
    try:
        yield opened
    finally:
        # By identity: two that have noted the same are equal.
        _hook.listeners[:] = [each for each in _hook.listeners if each is not opened]


def collect(
    opened: Iterable[Opened], *, root: Path, leave_out: Iterable[Path] = ()
) -> dict[str, Input]:
    """Return what was read, by path, as it is now.

    With a file goes the folder that it is in: another file there might be preferred to it. The
    administrator's own folder of overrides is always looked at. ``leave_out`` are files that are
    no inputs: what was written. Of another root than the host's nothing else is an input, but
    what is of this program.
    """
    files: set[Path] = set()
    folders = set(_overrides(root))
    for each in opened:
        files |= _real(each.files, root)
        folders |= _real(each.folders, root)
        for path in _real(each.arguments, root):
            if path.is_dir() and path != root:
                folders.add(path)
                files |= {file for file in _real(path.iterdir(), root) if file.is_file()}
            elif path.is_file():
                files.add(path)
    files = {path for path in files if path.suffix != ".pyc" and not _in(_VOLATILE, path, root)}
    folders |= {path.parent for path in files if not _in(_UNLISTED, path, root)}
    paths = files | {path for path in folders if not _in(_VOLATILE, path, root)}
    found = {str(path): take(path) for path in sorted(paths - {*leave_out})}
    return {path: each for path, each in found.items() if each is not None}


def take(path: Path) -> Input | None:
    """Return what is at ``path`` now; None for what is neither file nor folder (a device).

    The path is free of links: a link, and what is behind one, is nothing.
    """
    try:
        stamp = _stamp(path)
        kind = path.lstat().st_mode
        if stat.S_ISDIR(kind):
            names = "\0".join(sorted(each.name for each in path.iterdir()))
            return Input(hashlib.sha256(os.fsencode(names)).hexdigest(), stamp)
        if not stat.S_ISREG(kind):
            return Input("") if stat.S_ISLNK(kind) else None
        if stamp[0] > _LARGEST:
            return Input(hashlib.sha256(repr(stamp).encode()).hexdigest(), stamp)
        digest = hashlib.sha256()
        with files.open_file(path) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return Input(digest.hexdigest(), stamp)
    except OSError:
        return Input("")


def stamp(path: Path) -> tuple[int, ...]:
    """Return the stamp of what is at ``path`` now, () where there is nothing."""
    try:
        return _stamp(path)
    except OSError:
        return ()


def is_same(path: Path, before: Input) -> bool:
    """Tell whether ``path`` is as it was; it is read only where its stamp has changed."""
    if before.stamp and stamp(path) == before.stamp:
        return True
    now = take(path)
    return now is not None and now.digest == before.digest


def changed(before: Mapping[str, Input], *, root: Path) -> str | None:
    """Return the first path that is not as it was, None where all are."""
    for name, each in before.items():
        # A record may name anything, and a path is to be looked at only where it was taken.
        path = Path(name)
        if not _belongs(path, root) or ".." in path.parts or not is_same(path, each):
            return name
    fresh = (str(path) for path in _overrides(root))
    return next((name for name in fresh if name not in before), None)


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.lstat()
    return (status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def _overrides(root: Path) -> list[Path]:
    top = rooted.real_path(root / _OVERRIDES, root=root)
    return [top, *(path for path in _real(top.rglob("*"), root) if path.is_dir())]


def _real(paths: Iterable[str | Path], root: Path) -> set[Path]:
    """Return those paths that may be inputs, free of links: they are to be read again."""
    mine = (path for path in map(Path, paths) if _belongs(path, root))
    return {rooted.real_or_own(path, root=root) for path in mine}


def _belongs(path: Path, root: Path) -> bool:
    return path.is_relative_to(root) or is_own(path)


def _in(folders: tuple[str, ...], path: Path, root: Path) -> bool:
    """Tell whether a path lies in one of the ``folders`` at the top of the root or the host."""
    inside = path.relative_to(root) if path.is_relative_to(root) else path.relative_to("/")
    return inside.parts[:1] != () and inside.parts[0] in folders


def _absolute(words: Iterable[Any]) -> set[str]:
    names = (os.fsdecode(word) for word in words if isinstance(word, (str, bytes, os.PathLike)))
    return {os.path.normpath(name) for name in names if name.startswith("/")}
