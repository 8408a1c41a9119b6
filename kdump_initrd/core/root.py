# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths of a root: links are followed as that root would, never out of it; files are only files.

A root may be anybody's. What is read of it goes through here: a path is resolved first, and what
is opened then must be a regular file without a link on its way, and no larger than somebody can
want it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from .errors import KdumpInitrdError

#: Follows no chain of symlinks longer than the kernel would (MAXSYMLINKS, include/linux/namei.h).
_MAX_LINKS = 40
#: The largest text that anybody writes: a configuration, a script, a table; in bytes.
TEXT = 4 << 20
#: The largest file that an image has in it, a kernel with symbols among them; in bytes.
FILE = 128 << 20


def follow(
    path: str | PurePosixPath, read_link: Callable[[PurePosixPath], str | None]
) -> PurePosixPath | None:
    """Return ``path`` from the top, without links, ``..`` or a leading slash; None for a loop.

    ``read_link`` tells the target of a path that is a link, None for any other.
    """
    todo = [part for part in PurePosixPath(path).parts if part != "/"]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop(0)
        if part == "..":
            del done[-1:]
            continue
        link = read_link(PurePosixPath(*done, part))
        if link is None:
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            return None
        target = PurePosixPath(link)
        if target.is_absolute():
            done.clear()
        todo[:0] = [name for name in target.parts if name != "/"]
    return PurePosixPath(*done)


def resolve(path: str | PurePosixPath, *, root: Path) -> Path | None:
    """Return the host's path of ``path`` in ``root``, free of links; None for a loop of links.

    Absolute link targets start at ``root`` again and ``..`` ends there. The path itself need not
    exist. One that no file can have (too long, a NUL in it) is None, too.
    """

    def read_link(inside: PurePosixPath) -> str | None:
        try:
            return str((root / inside).readlink())
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise
            return None

    try:
        found = follow(path, read_link)
    except (OSError, ValueError):
        return None
    return None if found is None else root / found


def real_path(path: Path, *, root: Path) -> Path:
    """Return the host's ``path``, which lies below ``root``, free of the root's links.

    Raises KdumpInitrdError when it does not lie there.
    """
    if not path.is_relative_to(root):
        raise KdumpInitrdError(f"{path}: not in the root {root}")
    return resolve(PurePosixPath("/", path.relative_to(root).as_posix()), root=root) or path


def real_or_own(path: Path, *, root: Path) -> Path:
    """Return ``path`` free of links: the root's where it lies in that, else the host's.

    What does not lie in the root is of this program itself.
    """
    return real_path(path, root=root) if path.is_relative_to(root) else named(path)


def named(name: str | Path, *, root: Path = Path("/")) -> Path:
    """Return the host's path that somebody names, free of links: those of ``root`` if it is there.

    A loop of links is left for whoever opens it to complain of.
    """
    path = Path(name).absolute()
    inside = root != Path("/") and ".." not in path.parts and path.is_relative_to(root)
    return real_path(path, root=root) if inside else Path(os.path.realpath(name))


def place(path: str | PurePosixPath, *, root: Path) -> Path:
    """Return where ``path`` of ``root`` is written: its folder is free of links, it may be one.

    Raises KdumpInitrdError for a loop of links.
    """
    inside = PurePosixPath(path)
    folder = resolve(inside.parent, root=root)
    if folder is None:
        raise KdumpInitrdError(f"{root / inside.parent}: {os.strerror(errno.ELOOP)}")
    return folder / inside.name


def first_file(candidates: Iterable[str], *, root: Path) -> Path | None:
    """Return the first of ``candidates`` (relative to ``root``) that is a file, resolved."""
    paths = (resolve(name, root=root) for name in candidates)
    return next((path for path in paths if path is not None and path.is_file()), None)


def folders(candidates: Iterable[str], *, root: Path) -> list[Path]:
    """Return those of ``candidates`` (relative to ``root``) that are folders, resolved, once."""
    paths = (resolve(name, root=root) for name in candidates)
    return list(dict.fromkeys(path for path in paths if path is not None and path.is_dir()))


def read(path: Path, *, limit: int = FILE) -> bytes:
    """Return the bytes of the file at ``path``, which must be free of links.

    Raises OSError: what open_file() does, and "is larger than N MB" beyond ``limit`` bytes.
    """
    with open_file(path) as file:
        too_large = OSError(errno.EFBIG, f"is larger than {limit >> 20} MB", str(path))
        if os.fstat(file.fileno()).st_size > limit:
            raise too_large
        # What the kernel makes up has no size.
        content = file.read(limit + 1)
        if len(content) > limit:
            raise too_large
        return content


def read_text(path: Path, *, limit: int = TEXT) -> str:
    """Return a text as read() does its bytes; what is no UTF-8 in it is replaced."""
    return read(path, limit=limit).decode("utf-8", "replace")


def open_file(path: Path) -> BinaryIO:
    """Open the regular file at ``path`` to be read; the path must be free of links.

    Nothing waits, and nothing but a regular file is opened, not even for a moment: some devices
    act when they are. Raises OSError, with a text for what is no file, or has a link on its way.
    """
    spot = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(spot, path)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            # This very file, whatever may have come to its path.
            descriptor = os.open(f"/proc/self/fd/{spot}", flags & ~os.O_NOFOLLOW)
        except FileNotFoundError:  # /proc is not mounted
            descriptor = os.open(path, flags)
    finally:
        os.close(spot)
    return os.fdopen(descriptor, "rb")


def _check(spot: int, path: Path) -> None:
    kind = os.fstat(spot).st_mode
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if stat.S_ISLNK(kind) or _real_name(spot, path) != str(path):
        raise OSError(errno.ELOOP, "is a symbolic link, or behind one", str(path))
    if not stat.S_ISREG(kind):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))


def _real_name(spot: int, path: Path) -> str:
    # By what name the kernel knows what was opened; where /proc is not mounted, nobody tells.
    try:
        return str(Path(f"/proc/self/fd/{spot}").readlink())
    except FileNotFoundError:
        return str(path)
