# SPDX-License-Identifier: GPL-2.0-or-later
"""Which distribution a root holds, and its facts from distros/*.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.root import Root
from ...core.schema import check
from ...core.toml import Document
from . import architectures, osrelease, profilefile
from .profilekeys import (
    LISTS,
    NAME,
    SECTIONS,
    BootLoader,
    Config,
    Dump,
    Kernel,
    Tools,
    check_complete,
    declared,
)

logger = get_logger(__name__)

#: The profile of an unknown distribution.
FALLBACK = "linux"
#: Keys that hold for the profile that has them, and not for those that inherit from it.
_OF_ITSELF = ("inherits", "ids", "files")


@dataclass(frozen=True)
class InitrdKind:
    """A kind of initrd to which our hook can be added, recognised by its content.

    All paths of ``marks`` are in it. ``files`` maps paths in it to templates: what has to be
    added or replaced. ``features`` maps a word for people to a path that shows the feature.
    """

    name: str
    marks: tuple[str, ...]
    files: Mapping[str, str]
    features: Mapping[str, str]


@dataclass(frozen=True)
class Distro:
    """A distribution's facts; the sections are those of its TOML file."""

    id: str
    name: str
    kernel: Kernel
    dump: Dump
    tools: Tools
    config: Config
    hardware: Mapping[str, tuple[str, ...]]
    filesystems: Mapping[str, tuple[str, ...]]
    cmdline: Mapping[str, tuple[str, ...]]
    initrds: tuple[InitrdKind, ...]
    bootloaders: Mapping[str, BootLoader]

    def capture_cmdline(self, machine: str) -> tuple[str, ...]:
        """Return the words of the capture kernel's command line for ``machine`` (uname -m)."""
        return (*self.cmdline.get(machine, ()), *self.cmdline["common"])


@dataclass(frozen=True)
class Profile:
    """What the files of a profile say together.

    ``files`` are in the order in which they were read; each overrides those before it. If they do
    not have words of the command line for an architecture, those of architectures.toml are used.
    """

    files: tuple[Document, ...]
    values: Mapping[str, Any]

    def origin(self, *keys: str) -> str:
        """Return "FILE:LINE" of what sets a key, or a key of a section."""
        said = (file.where(*keys) for file in reversed(self.files) if file.says(*keys))
        return next(said, None) or architectures.facts().origin(keys[-1], "cmdline")


def known(search_path: Sequence[Path], *, root: Root) -> list[str]:
    """Return the ids of all profiles on ``search_path``, sorted."""
    return sorted({path.stem for path in _files(search_path, root)})


def load(distro: str, *, search_path: Sequence[Path], root: Root) -> Distro:
    """Read the profile ``distro`` and those that it inherits from.

    Links in folders of ``root`` are followed within it. Raises KdumpInitrdError for an unknown id,
    a broken file, and an unknown key.
    """
    merged = read(distro, search_path=search_path, root=root).values
    check_complete(distro, merged)
    facts: dict[str, Any] = {name: merged.get(name, {}) for name in LISTS}
    facts |= {name: kind(**merged[name]) for name, kind in SECTIONS.items()}
    return Distro(
        id=distro,
        name=merged["name"],
        initrds=tuple(
            InitrdKind(name, kind["marks"], kind["files"], kind.get("features", {}))
            for name, kind in merged.get("initrd", {}).items()
        ),
        bootloaders={
            name: BootLoader(**table) for name, table in merged.get("bootloader", {}).items()
        },
        **facts,
    )


def read(distro: str, *, search_path: Sequence[Path], root: Root) -> Profile:
    """Return what the files of the profile ``distro`` say; raises as load() does.

    It need not be complete.
    """
    files = tuple(_chain(distro, search_path, 0, seen=(), root=root))
    values: dict[str, Any] = {}
    for file in files:
        for key, value in file.table.items():
            if key not in _OF_ITSELF:
                is_table = isinstance(value, dict)
                values[key] = {**values.get(key, {}), **value} if is_table else value
    said, facts = values.setdefault("cmdline", {}), architectures.facts()
    root.file(facts.document.path)  # read once, but an input of each image
    for name, each in facts.known.items():
        if each.cmdline:
            said.setdefault(name, each.cmdline)
    return Profile(files, values)


