# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths of a root: symlinks are followed as that root would, never out of it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

#: Follows no chain of symlinks longer than the kernel would (MAXSYMLINKS, include/linux/namei.h).
_MAX_LINKS = 40


def resolve(path: str | PurePosixPath, *, root: Path) -> Path | None:
    """Return the host's path of ``path`` in ``root``, free of links; None for a loop of links.

    Absolute link targets start at ``root`` again and ``..`` ends there. The path itself need not
    exist.
    """
    todo = [part for part in PurePosixPath(path).parts if part != "/"]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop(0)
        if part == "..":
            if done:
                done.pop()
            continue
        here = root.joinpath(*done, part)
        if not here.is_symlink():
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            return None
        target = PurePosixPath(str(here.readlink()))
        if target.is_absolute():
            done.clear()
        todo[:0] = [name for name in target.parts if name != "/"]
    return root.joinpath(*done)


def first_file(candidates: tuple[str, ...], *, root: Path) -> Path | None:
    """Return the first of ``candidates`` (relative to ``root``) that is a file, resolved."""
    for name in candidates:
        path = resolve(name, root=root)
        if path is not None and path.is_file():
            return path
    return None
