# SPDX-License-Identifier: GPL-2.0-or-later
"""The tiny Python of the image: an interpreter, and only the modules that the saver imports."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.files import TEXT, open_file
from ...core.root import Root
from ...core.run import find
from ...saver.low.stdlib import MODULES, SHA256
from ..distro.architectures import runs_here
from ..programs.closure import Closure, Library, closure
from ..programs.elfimage import Damaged, ElfImage
from . import inittab
from .imports import imports_of, with_parents
from .interpreter import Interpreter, find_interpreter

_PACKAGE = Path(__file__).resolve().parents[2]
#: The modules of the saver that scripts of the image start (templates/python.j2).
_STARTED = ("__main__", "machine")
#: What the interpreter imports before the first statement of ours (Lib/encodings, and
#: Python/pylifecycle.c): encodings are looked up by name, so no import statement names them.
_START = ("abc", "codecs", "encodings", "encodings.aliases", "encodings.ascii",
          "encodings.latin_1", "encodings.utf_8", "io")  # fmt: skip
#: What C code imports, if a Python has it: ctypes lays out structures with it (Python 3.14,
#: Modules/_ctypes/stgdict.c).
_UNSEEN = ("ctypes._layout",)
#: What `-S` leaves out, and what os and, since Python 3.14, collections put into sys.modules.
_LEFT_OUT = frozenset({"site", "os.path", "collections.abc"})
#: Always files, and what a minimal installation lacks.
_PACKAGES = frozenset({"ctypes", "encodings"})
#: Frozen into the interpreter since Python 3.11 (Python/frozen.c), so never read from files.
_FROZEN = frozenset({"_collections_abc", "abc", "codecs", "genericpath", "io", "os", "posixpath",
                     "stat"})  # fmt: skip
#: What replaces modules that import half the standard library, with the first Python that imports
#: them: `python -c` hands its text to linecache, for tracebacks (Python/pythonrun.c), and ctypes
#: asks sysconfig for a name that it uses on other systems only.
_STUBS = {
    (3, 13): {"linecache": b"def _register_code(*_):\n    pass\n"},
    (3, 14): {"sysconfig": b""},
}
_IS_CPYTHON = sys.implementation.name == "cpython"
#: Bytes of the larger header (elf.h, Elf64_Ehdr).
_ELF_HEADER = 64


@dataclass(frozen=True)
class Module:
    """One module of the zip: ``member`` is its path there without the suffix."""

    name: str
    member: str
    source: bytes


@dataclass(frozen=True)
class PythonRuntime:
    """All that the saver needs to run in an image.

    ``extensions`` are extension modules, at the paths they have in the root; their folder,
    ``extension_dir`` (absolute), and the zip belong in PYTHONPATH. ``libraries`` are those of
    the interpreter and the extensions.
    """

    interpreter: Interpreter
    modules: tuple[Module, ...]
    extensions: tuple[Library, ...]
    extension_dir: PurePosixPath
    libraries: Closure

    @property
    def machine(self) -> str:
        """The interpreter's architecture, as ``uname -m`` says it."""
        return _machine(self.interpreter.source)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all modules that can be imported, extensions among them."""
        files = (library.dest.name for library in self.extensions)
        return (*(module.name for module in self.modules), *(name.split(".")[0] for name in files))

    @property
    def runs_here(self) -> bool:
        """Whether it may be run: this host's own, and of its architecture."""
        return self.interpreter.root.is_host and runs_here(self.machine)

    @property
    def compiler(self) -> Path | None:
        """A Python of this host whose bytecode is the interpreter's, or None.

        It is the interpreter itself, or another of its version: the one that runs this, or one
        that goes by that version's name.
        """
        if self.runs_here:
            return self.interpreter.source
        if self.interpreter.version == sys.version_info[:2] and _IS_CPYTHON:
            return Path(sys.executable)
        found = find(self.interpreter.command)
        return Path(found) if found else None


def find_python(
    root: Root, *, python: Path | None = None, chosen: Iterable[str] = ()
) -> PythonRuntime:
    """Look at the root's Python, or at ``python``, and what the saver needs of it.

    ``python`` is a path below ``root`` or, if it is not, a path as the root sees it. The saver is
    the modules that are started, ``chosen``, which it imports by names that it is told, and what
    those import, at once or later. Nothing is executed. Raises KdumpInitrdError when there is no
    Python, when it is older than 3.9, a script, or without a module that the saver needs, ctypes
    first of all.
    """
    interpreter = find_interpreter(root, python=python)
    own = (_PACKAGE / "__init__.py", *_sources(_PACKAGE / "saver", root))
    scan = _Scan(interpreter, {_own_module(path): path for path in own})
    for since, stubs in _STUBS.items():
        for name, text in stubs.items() if interpreter.version >= since else ():
            scan.add_text(name, text)
    started = (f"{_PACKAGE.name}.saver.{name}" for name in _STARTED)
    for name in (*_START, *MODULES, *started, *chosen):
        for each in with_parents(name):
            scan.add(each, needer="the saver")
    for name in _UNSEEN:
        scan.add(name, needer="the saver", optional=True)
    for name in SHA256:
        scan.add_extension(name, needer="the saver", if_there=True)
    extensions = tuple(scan.extensions[name] for name in sorted(scan.extensions))
    libraries = closure([interpreter.source, *(each.source for each in extensions)], root=root)
    _check_built_in(interpreter, scan.built_in, libraries)
    frozen = _FROZEN if interpreter.version >= (3, 11) else frozenset()
    modules = tuple(scan.modules[name] for name in sorted(scan.modules.keys() - frozen))
    folder = root.inside(interpreter.dynload)
    return PythonRuntime(interpreter, modules, extensions, folder, libraries)


