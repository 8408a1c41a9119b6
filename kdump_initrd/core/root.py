# SPDX-License-Identifier: GPL-2.0-or-later
"""The one door to a root: links are followed as that root would, and what was asked is remembered.

A root may be anybody's. A name in it is resolved first, by its own links and never out of it, and
what is opened then is a regular file of a size that makes sense (core.files).
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Union

from . import files
from .errors import KdumpInitrdError
from .files import FILE, TEXT

#: Follows no chain of symlinks longer than the kernel would (MAXSYMLINKS, include/linux/namei.h).
_MAX_LINKS = 40
#: What makes a name a pattern (fnmatch).
_WILD = re.compile(r"[*?\[]")

#: A name in a root, with or without a leading slash; but a Path is the host's: of what lies below
#: the root, or of a file of this program itself.
Name = Union[str, PurePosixPath, Path]


def follow(
    path: str | PurePosixPath, read_link: Callable[[str], str | None]
) -> PurePosixPath | None:
    """Return ``path`` from the top, without links, ``..`` or a leading slash; None for a loop.

    ``read_link`` tells the target of a path that is a link, None for any other; it gets that path
    from the top, without a leading slash.
    """
    todo = [part for part in PurePosixPath(path).parts if part != "/"]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop(0)
        if part == "..":
            del done[-1:]
            continue
        link = read_link("/".join((*done, part)))
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


@dataclass
class Asked:
    """What a root was asked, by absolute paths of the host, found or not.

    ``looked`` are files and folders that were looked for, and the links on their way; for what is
    missing, its first missing part. ``listed`` are folders whose entries were asked for.
    """

    looked: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)

    def __or__(self, other: Asked) -> Asked:
        """Return what either was asked."""
        return Asked(self.looked | other.looked, self.listed | other.listed)


@dataclass(frozen=True)
class Root:
    """A folder that contains a system, "/" for this host's own.

    Absolute link targets start at its top again, and ``..`` ends there. Paths that it returns are
    the host's, and free of links. ``asked`` remembers the questions, except those about where
    something will be written.
    """

    path: Path = Path("/")
    asked: Asked = field(default_factory=Asked, compare=False, repr=False)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_host(self) -> bool:
        """Whether it is the running system's own."""
        return self.path == Path("/")

    def resolve(self, name: Name) -> Path | None:
        """Return the path of ``name``, which need not exist; None for a loop of links.

        A name that no file can have (too long, a NUL in it) gives None, too.
        """
        found, links, missing = self._follow(name)
        self.asked.looked.update(links, missing or ([str(found)] if found else []))
        return found

    def inside(self, path: Path) -> PurePosixPath:
        """Return the name in the root, from "/" on, of a path below it.

        Raises KdumpInitrdError when it does not lie there.
        """
        if not path.is_relative_to(self.path):
            raise KdumpInitrdError(f"{path}: not in the root {self.path}")
        return PurePosixPath("/", path.relative_to(self.path).as_posix())

    def real_path(self, path: Path) -> Path:
        """Return a path, of the root or of this program, free of links; itself for a loop."""
        return self.resolve(path) or path

    def named(self, name: str | Path) -> Path:
        """Return the host's path that a person means, free of links: the root's if it exists there.

        A loop of links is not an error here, but for whoever opens the path.
        """
        path = Path(name).absolute()
        inside = not self.is_host and ".." not in path.parts and path.is_relative_to(self.path)
        return self.real_path(path) if inside else Path(os.path.realpath(name))

    def place(self, name: Name) -> Path:
        """Return where ``name`` is written: its folder is free of links, but it may be one itself.

        Raises KdumpInitrdError for a loop of links.
        """
        inside = self.inside(name) if isinstance(name, Path) else PurePosixPath(name)
        folder, _, _ = self._follow(inside.parent)
        if folder is None:
            raise KdumpInitrdError(f"{self.path / inside.parent}: {os.strerror(errno.ELOOP)}")
        return folder / inside.name

    def file(self, name: Name) -> Path | None:
        """Return the path of a regular file, None where there is none."""
        found = self.resolve(name)
        return found if found is not None and found.is_file() else None

    def folder(self, name: Name) -> Path | None:
        """Return the path of a folder, None where there is none."""
        found = self.resolve(name)
        return found if found is not None and found.is_dir() else None

    def there(self, name: Name) -> Path | None:
        """Return the path of whatever is there, None for nothing."""
        found = self.resolve(name)
        return found if found is not None and found.exists() else None

    def first_file(self, names: Iterable[Name]) -> Path | None:
        """Return the first of ``names`` that is a file."""
        return next((path for path in map(self.file, names) if path is not None), None)

    def folders(self, names: Iterable[Name]) -> list[Path]:
        """Return those of ``names`` that are folders, each once."""
        found = (path for path in map(self.folder, names) if path is not None)
        return list(dict.fromkeys(found))

    def entries(self, name: Name, pattern: str = "*") -> list[Path]:
        """Return the entries of a folder with such a name, sorted; [] if there is no such folder.

        They may be links: resolve() tells where these lead. Only for a pattern does this count as
        having asked for all entries of the folder.
        """
        folder = self.folder(name)
        if folder is None:
            return []
        if not _WILD.search(pattern):
            path = folder / pattern
            self.resolve(path)
            return [path] if os.path.lexists(path) else []
        self.asked.listed.add(str(folder))
        names = fnmatch.filter((each.name for each in folder.iterdir()), pattern)
        return [folder / each for each in sorted(names)]

    def read(self, name: Name, *, limit: int = FILE) -> bytes:
        """Return the bytes of a file; raises OSError, as files.read() does."""
        found = self.resolve(name)
        if found is None:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(name))
        return files.read(found, limit=limit)

    def read_text(self, name: Name, *, limit: int = TEXT) -> str:
        """Return a text as read() does its bytes; what is not UTF-8 in it is replaced."""
        return self.read(name, limit=limit).decode("utf-8", "replace")

    def _follow(self, name: Name) -> tuple[Path | None, list[str], list[str]]:
        """Resolve a name; return its path, the links on the way, and the first part missing."""
        if isinstance(name, Path) and not name.is_relative_to(self.path):
            return Path(os.path.realpath(name)), [], []
        inside = self.inside(name) if isinstance(name, Path) else name
        top = str(self.path).rstrip("/")
        links: list[str] = []
        missing: list[str] = []

        def read_link(part: str) -> str | None:
            path = f"{top}/{part}"
            try:
                target = os.readlink(path)  # noqa: PTH115 - a Path for each would take most of it
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    raise
                if error.errno in (errno.ENOENT, errno.ENOTDIR):
                    missing.append(path)
                return None
            links.append(path)
            return target

        try:
            found = follow(inside, read_link)
        except (OSError, ValueError):
            found = None
        return None if found is None else self.path / found, links, missing[:1]
