# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder below a mount point, reached and made without ever leaving that file system."""

from __future__ import annotations

import errno
import os

#: Links that are followed on the way, as many as the kernel's own walk follows
#: (include/linux/namei.h, MAXSYMLINKS).
_MAX_LINKS = 40
#: st_mode of a folder and of a symbolic link (inode(7)).
_TYPE_MASK, _FOLDER, _LINK = 0o170000, 0o040000, 0o120000
_JUST_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """An open folder; path is a plain one: no link, no `..`, nothing twice."""

    def __init__(self, mount: str, folder: str) -> None:
        """Reach a folder by its path as the file system's own system sees it; make what is missing.

        The path's start, absolute links and `..` all end at the mount point, whatever they say,
        and a link that dangles gets its target made. Raises OSError: ENOTDIR for a file on the
        way, ELOOP for too many links, EXDEV where another file system is mounted.
        """
        #: Each part's name and descriptor; the first one is the mount point.
        self._parts = [(mount.rstrip("/"), os.open(mount or "/", _JUST_LOOK | os.O_DIRECTORY))]
        try:
            self._device = _mount_of(self.fd)
            self._walk(folder)
        except BaseException:
            self.close()
            raise

    @property
    def fd(self) -> int:
        """The folder's descriptor (O_PATH)."""
        return self._parts[-1][1]

    @property
    def path(self) -> str:
        """The folder's path, with the mount point's."""
        return "/".join([name for name, _ in self._parts]) or "/"

    def close(self) -> None:
        """Close all descriptors."""
        self._back_to(0)

    def _walk(self, folder: str) -> None:
        left = folder.split("/")[::-1]
        links = 0
        while left:
            name = left.pop()
            if name == "..":
                self._back_to(max(1, len(self._parts) - 1))
            if name in ("", ".", ".."):
                continue
            fd = self._enter(name)
            kind = os.fstat(fd).st_mode & _TYPE_MASK
            self._parts.append((name, fd))
            if kind == _LINK:
                target = os.readlink("", dir_fd=fd)
                links += 1
                if links > _MAX_LINKS:
                    raise self._error(errno.ELOOP)
                self._back_to(1 if target.startswith("/") else len(self._parts) - 1)
                left += target.split("/")[::-1]
            elif kind != _FOLDER:
                raise self._error(errno.ENOTDIR)
            elif _mount_of(fd) != self._device:
                raise self._error(errno.EXDEV)

    def _enter(self, name: str) -> int:
        try:
            return os.open(name, _JUST_LOOK, dir_fd=self.fd)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=self.fd)  # as distributions have /var/crash
            return os.open(name, _JUST_LOOK, dir_fd=self.fd)

    def _error(self, code: int) -> OSError:
        return OSError(code, os.strerror(code), self.path)

    def _back_to(self, count: int) -> None:
        for _, fd in self._parts[count:]:
            os.close(fd)
        del self._parts[count:]


def is_mounted(mount: str) -> bool:
    """Tell whether a file system is mounted on a folder; raises OSError."""
    found = []
    for path in (mount, f"{mount}/.."):
        fd = os.open(path, _JUST_LOOK | os.O_DIRECTORY)
        try:
            found.append(_mount_of(fd))
        finally:
            os.close(fd)
    return found[0] != found[1]


def _mount_of(fd: int) -> str:
    # What is mounted there: a subvolume of btrfs has its own device number, but is not a mount.
    try:
        info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(info, 4096)
        finally:
            os.close(info)
    except OSError:
        text = b""
    for line in text.split(b"\n"):
        if line.startswith(b"mnt_id:"):  # Linux 3.15
            return line[7:].strip().decode("ascii", "replace")
    return f"device {os.fstat(fd).st_dev}"