class _Scan:
    """The modules that are imported, directly or not, from names to files.

    ``own`` are the files of this program's modules by their names: it has no others.
    """

    def __init__(self, interpreter: Interpreter, own: Mapping[str, Path]) -> None:
        self.modules: dict[str, Module] = {}
        self.extensions: dict[str, Library] = {}
        self.built_in: dict[str, str] = {}
        self._python = interpreter
        self._machine = _machine(interpreter.source)
        self._files: dict[str, tuple[Path, bool] | None] = {
            name: (path, path.name == "__init__.py") for name, path in own.items()
        }

    def add(self, name: str, *, needer: str, optional: bool = False) -> None:
        """Add a module and all that it imports; a name without a file is taken for built in."""
        if name in self.modules or name in self.extensions or name in _LEFT_OUT:
            return
        found = self._file_of(name)
        if found is not None:
            self._add_source(name, *found)
        elif "." not in name and name not in _PACKAGES:
            # An optional accelerator is not worth its memory.
            if not optional:
                self.add_extension(name, needer=needer)
        elif not optional:
            raise self._missing(name, needer)

    def _add_source(self, name: str, source: Path, package: bool) -> None:
        try:
            text = self._python.root.read(source, limit=TEXT)
        except OSError as error:
            raise KdumpInitrdError(f"{source}: {error.strerror}") from error
        self.add_text(name, text, package=package)

    def add_text(self, name: str, text: bytes, *, package: bool = False) -> None:
        """Add a module by its source, and all that it imports, unless it is there already."""
        if name in self.modules:
            return
        member = name.replace(".", "/") + ("/__init__" if package else "")
        self.modules[name] = Module(name, member, text)
        for each in imports_of(text, name=name, package=package, late=_is_own(name)):
            self.add(each.name, needer=name, optional=each.optional)

    def add_extension(self, name: str, *, needer: str, if_there: bool = False) -> None:
        """Add an extension module; one without a file is built in or, if_there, missing."""
        files = self._python.extension(name)
        root = self._python.root
        real = {path: root.real_path(path) for path in files}
        path = next((path for path in files if _machine(real[path]) == self._machine), None)
        if path is not None:
            dest = root.inside(path).relative_to("/")
            self.extensions[name] = Library(dest, real[path], f"Python module {name}, for {needer}")
        elif not if_there:
            # If its only file is for another architecture, it may still be built in.
            self.built_in.setdefault(name, needer)

    def _file_of(self, name: str) -> tuple[Path, bool] | None:
        if name not in self._files:
            self._files[name] = self._look_for(name)
        return self._files[name]

    def _look_for(self, name: str) -> tuple[Path, bool] | None:
        if _is_own(name):
            return None  # all of our modules are known; this is a name in one of them
        here = self._python.stdlib.joinpath(*name.split("."))
        package = self._python.root.file(here / "__init__.py")
        if package is not None:
            return package, True
        module = self._python.root.file(here.with_name(f"{here.name}.py"))
        return (module, False) if module is not None else None

    def _missing(self, name: str, needer: str) -> KdumpInitrdError:
        return _no_module(self._python, name, needer)


def _sources(folder: Path, root: Root) -> Iterator[Path]:
    """Yield the Python sources in a folder of this program and in those below it, sorted."""
    for path in root.entries(folder):
        if path.suffix == ".py":
            yield path
        elif path.name != "__pycache__":
            yield from _sources(path, root)


def _is_own(name: str) -> bool:
    return name.partition(".")[0] == _PACKAGE.name


def _own_module(path: Path) -> str:
    parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _check_built_in(interpreter: Interpreter, names: dict[str, str], libraries: Closure) -> None:
    """Raise KdumpInitrdError for a name that the interpreter's own table does not have."""
    shared = [each.source for each in libraries.libraries if "libpython" in each.dest.name]
    present = inittab.built_in((interpreter.source, *shared)) if names else frozenset()
    for name, needer in names.items():
        if name not in present:
            raise _no_module(interpreter, name, needer)


def _machine(path: Path) -> str:
    """Return the architecture of an ELF file; raises KdumpInitrdError for what is none."""
    try:
        with open_file(path) as file:
            return ElfImage(file.read(_ELF_HEADER)).architecture.name
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}") from error
    except Damaged as error:
        raise KdumpInitrdError(f"{path}: {error}", hint="install its package again") from error


def _no_module(interpreter: Interpreter, name: str, needer: str) -> KdumpInitrdError:
    what = re.sub(r"^_(?=ctypes)", "", name)
    minor = ".".join(map(str, interpreter.version))
    return KdumpInitrdError(
        f"{interpreter.source}: Python without the module {what}, needed by {needer}",
        hint=f"install the whole standard library (Debian: libpython{minor}-stdlib by python3, not "
        "python3-minimal; Fedora, RHEL: python3-libs; SLES: python3-base; built from source: with "
        "libffi's headers), or choose another interpreter with --python",
    )
