# SPDX-License-Identifier: GPL-2.0-or-later
"""The folders where a dynamic loader looks for libraries, in a root."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...core.root import Root
from ..distro.architectures import Architecture

#: musl's, without an /etc/ld-musl-ARCH.path (ldso/dynlink.c).
_MUSL_FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")


def expand(word: str, machine: Architecture, origin: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the absolute paths that an RPATH element of a file in ``origin`` may mean.

    The values of $LIB and $PLATFORM are built into the loader, so all of the architecture's are
    tried. A relative path depends on the process's folder, and yields nothing.
    """
    for library in machine.libraries if "LIB" in word else ("lib",):
        values = {"ORIGIN": str(origin), "LIB": library, "PLATFORM": machine.name}
        path = _TOKEN.sub(lambda match: values[match[1] or match[2]], word)  # noqa: B023
        if path.startswith("/"):
            yield PurePosixPath(path)


def is_musls_own(name: str) -> bool:
    """Tell whether musl's loader is that library itself (ldso/dynlink.c, load_library)."""
    own = ("c", "pthread", "rt", "m", "dl", "util", "xnet")
    return name.startswith(tuple(f"lib{each}." for each in own))


def default_folders(machine: Architecture, *, musl: bool) -> tuple[PurePosixPath, ...]:
    """Return the absolute folders that a loader searches where nothing is configured."""
    if musl:
        return tuple(map(PurePosixPath, _MUSL_FOLDERS))
    return tuple(
        PurePosixPath(top, library) for library in machine.libraries for top in ("/", "/usr")
    )


class SearchPath:
    """The folders of a root that its loader searches for every program."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._resolved: dict[PurePosixPath, Path | None] = {}
        self._configured: tuple[PurePosixPath, ...] | None = None

    def folders(self, machine: Architecture, *, musl: bool) -> Iterator[tuple[PurePosixPath, bool]]:
        """Yield absolute folders in the loader's order, and whether only a file names them.

        For glibc, those of ld.so.conf (whose libraries come first in the cache), then the built-in.
        """
        default = default_folders(machine, musl=musl)
        if musl:
            configured = self._musl_path()
            if configured:
                yield from ((folder, folder not in default) for folder in configured)
                return
        else:
            if self._configured is None:
                self._configured = tuple(self._ld_so_conf(PurePosixPath("/etc/ld.so.conf"), set()))
            for folder in self._configured:
                yield folder, folder not in default
        yield from ((folder, False) for folder in default)

    def file_in(self, folder: PurePosixPath, name: str) -> Path | None:
        """Return the file ``name`` of the root's ``folder``, free of links, or None."""
        where = self._resolve(folder)
        return self._root.file(where / name) if where is not None else None

    def plain(self, folder: PurePosixPath) -> PurePosixPath:
        """Return the folder without ``..``, which means nothing behind a link; links may stay."""
        if ".." not in folder.parts:
            return folder
        where = self._resolve(folder)
        assert where is not None, "a library was found there"
        return self._root.inside(where)

    def _resolve(self, folder: PurePosixPath) -> Path | None:
        if folder not in self._resolved:
            self._resolved[folder] = self._root.folder(folder)
        return self._resolved[folder]

    def _ld_so_conf(self, conf: PurePosixPath, seen: set[Path]) -> Iterator[PurePosixPath]:
        # ldconfig(8): one folder per line, "include GLOB", formerly "hwcap ...", # for comments.
        path = self._root.file(conf)
        if path is None or path in seen:
            return
        seen.add(path)
        for line in self._root.read_text(path).splitlines():
            words = line.partition("#")[0].split()
            if not words or words[0] == "hwcap":
                continue
            if words[0] == "include":
                for pattern in words[1:]:
                    include = PurePosixPath(conf.parent, pattern)
                    for each in self._root.entries(include.parent, include.name):
                        yield from self._ld_so_conf(self._root.inside(each), seen)
                continue
            for word in re.split(r"[\s:,]+", " ".join(words)):
                folder = word.partition("=")[0]
                if folder.startswith("/"):
                    yield PurePosixPath(folder)

    def _musl_path(self) -> tuple[PurePosixPath, ...]:
        for path in self._root.entries("etc", "ld-musl-*.path"):
            words = re.split(r"[:\n]", self._root.read_text(path))
            return tuple(PurePosixPath(word) for word in words if word.startswith("/"))
        return ()
