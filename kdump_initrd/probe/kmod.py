# SPDX-License-Identifier: GPL-2.0-or-later
"""The closure of kernel modules in load order, and the firmware they name: kmod's own tools ask."""

from __future__ import annotations

import gzip
import lzma
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import KdumpInitrdError
from ..log import get_logger
from ..rooted import first_file, folders
from ..run import run
from .kernel import KernelRelease

logger = get_logger(__name__)

_TIMEOUT = 60.0
_CONFIG_DIRS = ("etc/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
_COMPRESSED = (".xz", ".zst", ".gz")
#: modprobe's line for a module: the root's path may hold blanks.
_INSMOD = re.compile(r"insmod (.*?\.ko(?:\.(?:xz|zst|gz))?) *(.*)")
#: What depmod takes from a kernel's build; the rest of modules.* it makes.
_DEPMOD_READS = ("modules.builtin", "modules.builtin.modinfo", "modules.order")


@dataclass(frozen=True)
class Wish:
    """Modules (names or aliases) that somebody wants, and why.

    A ``required`` wish must be met for every name, by a module or by the kernel itself.
    """

    names: tuple[str, ...]
    why: str
    required: bool = False


@dataclass(frozen=True)
class KernelModule:
    """A module to load: its uncompressed place in the image, its file, its parameters in a line."""

    name: str
    dest: PurePosixPath
    source: Path
    parameters: str
    why: str

    def content(self) -> bytes:
        """Return the module's bytes, unpacked: busybox's insmod knows no compression."""
        return unpacked(self.source)


def canonical(name: str) -> str:
    """Return the one spelling of a module name (kmod treats ``-`` and ``_`` alike)."""
    return name.replace("-", "_")


def closure(
    wishes: Iterable[Wish], *, kernel: KernelRelease, root: Path, omit: Iterable[str] = ()
) -> tuple[KernelModule, ...]:
    """Return the modules that meet ``wishes``, each once, in load order.

    Soft dependencies are followed, built-in modules left out, ``omit`` left out with a warning
    where something wanted depends on it. Raises KdumpInitrdError for a required name that is
    neither a module nor built in.
    """
    found: dict[str, KernelModule] = {}
    for modules in closures(wishes, kernel=kernel, root=root, omit=omit):
        for module in modules:
            found.setdefault(module.name, module)
    return tuple(found.values())


def closures(
    wishes: Iterable[Wish], *, kernel: KernelRelease, root: Path, omit: Iterable[str] = ()
) -> list[tuple[KernelModule, ...]]:
    """As closure(), but what meets each wish by itself."""
    omitted = {canonical(name) for name in omit}
    found = []
    with tempfile.TemporaryDirectory(prefix="kdump-initrd-") as scratch:
        index = _Index(kernel, root, Path(scratch))
        for wish in wishes:
            names = [name for name in wish.names if canonical(name) not in omitted]
            # modprobe names a module again for each that needs it.
            once: dict[str, KernelModule] = {}
            for module in index.show_depends(names, wish) if names else ():
                if module.name in omitted:
                    logger.warning("%s is omitted, but needed: %s", module.name, wish.why)
                    continue
                once.setdefault(module.name, module)
            found.append(tuple(once.values()))
    return found


class _Index:
    """modprobe's view of one kernel's modules, without anything of the root being run."""

    def __init__(self, kernel: KernelRelease, root: Path, scratch: Path) -> None:
        self._kernel = kernel
        self._root = root
        # modprobe wants the folder above lib/modules; where /lib is a link, /usr is that folder.
        self._base = kernel.modules.parents[2]
        if not (kernel.modules / "modules.dep.bin").exists():
            self._base = _index_in(scratch, kernel)
        self._config = folders(_CONFIG_DIRS, root=root)
        if not self._config:
            empty = scratch / "modprobe.d"
            empty.mkdir(exist_ok=True)
            self._config = [empty]

    def show_depends(self, names: Sequence[str], wish: Wish) -> list[KernelModule]:
        """Ask modprobe what ``names`` need, dependencies first."""
        argv: list[str | Path] = ["modprobe", "--dirname", self._base, "-S", self._kernel.release]
        for folder in self._config:
            argv += ["--config", folder]
        argv += ["--all", "--ignore-install", "--show-depends", "--", *names]
        result = run(argv, timeout=_TIMEOUT, check=False)
        lines = result.stdout.decode(errors="replace").splitlines()
        if wish.required:
            self._insist(names, result.stderr, wish)
        return self._parse(lines, names, wish)

    def _parse(self, lines: Sequence[str], names: Sequence[str], wish: Wish) -> list[KernelModule]:
        modules = []
        wanted = {canonical(name) for name in names}
        for number, line in enumerate(lines, 1):
            match = _INSMOD.fullmatch(line.strip())
            if match is not None:  # the others are "builtin NAME"
                path, parameters = match[1], match[2]
                source = self._source(Path(path))
                name = canonical(source.name.partition(".ko")[0])
                # modprobe ends with the last module that was asked for, by whatever alias.
                asked = name in wanted or number == len(lines)
                why = wish.why if asked else f"dependency: {wish.why}"
                modules.append(KernelModule(name, self._dest(source), source, parameters, why))
        return modules

    def _source(self, path: Path) -> Path:
        """Map a path below the index's base to the kernel's own folder."""
        relative = path.relative_to(self._base / "lib/modules" / self._kernel.release)
        source = self._kernel.modules / relative
        return source if source.exists() else source.with_name(f"{source.name}.gz")

    def _dest(self, source: Path) -> PurePosixPath:
        relative = PurePosixPath(source.relative_to(self._kernel.modules).as_posix())
        if relative.suffix in _COMPRESSED:
            relative = relative.with_suffix("")
        return PurePosixPath("usr/lib/modules", self._kernel.release) / relative

    def _insist(self, names: Sequence[str], stderr: str, wish: Wish) -> None:
        for name in names:
            if f"Module {name} not found" in stderr:
                raise KdumpInitrdError(
                    f"{wish.why}: neither a module of kernel {self._kernel.release} nor built in",
                    hint=f"modprobe knows no {name} there: install it, or take another kernel",
                )


def firmware(
    modules: Sequence[KernelModule], *, root: Path, layout: Sequence[str], release: str
) -> tuple[tuple[PurePosixPath, Path, str], ...]:
    """Return (place in the image, file, reason) of each firmware that ``modules`` name.

    What the root does not have is left out: most drivers name many that no machine needs.
    """
    if not modules:
        return ()
    found: dict[PurePosixPath, tuple[PurePosixPath, Path, str]] = {}
    by_source = {str(module.source): module.name for module in modules}
    for source_name, field, value in _fields(by_source):
        source = None
        if field == "firmware":
            source = _firmware_file(value, root=root, layout=layout, release=release)
        if source is not None:
            dest = PurePosixPath("usr/lib/firmware", value)
            why = f"firmware of {by_source.get(source_name, 'a module')}"
            found.setdefault(dest, (dest, source, why))
    return tuple(found.values())


def aliases(modules: Iterable[KernelModule]) -> dict[str, tuple[str, ...]]:
    """Return by name the patterns of the devices (MODALIAS) that each module is a driver of."""
    by_source = {str(module.source): module.name for module in modules}
    found: dict[str, dict[str, None]] = {name: {} for name in by_source.values()}
    for source, field, value in _fields(by_source) if by_source else ():
        if field == "alias" and ":" in value and source in by_source:
            found[by_source[source]][value] = None
    return {name: tuple(patterns) for name, patterns in found.items()}


def _fields(sources: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (file, field, value) of what modinfo tells."""
    with tempfile.TemporaryDirectory(prefix="kdump-initrd-") as scratch:
        # Debian's knows no gzip.
        files = {_plain(source, Path(scratch)): source for source in sources}
        result = run(["modinfo", *files], timeout=_TIMEOUT, check=False)
    source = ""
    for line in result.stdout.decode(errors="replace").splitlines():
        field, _, value = (word.strip() for word in line.partition(":"))
        if field == "filename":
            source = files.get(value, value)
        yield source, field, value


def _plain(source: str, scratch: Path) -> str:
    """Return the file of a module that every modinfo can read."""
    path = Path(source)
    if path.suffix != ".gz":
        return source
    plain = scratch / path.stem
    plain.write_bytes(unpacked(path))
    return str(plain)


def _firmware_file(name: str, *, root: Path, layout: Sequence[str], release: str) -> Path | None:
    if ".." in PurePosixPath(name).parts:
        return None
    # The kernel's own search order: drivers/base/firmware_loader/main.c, fw_path.
    bases = (f"updates/{release}/", "updates/", f"{release}/", "")
    return first_file(
        (f"{folder}/{base}{name}{end}" for folder in layout for base in bases
         for end in ("", *_COMPRESSED)),
        root=root,
    )  # fmt: skip


def unpacked(source: Path) -> bytes:
    """Return the bytes of ``source``, unpacked if its name says that it is compressed."""
    try:
        if source.suffix == ".xz":
            return lzma.decompress(source.read_bytes())
        if source.suffix == ".gz":
            return gzip.decompress(source.read_bytes())
        if source.suffix == ".zst":
            return run(["zstd", "--decompress", "--stdout", source], timeout=_TIMEOUT).stdout
        return source.read_bytes()
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise KdumpInitrdError(f"{source}: cannot be read: {error}") from error


def _index_in(scratch: Path, kernel: KernelRelease) -> Path:
    """Index a kernel without modules.dep.bin in a scratch folder, and return its base.

    depmod has no folder for its output, so it gets a tree of links to the modules. Debian's
    knows no gzip: such modules lie there unpacked.
    """
    folder = scratch / "index/lib/modules" / kernel.release
    for source in kernel.modules.rglob("*"):
        name = source.relative_to(kernel.modules)
        if source.is_dir() or (name.name.startswith("modules.") and name.name not in _DEPMOD_READS):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.suffix == ".gz":
            (folder / name).with_suffix("").write_bytes(unpacked(source))
        else:
            (folder / name).symlink_to(source.resolve())
    folder.mkdir(parents=True, exist_ok=True)
    run(["depmod", "--basedir", scratch / "index", kernel.release], timeout=_TIMEOUT)
    return scratch / "index"
