# SPDX-License-Identifier: GPL-2.0-or-later
"""The image as a value: a tree of entries that knows parents, links and conflicts."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path, PurePosixPath

from ..core.errors import KdumpInitrdError
from ..core.files import read
from ..core.root import follow


class Kind(str, Enum):
    """The types of a cpio entry that an initrd needs."""

    DIRECTORY = "dir"
    FILE = "file"
    SYMLINK = "symlink"
    NODE = "node"
    FIFO = "fifo"

    @property
    def type_bits(self) -> int:
        """The type bits of st_mode."""
        return _TYPE_BITS[self]


_TYPE_BITS = {
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.FILE: stat.S_IFREG,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.NODE: stat.S_IFCHR,
    Kind.FIFO: stat.S_IFIFO,
}


@dataclass(frozen=True)
class Entry:
    """One path of the image.

    ``dest`` has no leading slash. ``mode`` holds permission bits only. A file has its bytes in
    ``content``; a symlink its target; a node is a character device ``(major, minor)``. ``why`` is
    the reason the entry is in the image, for people.
    """

    dest: PurePosixPath
    kind: Kind
    mode: int
    why: str
    content: bytes = b""
    target: str = ""
    device: tuple[int, int] = (0, 0)

    @property
    def size(self) -> int:
        """Bytes that the cpio body of this entry takes."""
        return len(self.target.encode()) if self.kind is Kind.SYMLINK else len(self.content)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the body, in hex: what the archive is compared with after writing."""
        body = self.target.encode() if self.kind is Kind.SYMLINK else self.content
        return hashlib.sha256(body).hexdigest()

    @property
    def identity(self) -> str:
        """All of it but its path and its reason, in a line."""
        return f"{self.kind.value} {self.mode:o} {self.device} {self.digest}"


def inside(path: str) -> PurePosixPath:
    """Return an absolute path in an image as the tree has it."""
    return PurePosixPath(path).relative_to("/")


class Tree:
    """Entries by path. Parents are added; an equal entry may be added twice, a different one not.

    A destination below a symlink of the tree goes where the kernel would put it: with ``lib`` a
    link to ``usr/lib``, adding ``lib/x`` adds ``usr/lib/x``.
    """

    def __init__(self) -> None:
        self._entries: dict[PurePosixPath, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries in path order: every parent before its children."""
        for dest in sorted(self._entries):
            yield self._entries[dest]

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, dest: PurePosixPath) -> bool:
        return dest in self._entries

    def __getitem__(self, dest: PurePosixPath) -> Entry:
        return self._entries[dest]

    def unpacked_size(self) -> int:
        """Bytes of all file bodies: what the image takes in the capture kernel's memory."""
        return sum(entry.size for entry in self if entry.kind is Kind.FILE)

    def add_directory(self, dest: str | PurePosixPath, *, why: str, mode: int = 0o755) -> None:
        """Add a directory and its parents."""
        self._add(Entry(self.resolve(dest), Kind.DIRECTORY, mode, why))

    def add_content(
        self, dest: str | PurePosixPath, content: bytes, *, why: str, mode: int = 0o644
    ) -> None:
        """Add a file that holds ``content``."""
        self._add(Entry(self.resolve(dest), Kind.FILE, mode, why, content=content))

    def add_file(
        self, dest: str | PurePosixPath, source: Path, *, why: str, mode: int | None = None
    ) -> None:
        """Add a copy of the host's ``source``: 0755 if executable, else 0644, unless ``mode``.

        The path is free of links. Raises KdumpInitrdError when it cannot be read.
        """
        try:
            content = read(source)
            executable = bool(source.stat().st_mode & 0o111)
        except OSError as error:
            raise KdumpInitrdError(f"{source}: {error.strerror}", hint=f"needed: {why}") from error
        self.add_content(
            dest,
            content,
            why=why,
            mode=mode if mode is not None else 0o755 if executable else 0o644,
        )

    def add_symlink(self, dest: str | PurePosixPath, target: str, *, why: str) -> None:
        """Add a symlink; ``target`` is kept as given."""
        path = PurePosixPath(dest)
        self._add(
            Entry(self.resolve(path.parent) / path.name, Kind.SYMLINK, 0o777, why, target=target)
        )

    def add_node(
        self, dest: str | PurePosixPath, device: tuple[int, int], *, why: str, mode: int
    ) -> None:
        """Add a character device ``(major, minor)``."""
        self._add(Entry(self.resolve(dest), Kind.NODE, mode, why, device=device))

    def add_fifo(self, dest: str | PurePosixPath, *, why: str) -> None:
        """Add a named pipe that only root may use."""
        self._add(Entry(self.resolve(dest), Kind.FIFO, 0o600, why))

    def resolve(self, dest: str | PurePosixPath) -> PurePosixPath:
        """Return ``dest`` as a path from the top without links, ``..`` or a leading slash."""

        def read_link(path: str) -> str | None:
            entry = self._entries.get(PurePosixPath(path))
            return entry.target if entry is not None and entry.kind is Kind.SYMLINK else None

        found = follow(dest, read_link)
        if found is None:
            raise KdumpInitrdError(f"{dest}: too many symbolic links in the image")
        return found

    def _add(self, entry: Entry) -> None:
        if not entry.dest.parts:
            return
        present = self._entries.get(entry.dest)
        if present is not None:
            same = replace(present, why=entry.why) == entry
            both_directories = present.kind is entry.kind is Kind.DIRECTORY
            if not same and not both_directories:
                raise KdumpInitrdError(
                    f"{entry.dest}: added to the image twice: {present.why} and {entry.why}"
                )
            return
        parent = entry.dest.parent
        above = self._entries.get(parent)
        if above is not None and above.kind is not Kind.DIRECTORY:
            raise KdumpInitrdError(f"{entry.dest}: {parent} is not a directory in the image")
        if above is None and parent.parts:
            self._add(Entry(parent, Kind.DIRECTORY, 0o755, "parent directory"))
        self._entries[entry.dest] = entry
