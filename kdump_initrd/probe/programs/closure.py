# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs and libraries: what they need, and where the loader finds it in a root."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.root import Root
from ..distro.architectures import Architecture
from .elffile import Elf, read_elf
from .elfimage import Damaged, NotElf
from .script import read_interpreter
from .searchpath import SearchPath, expand, is_musls_own

logger = get_logger(__name__)


@dataclass(frozen=True)
class Library:
    """A file that must be in the image: at ``dest``, a copy of the host's ``source``."""

    dest: PurePosixPath
    source: Path
    why: str


@dataclass(frozen=True)
class Closure:
    """What a set of programs needs beside itself.

    ``libraries`` are sorted by destination, loaders among them. ``extra_dirs`` are absolute
    folders of libraries that the loader finds only through the root's ld.so.cache: an image
    without that needs them in LD_LIBRARY_PATH, in this order.
    """

    libraries: tuple[Library, ...]
    extra_dirs: tuple[PurePosixPath, ...]


@dataclass(frozen=True)
class _Object:
    # A loaded file: at `dest` in the root, loaded because `parent` needs it.
    dest: PurePosixPath
    elf: Elf
    parent: _Object | None

    def chain(self) -> Iterator[_Object]:
        here: _Object | None = self
        while here is not None:
            yield here
            here = here.parent


def closure(paths: Iterable[Path], *, root: Root) -> Closure:
    """Return what the programs, libraries and scripts at ``paths``, below ``root``, need.

    Each path is taken as a process of its own, whose libraries are searched for as its loader would
    with an empty environment: ld.so(8) for glibc, ldso/dynlink.c for musl. Nothing is executed.

    The subfolders glibc-hwcaps are ignored: the library beside them runs on every processor of the
    architecture, and an image is not made for one processor.

    A script needs its interpreter, and what that needs. Raises KdumpInitrdError for a library
    that is missing or there for another architecture only, and for a path that is neither an ELF
    file nor a script.
    """
    search = _Closer(root)
    files = []
    for path in (_real_path(each, root) for each in paths):
        interpreter = read_interpreter(path)
        if interpreter is not None:
            path = search.add_interpreter(interpreter, path)
        files.append((path, read_elf(path)))
    # Programs first: a plug-in, which names no loader, finds theirs loaded.
    for path, elf in sorted(files, key=lambda each: each[1].interpreter is None):
        search.add(path, elf)
    return search.result()


def opened(name: str, *, by: Path, root: Root) -> Closure | None:
    """Return the library that the program ``by`` would get from dlopen(``name``), and its needs.

    None means that there is no such library. What ``by`` itself needs is not included.
    """
    search = _Closer(root)
    return search.result() if search.open(name, _real_path(by, root)) else None


def _real_path(path: Path, root: Root) -> Path:
    # What is not in the root cannot be in an image of it.
    return root.resolve(root.inside(path)) or path


