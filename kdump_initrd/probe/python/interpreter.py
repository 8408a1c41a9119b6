# SPDX-License-Identifier: GPL-2.0-or-later
"""A root's Python interpreter: its version and its folders, found without running it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.files import open_file
from ...core.root import Root

#: The oldest Python that the saver runs on.
OLDEST = (3, 9)
_DEFAULT = "usr/bin/python3"
_NAME = re.compile(r"python3\.(\d+)$")
#: The names of sys.platlibdir below the prefix.
_LIBRARIES = ("lib", "lib64", "lib32")


@dataclass(frozen=True)
class Interpreter:
    """A CPython of ``root``.

    ``source`` is the program, free of links, and ``dest`` its path in the root without leading
    slash; ``stdlib`` the folder of os.py, ``dynload`` that of the extension modules, free of
    links.
    """

    root: Root
    source: Path
    dest: PurePosixPath
    version: tuple[int, int]
    stdlib: Path
    dynload: Path

    @property
    def command(self) -> str:
        """What a Python of its version is called."""
        return "python{}.{}".format(*self.version)

    def extension(self, name: str) -> tuple[Path, ...]:
        """Return the files of a top-level extension module, the most specific name first.

        If there are none, it is built in or missing; if there are several, most are for other
        architectures.
        """
        tag = f"{name}.cpython-{self.version[0]}{self.version[1]}"
        patterns = (f"{tag}-*.so", f"{tag}.so", f"{name}.abi3.so", f"{name}.so")
        there = self.root.entries(self.dynload, f"{name}.*so")
        return tuple(path for each in patterns for path in there if fnmatchcase(path.name, each))


def find_interpreter(root: Root, *, python: Path | None = None) -> Interpreter:
    """Return the interpreter ``python``, or the root's own.

    The root's own is /usr/bin/python3 or, where that is too old or missing, the newest
    /usr/bin/python3.N. A virtual environment stands for the interpreter it was made from.
    Raises KdumpInitrdError if there is none that can be used.
    """
    if python is not None:
        return _look_at(_inside(python, root), root)
    default = root.file(_DEFAULT)
    if default is not None:
        found = _look_at(PurePosixPath("/", _DEFAULT), root, check=False)
        if found.version >= OLDEST:
            return found
    newer = sorted(
        (int(match[1]), path)
        for path in root.entries("usr/bin", "python3.*")
        if (match := _NAME.search(path.name)) and (3, int(match[1])) >= OLDEST
    )
    if newer:
        return _look_at(_inside(newer[-1][1], root), root)
    if default is not None:
        return _look_at(PurePosixPath("/", _DEFAULT), root)
    raise KdumpInitrdError(
        f"{root.path / _DEFAULT}: no Python in the root",
        hint="install python3 there, or name an interpreter with --python",
    )


def _inside(path: Path, root: Root) -> PurePosixPath:
    if path.is_absolute() and path.is_relative_to(root.path):
        path = path.relative_to(root.path)
    elif not path.is_absolute() and root.is_host:
        path = path.absolute()
    return PurePosixPath("/", path.as_posix())


def _look_at(path: PurePosixPath, root: Root, *, check: bool = True) -> Interpreter:
    source = root.file(_without_environment(path, root))
    if source is None:
        raise KdumpInitrdError(
            f"{path}: no such Python in {root}", hint="give --python a path as that root sees it"
        )
    with open_file(source) as file:
        head = file.read(4)
    if head != b"\x7fELF":
        shim = "pyenv" in str(path)
        raise KdumpInitrdError(
            f"{source}: not a Python interpreter, but {_kind(head)}",
            hint=f"name what `pyenv which {path.name}` prints" if shim else "name a python3.N",
        )
    dest = root.inside(source).relative_to("/")
    stdlib = _stdlib(source, root)
    match = _NAME.search(stdlib.name)
    version = (3, int(match[1])) if match else (0, 0)
    if check and version < OLDEST:
        raise KdumpInitrdError(
            f"{source}: Python {version[0]}.{version[1]} is too old",
            hint="the saver needs 3.9 or newer: install one and name it with --python",
        )
    dynload = next(
        (path for path in (_beside(source, library, root) / stdlib.name / "lib-dynload"
                           for library in _LIBRARIES) if root.folder(path) is not None),
        stdlib / "lib-dynload",
    )  # fmt: skip
    return Interpreter(root, source, dest, version, stdlib, root.real_path(dynload))


def _without_environment(path: PurePosixPath, root: Root) -> PurePosixPath:
    # PEP 405: pyvenv.cfg beside bin says where the interpreter was. Most often python there is
    # a link to it anyway, but it may be a copy.
    config = root.file(path.parent.parent / "pyvenv.cfg")
    if config is None:
        return path
    settings: dict[str, str] = {}
    for line in root.read_text(config).splitlines():
        key, _, value = line.partition("=")
        settings[key.strip()] = value.strip()
    version = re.match(r"3\.\d+", settings.get("version", settings.get("version_info", "")))
    home = PurePosixPath(settings.get("home", ""))
    for name in (f"python{version[0]}" if version else path.name, path.name, "python3"):
        if home.is_absolute() and root.file(home / name) is not None:
            return home / name
    raise KdumpInitrdError(
        f"{path}: the environment's interpreter is not in {home}",
        hint=f"correct home in {config}, or name the interpreter itself with --python",
    )


def _stdlib(source: Path, root: Root) -> Path:
    """Return prefix/lib/python3.N: of the N in the program's name, else the only one there."""
    match = _NAME.search(source.name)
    pattern = f"python3.{match[1]}" if match else "python3.*"
    found = {
        root.real_path(path): path
        for library in _LIBRARIES
        for path in root.entries(_beside(source, library, root), pattern)
        if root.file(path / "os.py") is not None
    }
    if len(found) == 1:
        return next(iter(found.values()))
    looked = ", ".join(str(_beside(source, library, root) / pattern) for library in _LIBRARIES)
    raise KdumpInitrdError(
        f"{source}: {'more than one' if found else 'no'} standard library beside it",
        hint=f"looked for os.py in {looked}; name the interpreter with its version",
    )


def _beside(source: Path, library: str, root: Root) -> Path:
    above = source.parent.parent
    return root.real_path(above / library) if above.is_relative_to(root.path) else above


def _kind(head: bytes) -> str:
    return "a script" if head.startswith(b"#!") else "a file of another format"
