# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's modules by name, as modprobe finds them; nothing of the root is run or trusted.

modprobe does not notice an index that is empty, cut off or of other modules, and follows links as
the host does. So the index is checked first, and modprobe's answers are looked up in the root.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.files import TEXT, open_file
from ...core.log import get_logger
from ...core.root import Root
from ...core.run import run
from .modulefile import canonical
from .packed import unpacked
from .releases import KernelRelease

logger = get_logger(__name__)

_TIMEOUT = 60.0
#: The memory that depmod may take, in bytes: it unpacks modules, and leaves out those for which it
#: has no room. For all of Debian's it takes 40 MB.
_MEMORY = 256 << 20
_CONFIG_DIRS = ("etc/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
#: modprobe's lines; the path of a module may hold blanks.
_INSMOD = re.compile(r"insmod (.*?\.ko(?:\.(?:xz|zst|gz))?) *(.*)")
#: A line of modules.dep or modules.order: the path of a module, and its name.
_LISTED = re.compile(r"^((?:[^:\n]*/)?([^:/\n]+?)\.ko(?:\.\w+)?)(?::|$)", re.MULTILINE)
_BUILTIN = re.compile(r"builtin (\S+)")
#: Without one of these there is no index.
_INDEX = ("modules.dep.bin", "modules.alias.bin")
#: depmod leaves the last one empty for a kernel without modules.builtin.modinfo.
_CHECKED = (*_INDEX, "modules.builtin.bin")
#: What else modprobe opens there by itself: none of these may be a link or a pipe.
_READ = (*_CHECKED, "modules.builtin.alias.bin", "modules.symbols.bin", "modules.softdep",
         "modules.weakdep")  # fmt: skip
#: No index is larger, in bytes.
_LARGEST = 8 * TEXT
#: The files of a kernel's build that depmod reads; it makes the rest of modules.* itself.
_DEPMOD_READS = ("modules.builtin", "modules.builtin.modinfo", "modules.order")
#: kmod, libkmod/libkmod-index.h: the magic number, and what the top bits of an offset say.
_MAGIC = 0xB007F457
_PREFIX, _VALUES, _CHILDS, _OFFSET = 0x80000000, 0x40000000, 0x20000000, 0x0FFFFFFF
#: Folders of modules are not nested more deeply than this.
_DEEPEST = 32


@dataclass(frozen=True)
class Listed:
    """A module that modprobe names: its path below the kernel's folder, and its parameters.

    If it lies elsewhere in the root (depmod.d(5), external), the path begins with "/".
    """

    path: PurePosixPath
    parameters: str = ""

    @property
    def name(self) -> str:
        """Its name, spelt canonically."""
        return canonical(self.path.name.partition(".ko")[0])


@dataclass(frozen=True)
class Answer:
    """What modprobe answers to some names: modules, dependencies first, and what is built in."""

    modules: tuple[Listed, ...] = ()
    built_in: tuple[str, ...] = ()


class ModuleIndex:
    """modprobe's view of one kernel's modules.

    Raises KdumpInitrdError for a damaged index; if there is none, one is made in the folder
    ``scratch``.
    """

    def __init__(self, kernel: KernelRelease, root: Root, scratch: Path) -> None:
        self._kernel = kernel
        self._root = root
        self._scratch = scratch
        self._names: dict[str, str] | None = None
        self._config: list[Path] = []
        self._made = False
        if kernel.modules is None:
            return
        self._inside = root.inside(kernel.modules)
        above = scratch / "root/lib/modules"
        above.mkdir(parents=True)
        plain = {name for name in _READ if self._is_plain(kernel.modules / name, _LARGEST)}
        odd = [name for name in _READ if name not in plain
               and os.path.lexists(kernel.modules / name)]  # fmt: skip
        self._made = bool(odd) or not plain.issuperset(_INDEX)
        if self._made:
            self._make(above / kernel.release)
        else:
            for name in _CHECKED:
                self._check(kernel.modules / name)
            # Whatever the folder is called in the root.
            (above / kernel.release).symlink_to(kernel.modules)
        self._config = self._configuration()

    def ask(self, names: Sequence[str]) -> Answer:
        """Return what modprobe loads for ``names`` (or aliases); unknown ones are passed over."""
        if self._kernel.modules is None or not names:
            return Answer()
        base = self._scratch / "root"
        kernels = PurePosixPath(base, "lib/modules", self._kernel.release)
        argv: list[str | Path] = ["modprobe", "--dirname", base, "-S", self._kernel.release]
        for folder in self._config:
            argv += ["--config", folder]
        argv += ["--all", "--ignore-install", "--show-depends", "--", *names]
        result = run(argv, timeout=_TIMEOUT, check=False)
        # 1 is for a name that it does not know; anything else, as a signal, is a failure.
        if result.status not in (0, 1):
            raise self.broken(f"modprobe ends with status {result.status}")
        modules, built_in = [], []
        for line in map(str.strip, result.stdout.decode(errors="replace").splitlines()):
            if match := _BUILTIN.fullmatch(line):
                built_in.append(canonical(match[1]))
            elif match := _INSMOD.fullmatch(line):
                path = PurePosixPath(match[1])
                inside = path.relative_to(kernels) if path.is_relative_to(kernels) else path
                modules.append(Listed(inside, match[2]))
        return Answer(tuple(modules), tuple(built_in))

    def file(self, path: PurePosixPath) -> Path | None:
        """Return the file of a module as the root has it, free of links; None for none."""
        # Our own index knows modules without the .gz that their files may have.
        names = (path.name, f"{path.name}.gz") if self._made else (path.name,)
        for name in names:
            found = self._root.file(self._inside / path.parent / name)
            if found is not None:
                return found
        return None

    def lacks(self, name: str) -> PurePosixPath | None:
        """Return the path of a module that exists, though modprobe may not know its name."""
        if self._kernel.modules is None or self._made:
            return None
        if self._names is None:
            lists = ("modules.dep", "modules.order")
            self._names = {
                canonical(name): path for each in lists for path, name in self._paths(each)
            }  # fmt: skip
        path = PurePosixPath(self._names.get(canonical(name), ""))
        return path if path.name and self.file(path) is not None else None

    def broken(self, why: str) -> KdumpInitrdError:
        """Return the error of an index that cannot be trusted."""
        where = "" if self._root.is_host else f"-b {self._root} "
        return KdumpInitrdError(
            f"{self._kernel.modules}: the index of its modules is damaged: {why}",
            hint=f"depmod {where}{self._kernel.release} rebuilds it",
        )

    def _check(self, path: Path) -> None:
        """Check one index: the node that was written last must end where the file does."""
        try:
            with open_file(path) as file:
                if not _is_whole(file.read(_LARGEST)):
                    raise self.broken(f"{path.name} is empty, truncated or not an index")
        except FileNotFoundError:
            return  # older kernels have no modules.builtin.bin
        except OSError as error:
            raise self.broken(f"{path.name}: {error.strerror}") from error

    def _paths(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the path and the name of each module in one of the text files that list them."""
        try:
            text = self._root.read_text(self._inside / name)
        except OSError:
            text = ""
        yield from _LISTED.findall(text)

    def _configuration(self) -> list[Path]:
        """Return the folders of modprobe.d; one with links in it is copied, as the root has it."""
        found = []
        for folder in self._root.folders(_CONFIG_DIRS):
            files = self._root.entries(folder, "*.conf")
            if all(self._is_plain(path, TEXT) for path in files):
                found.append(folder)
                continue
            copy = self._scratch / f"modprobe.d-{len(found)}"
            copy.mkdir()
            for path in files:
                source = self._root.file(path)
                if source is None:
                    continue
                try:
                    text = self._root.read_text(source)
                    (copy / path.name).write_text(text, encoding="utf-8")
                except OSError as error:
                    raise KdumpInitrdError(f"{source}: {error.strerror}") from error
            found.append(copy)
        if not found:
            found = [self._scratch / "modprobe.d"]
            found[0].mkdir()
        return found

    def _make(self, folder: Path) -> None:
        """Index the modules in a scratch folder, since depmod writes where it reads.

        So it gets a tree of links. Debian's knows no gzip: such modules are unpacked there. What
        cannot be read is left out.
        """
        folder.mkdir()
        for name, source in self._files(PurePosixPath(), 0):
            if len(name.parts) == 1 and name.name.startswith("modules."):
                if name.name not in _DEPMOD_READS:
                    continue
            elif ".ko" not in name.name:
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if name.suffix != ".gz":
                (folder / name).symlink_to(source)
                continue
            try:
                (folder / name).with_suffix("").write_bytes(unpacked(source))
            except KdumpInitrdError as error:
                logger.warning("%s: left out", error.message)
        base = self._scratch / "root"
        argv: list[str | Path] = ["depmod", "--basedir", base, self._kernel.release]
        result = run(argv, timeout=_TIMEOUT, memory=_MEMORY, check=False)
        if result.status != 0:
            said = result.stderr.strip().splitlines()[-1:]
            raise KdumpInitrdError(
                f"{self._kernel.modules}: its modules cannot be indexed: "
                f"{' '.join(said) or f'depmod ends with status {result.status}'}",
                hint=f"install the modules of {self._kernel.release} again, or remove that folder",
            )

    def _files(self, folder: PurePosixPath, depth: int) -> Iterator[tuple[PurePosixPath, Path]]:
        """Yield the files below a folder of the kernel's: their path there, and in the root."""
        for entry in self._root.entries(self._inside / folder) if depth <= _DEEPEST else ():
            path = folder / entry.name
            found = self._root.file(entry)
            if found is not None:
                yield path, found
            # Links to folders lead to the kernel's sources, or in circles.
            elif entry.is_dir() and not entry.is_symlink():
                yield from self._files(path, depth + 1)

    def _is_plain(self, path: Path, most: int) -> bool:
        """Tell whether a regular file of ``most`` bytes at most is there, and no link."""
        return self._root.file(path) == path and path.stat().st_size <= most


def _is_whole(data: bytes) -> bool:
    """Tell whether an index ends with the node that depmod writes last (index_write__node).

    That is the top node. Since kmod 34 the top node comes first, and its children after it: then it
    is the last child of its last child, and so on.
    """
    try:
        magic, _, node = struct.unpack_from(">III", data)
        end, child = _read_node(data, node)
        while end < len(data) and child & _OFFSET > node & _OFFSET:
            node = child
            end, child = _read_node(data, node)
    except (struct.error, ValueError, IndexError):
        return False
    return bool(magic == _MAGIC and end == len(data))


def _read_node(data: bytes, node: int) -> tuple[int, int]:
    """Return the offset where a node ends, and that of its last child with its flags, or 0."""
    at, child = node & _OFFSET, 0
    if node & _PREFIX:
        at = data.index(b"\0", at) + 1
    if node & _CHILDS:
        at += 2 + 4 * (data[at + 1] - data[at] + 1)
        (child,) = struct.unpack_from(">I", data, at - 4)
    if node & _VALUES:
        (count,) = struct.unpack_from(">I", data, at)
        at += 4
        for _ in range(min(count, len(data))):
            at = data.index(b"\0", at + 4) + 1
    return at, child
