# SPDX-License-Identifier: GPL-2.0-or-later
"""The shared libraries that a program needs, read from the files, not from ldd."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

#: Where ld.so looks without being told, beside the folders of /etc/ld.so.conf; see ld.so(8).
_TRUSTED = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")


class LibraryError(Exception):
    """A library that a program names is nowhere in its root."""


@dataclass(frozen=True)
class Closure:
    """The dynamic linker of a program (None for a static one) and its libraries by path.

    The linker is as the program names it, and ``linker`` is where it lies.
    """

    interpreter: Path | None
    linker: Path | None
    libraries: tuple[Path, ...]


def _configured(conf: Path) -> list[Path]:
    folders: list[Path] = []
    if not conf.is_file():
        return folders
    for line in conf.read_text().splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["include"]:
            for pattern in words[1:]:
                for included in sorted(conf.parent.glob(pattern.replace(f"{conf.parent}/", ""))):
                    folders += _configured(included)
        elif words:
            folders.append(Path(words[0]))
    return folders


def _needed(path: Path) -> tuple[Path | None, list[str], int]:
    with path.open("rb") as stream:
        try:
            elf = ELFFile(stream)
        except ELFError:  # a script
            return None, [], 0
        interpreter = None
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                interpreter = Path(segment.get_interp_name())
        names = []
        for section in elf.iter_sections():
            if isinstance(section, DynamicSection):
                # pyelftools invents the attribute, its types do not know it
                names += [str(vars(tag)["needed"]) for tag in section.iter_tags("DT_NEEDED")]
        return interpreter, names, elf.elfclass


def _folders(root: Path) -> list[Path]:
    if root == Path("/"):
        return [*_configured(Path("/etc/ld.so.conf")), *map(Path, _TRUSTED)]
    # Of packages that were only unpacked: Debian's folders, whatever is configured.
    return [folder for lib in ("usr/lib", "lib") for folder in (root / lib).glob("*-linux-gnu*")]


def _locate(name: str, elfclass: int, folders: list[Path]) -> Path:
    for folder in folders:
        path = folder / name
        if path.is_file() and _needed(path)[2] == elfclass:
            return path
    raise LibraryError(f"{name}: no such library in {', '.join(map(str, folders))}")


def closure(program: Path, root: Path = Path("/")) -> Closure:
    """Return what the linker would load for a ``program`` of a root; raises LibraryError."""
    interpreter, waiting, elfclass = _needed(program)
    folders = _folders(root)
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _locate(name, elfclass, folders)
        waiting += _needed(found[name])[1]
    linker = interpreter
    if interpreter is not None and root != Path("/"):
        # A link to it may be an absolute one.
        linker = _locate(interpreter.name, elfclass, folders)
    return Closure(interpreter, linker, tuple(found[name] for name in sorted(found)))