def detect(root: Root, *, search_path: Sequence[Path]) -> Distro:
    """Return the profile of the distribution in ``root``.

    It is recognised by its os-release's ID, then by ID_LIKE, then by a file that a profile names.
    In the latter cases it is another distribution of that family, and it is unknown what its
    readers of dumps can open.
    """
    there = known(search_path, root=root)
    if FALLBACK not in there:
        raise KdumpInitrdError(f"no profile {FALLBACK}.toml in {search_path[-1]}")
    names = osrelease.names(osrelease.read(root))
    name = _name_of(names, there, root=root, search_path=search_path)
    if name:
        return load(name, search_path=search_path, root=root)
    unknown = load(FALLBACK, search_path=search_path, root=root)
    found = _by_file(root, search_path)
    if found is None:
        return unknown
    name, file = found
    logger.info(
        "%s: unknown distribution, treated like %s because of /%s",
        *(names[0] if names else root, name, file),
    )
    profile = load(name, search_path=search_path, root=root)
    return replace(profile, dump=replace(profile.dump, codecs=unknown.dump.codecs))


def _name_of(
    names: Sequence[str], there: Sequence[str], *, root: Root, search_path: Sequence[Path]
) -> str:
    aliases: Mapping[str, str] | None = None
    for word in names:
        if word in there:
            return word
        aliases = _aliases(search_path, root) if aliases is None else aliases
        if word in aliases:
            return aliases[word]
    return ""


def _by_file(root: Root, search_path: Sequence[Path]) -> tuple[str, str] | None:
    """Return the first profile that names a file which is there, and the file."""
    for path in _files(search_path, root):
        for name in _read(path, root).table.get("files", ()):
            if root.file(name) is not None:
                return path.stem, name
    return None


def _aliases(search_path: Sequence[Path], root: Root) -> dict[str, str]:
    """Return the profiles by the other IDs of os-release that they are for."""
    found: dict[str, str] = {}
    for path in _files(search_path, root):
        for name in _read(path, root).table.get("ids", ()):
            found.setdefault(name, path.stem)
    return found


def _files(search_path: Sequence[Path], root: Root) -> list[Path]:
    return [path for folder in search_path for path in root.entries(folder, "*.toml")]


def _read(path: Path, root: Root) -> Document:
    file = profilefile.read(path, root=root)
    return replace(file, table=check(file, declared()))


def _chain(
    distro: str, search_path: Sequence[Path], begin: int, *, seen: tuple[Path, ...], root: Root
) -> list[Document]:
    """Return the files from the eldest ancestor to ``distro`` itself, sought from ``begin`` on.

    A file overrides the one of the same name further on in the search path, unless it says that it
    inherits from something else.
    """
    place = _find(distro, search_path, begin, root)
    if place is None:
        there = ", ".join(known(search_path, root=root))
        raise KdumpInitrdError(f"{distro}: unknown distribution", hint=f"expected one of {there}")
    path = search_path[place] / f"{distro}.toml"
    file = _read(path, root)
    parent = file.table.get("inherits", distro)
    begin = place + 1 if parent == distro else 0
    found = _find(parent, search_path, begin, root)
    if found is None and "inherits" not in file.table:
        return [file]
    if path in seen or (found is None and parent == distro):
        raise KdumpInitrdError(
            f"{file.where('inherits')}: {distro} inherits from itself",
            hint="name a profile that does not inherit from this one",
        )
    if found is None:
        there = ", ".join(known(search_path, root=root))
        raise KdumpInitrdError(
            f"{file.where('inherits')}: {parent}: unknown distribution",
            hint=f"expected one of {there}",
        )
    return [*_chain(parent, search_path, begin, seen=(*seen, path), root=root), file]


def _find(distro: str, search_path: Sequence[Path], begin: int, root: Root) -> int | None:
    """Return which folder from ``begin`` on has the profile, None for none."""
    numbers = range(begin, len(search_path)) if NAME.fullmatch(distro) else ()
    paths = ((n, search_path[n] / f"{distro}.toml") for n in numbers)
    return next((n for n, path in paths if root.there(path) is not None), None)
