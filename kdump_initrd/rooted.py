# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths of a root: symlinks are followed as that root would, never out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from .errors import KdumpInitrdError

#: Follows no chain of symlinks longer than the kernel would (MAXSYMLINKS, include/linux/namei.h).
_MAX_LINKS = 40


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
    exist.
    """

    def read_link(inside: PurePosixPath) -> str | None:
        here = root / inside
        return str(here.readlink()) if here.is_symlink() else None

    found = follow(path, read_link)
    return None if found is None else root / found


def real_path(path: Path, *, root: Path) -> Path:
    """Return the host's ``path``, which lies below ``root``, free of the root's links.

    Raises KdumpInitrdError when it does not lie there.
    """
    if not path.is_relative_to(root):
        raise KdumpInitrdError(f"{path}: not in the root {root}")
    return resolve(PurePosixPath("/", path.relative_to(root).as_posix()), root=root) or path


def first_file(candidates: Iterable[str], *, root: Path) -> Path | None:
    """Return the first of ``candidates`` (relative to ``root``) that is a file, resolved."""
    paths = (resolve(name, root=root) for name in candidates)
    return next((path for path in paths if path is not None and path.is_file()), None)


def folders(candidates: Iterable[str], *, root: Path) -> list[Path]:
    """Return those of ``candidates`` (relative to ``root``) that are folders, resolved, once."""
    paths = (resolve(name, root=root) for name in candidates)
    return list(dict.fromkeys(path for path in paths if path is not None and path.is_dir()))