class _Closer:
    """Collects libraries; files are parsed once, however many programs need them."""

    def __init__(self, root: Root) -> None:
        self.libraries: dict[PurePosixPath, Library] = {}
        self.extra_dirs: dict[PurePosixPath, None] = {}
        self._root = root
        self._path = SearchPath(root)
        self._parsed: dict[Path, Elf | None] = {}
        self._loaders: dict[Architecture, set[str]] = {}

    def result(self) -> Closure:
        libraries = tuple(self.libraries[dest] for dest in sorted(self.libraries))
        return Closure(libraries, tuple(self.extra_dirs))

    def add_interpreter(self, interpreter: str, script: Path) -> Path:
        """Add the program that runs ``script``, and return its file."""
        source = self._root.file(interpreter)
        if source is None:
            text = f"{script}: its interpreter {interpreter} is not in {self._root}"
            raise KdumpInitrdError(text, hint="install it there")
        dest = PurePosixPath(interpreter).relative_to("/")
        self.libraries[dest] = Library(dest, source, f"runs {script.name}")
        return source

    def add(self, path: Path, elf: Elf) -> None:
        """Add what one program or library needs."""
        program = self._program(path, elf)
        loaded = self._loaders.get(elf.architecture, set())
        self._follow(program, {elf.soname or path.name} | loaded)

    def open(self, name: str, user: Path) -> bool:
        """Add the library that the program ``user`` would get from dlopen(), if there is one."""
        elf = read_elf(user)
        program = self._program(user, elf)
        try:
            found = self._find(name, program, elf.architecture, elf.is_musls)
        except KdumpInitrdError:
            return False
        loaded = self._loaders.get(elf.architecture, set())
        self._follow(found, {name, found.elf.soname or name} | loaded)
        return True

    def _program(self, path: Path, elf: Elf) -> _Object:
        program = _Object(self._root.inside(path), elf, None)
        if elf.interpreter is not None:
            self._add_loader(program, elf.interpreter)
        return program

    def _follow(self, first: _Object, loaded: set[str]) -> None:
        musl = first.elf.is_musls
        queue = [first]
        while queue:
            needer = queue.pop(0)
            for name in needer.elf.needed:
                if name in loaded or (musl and is_musls_own(name)):
                    continue
                loaded.add(name)
                found = self._find(name, needer, first.elf.architecture, musl)
                loaded.add(found.elf.soname or name)
                queue.append(found)

    def _add_loader(self, program: _Object, interpreter: str) -> None:
        source = self._root.file(interpreter)
        if source is None:
            raise KdumpInitrdError(
                f"{interpreter}: loader not found, needed by {program.dest}",
                hint="install the C library of that program's architecture",
            )
        self._take(PurePosixPath(interpreter), source, program)
        elf = self._parse(source)
        names = self._loaders.setdefault(program.elf.architecture, set())
        names.add((elf and elf.soname) or PurePosixPath(interpreter).name)

    def _find(self, name: str, needer: _Object, machine: Architecture, musl: bool) -> _Object:
        wrong: list[str] = []
        for folder, is_extra in self._folders(name, needer, machine, musl):
            source = self._path.file_in(folder, PurePosixPath(name).name)
            elf = self._parse(source) if source is not None else None
            if source is None or elf is None:
                continue
            if elf.architecture != machine:
                wrong.append(f"{folder / PurePosixPath(name).name} is for {elf.machine}")
                continue
            dest = self._path.plain(folder) / PurePosixPath(name).name
            self._take(dest, source, needer)
            if is_extra:
                self.extra_dirs.setdefault(dest.parent)
            return _Object(dest, elf, needer)
        what = f"{name}: library not found" if not wrong else f"{name}: wrong architecture"
        raise KdumpInitrdError(
            f"{what}, needed by {needer.dest} ({machine.name})",
            hint="; ".join(wrong) or f"install the package of {self._root} that has it",
        )

    def _folders(
        self, name: str, needer: _Object, machine: Architecture, musl: bool
    ) -> Iterator[tuple[PurePosixPath, bool]]:
        """Yield the folders where the loader looks, and whether only its cache knows them."""
        origin, elf = needer.dest.parent, needer.elf
        if "/" in name:
            for path in expand(name, machine, origin):
                yield path.parent, False
            return
        if elf.runpath and not musl:
            inherited = [(origin, elf.runpath)]
        else:  # to musl, RPATH and RUNPATH are the same, and both are inherited
            inherited = [(each.dest.parent, (musl and each.elf.runpath) or each.elf.rpath)
                         for each in needer.chain() if musl or not each.elf.runpath]  # fmt: skip
        for base, words in inherited:
            for word in words:
                for folder in expand(word, machine, base):
                    yield folder, False
        yield from self._path.folders(machine, musl=musl)

    def _parse(self, source: Path) -> Elf | None:
        # A linker script or a text file by the name of a library is not a candidate.
        if source not in self._parsed:
            try:
                self._parsed[source] = read_elf(source)
            except KdumpInitrdError as error:
                self._parsed[source] = None
                cause = error.__cause__
                if isinstance(cause, Damaged) and not isinstance(cause, NotElf):
                    raise
        return self._parsed[source]

    def _take(self, dest: PurePosixPath, source: Path, needer: _Object) -> None:
        inside = dest.relative_to("/")
        if inside not in self.libraries:
            why = f"needed by {needer.dest.relative_to('/')}"
            self.libraries[inside] = Library(inside, source, why)
            logger.debug("%s: %s", inside, why)
