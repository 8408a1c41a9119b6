# SPDX-License-Identifier: GPL-2.0-or-later
"""Who could have written a file: what goes into an image runs as root at a crash."""

from __future__ import annotations

import os
import stat
from pathlib import Path

#: Follows no chain of symlinks longer than the kernel would (MAXSYMLINKS, include/linux/namei.h).
_MAX_LINKS = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Untrusted(OSError):
    """A folder that others can change; its text is the path and who."""


def doubt(status: os.stat_result, *, passage: bool = False) -> str:
    """Return who else could have written a file with this status, "" if nobody could.

    That is anybody but root and the user that this process runs as. ``passage`` is for a folder on
    the way to one of ours: if it is sticky, as /tmp is, everybody may write to it.
    """
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}"
    # A link has no mode of its own.
    if stat.S_ISLNK(status.st_mode) or (passage and status.st_mode & stat.S_ISVTX):
        return ""
    if status.st_mode & stat.S_IWOTH:
        return "everybody can write to it"
    if status.st_mode & stat.S_IWGRP and status.st_gid != 0:
        return f"group {status.st_gid} can write to it"
    return ""


def warning(path: Path) -> str:
    """Return a warning about a file or folder that is configuration, "" for none.

    Only root is warned: what another user configures can be trusted as much as that user.
    """
    try:
        why = doubt(path.lstat()) if os.geteuid() == 0 else ""
    except OSError:
        return ""
    if not why:
        return ""
    return (
        f"{why}: whoever changes it decides what runs as root at a crash "
        "(chown root:root, chmod go-w)"
    )


def open_folder(path: str, *, make: bool = False) -> int:
    """Return a descriptor of an absolute folder that nobody else could replace or write to.

    Each folder on the way is checked by its descriptor, and each link by its owner. The folder
    itself has to be this user's own. ``make`` creates what is missing of it, for this user alone.
    Raises Untrusted, or OSError if it cannot be opened.
    """
    todo = [part for part in path.split("/") if part not in ("", ".")]
    spots = [os.open("/", _FOLDER)]
    links = 0
    try:
        while todo:
            name = todo.pop(0)
            if name == "..":
                if len(spots) > 1:
                    os.close(spots.pop())
                continue
            link = _read_link(name, spots[-1], path)
            if link is not None:
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(40, os.strerror(40), path)  # ELOOP
                if link.startswith("/"):
                    while len(spots) > 1:
                        os.close(spots.pop())
                todo[:0] = [part for part in link.split("/") if part not in ("", ".")]
                continue
            mode = 0o755 if todo else 0o700
            spots.append(_enter(name, spots[-1], path, make=mode if make else 0))
        status = os.fstat(spots[-1])
        why = doubt(status)
        if why or status.st_uid != os.geteuid():
            raise Untrusted(1, why or f"it belongs to user {status.st_uid}", path)
        return os.dup(spots[-1])
    finally:
        for spot in spots:
            os.close(spot)


def _enter(name: str, spot: int, path: str, *, make: int) -> int:
    try:
        found = os.open(name, _FOLDER, dir_fd=spot)
    except FileNotFoundError:
        if not make:
            raise
        os.mkdir(name, make, dir_fd=spot)
        found = os.open(name, _FOLDER, dir_fd=spot)
    why = doubt(os.fstat(found), passage=True)
    if why:
        os.close(found)
        raise Untrusted(1, f"{name} on the way to it: {why}", path)
    return found


def _read_link(name: str, spot: int, path: str) -> str | None:
    """Return where a link leads, None for anything else; raises Untrusted for others' links."""
    try:
        status = os.stat(name, dir_fd=spot, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(status.st_mode):
        return None
    if status.st_uid not in (0, os.geteuid()):
        raise Untrusted(1, f"{name} on the way to it is a link of user {status.st_uid}", path)
    return os.readlink(name, dir_fd=spot)
