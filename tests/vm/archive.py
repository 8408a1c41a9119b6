# SPDX-License-Identifier: GPL-2.0-or-later
"""A writer of throw-away initrds in cpio's newc format, independent of the product's own."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from .libraries import closure

#: Header fields of newc are eight hexadecimal digits; see cpio(5).
_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


def _record(out: BinaryIO, name: str, mode: int, data: bytes) -> None:
    raw = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
    header = _MAGIC + b"".join(b"%08X" % field for field in fields) + raw
    out.write(header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4))


class Archive:
    """Files, folders and links by their path in the initrd; parents come by themselves."""

    def __init__(self) -> None:
        self._entries: dict[PurePosixPath, tuple[int, bytes]] = {}

    def folder(self, dest: str) -> None:
        """Add a folder and its parents."""
        path = PurePosixPath(dest)
        for folder in (path, *path.parents):
            if folder.name:
                self._entries.setdefault(folder, (stat.S_IFDIR | 0o755, b""))

    def content(self, dest: str, data: bytes, *, mode: int = 0o755) -> None:
        """Add a regular file with the given bytes."""
        self.folder(str(PurePosixPath(dest).parent))
        self._entries[PurePosixPath(dest)] = (stat.S_IFREG | mode, data)

    def file(self, dest: str, source: Path) -> None:
        """Add a copy of a file of the host, symlinks followed."""
        self.content(dest, source.read_bytes())

    def link(self, dest: str, target: str) -> None:
        """Add a symlink."""
        self.folder(str(PurePosixPath(dest).parent))
        self._entries[PurePosixPath(dest)] = (stat.S_IFLNK | 0o777, target.encode())

    def program(self, dest: str, source: Path, root: Path = Path("/")) -> None:
        """Add a program of a root, its dynamic linker and its libraries (into /lib)."""
        self.file(dest, source)
        found = closure(source, root)
        if found.interpreter is not None and found.linker is not None:
            self.file(str(found.interpreter), found.linker)
        for library in found.libraries:
            self.file(f"/lib/{library.name}", library)

    def busybox(self, source: Path, applets: tuple[str, ...]) -> None:
        """Add busybox as /bin/busybox, and a link in /bin for each applet."""
        self.program("/bin/busybox", source)
        for applet in applets:
            self.link(f"/bin/{applet}", "busybox")

    def write(self, target: Path) -> int:
        """Write the uncompressed archive and return its size in bytes."""
        with target.open("wb") as out:
            for path, (mode, data) in sorted(self._entries.items()):
                _record(out, str(path).lstrip("/"), mode, data)
            _record(out, _TRAILER, 0, b"")
            return out.tell()
