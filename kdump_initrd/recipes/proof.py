# SPDX-License-Identifier: GPL-2.0-or-later
"""The finished tree of a capture image is checked before it is written.

Whatever the recipe believes: drivers, file system, programs, libraries and Python are looked for
among the entries themselves, in both stages together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..core import cache
from ..core.errors import KdumpInitrdError
from ..core.root import follow
from ..image.hooks import Needs
from ..image.tree import Entry, Kind, inside
from ..probe.kernel import modulefile
from ..probe.kernel.builtin import BuiltIn
from ..probe.kernel.modulechain import WEAK
from ..probe.programs import applets, elffile
from ..probe.programs.elfimage import Damaged
from ..probe.programs.searchpath import is_musls_own
from ..probe.python.minimal import PythonRuntime
from ..saver.codec import rows as pagecodecs
from ..saver.imagepaths import MODULES, ON_DEMAND, PYTHON_ZIP
from . import trial
from .found import Site

#: Changes when this module or trial.py checks more.
_FORMAT = "2"
_KEEP = "do not leave out what the file system needs"
#: The kernel's blanks after "#!"; a carriage return is part of the name.
_BLANKS = re.compile(rb"[ \t]+")
_MODULES = PurePosixPath("usr/lib/modules")
#: PATH of /init.
_PATH = ("usr/sbin", "usr/bin", "sbin", "bin")


@dataclass(frozen=True)
class Claims:
    """What an image claims to be able to do.

    ``needs`` are those of its scripts, ``codec`` is that of the dump, ``library_path`` is
    LD_LIBRARY_PATH in the image.
    """

    site: Site
    needs: tuple[Needs, ...]
    runtime: PythonRuntime
    codec: str
    library_path: tuple[PurePosixPath, ...]

    @property
    def python(self) -> trial.Interpreter:
        """How the image's Python is started, and which modules it must import."""
        return trial.Interpreter(
            python=self.runtime.interpreter.dest,
            version=self.runtime.interpreter.version,
            path=(PurePosixPath(PYTHON_ZIP), self.runtime.extension_dir),
            library_path=tuple(dict.fromkeys(self.library_path)),
            modules=self.runtime.names,
            codec=self.codec,
        )

    @property
    def libraries(self) -> tuple[str, ...]:
        """The libraries of which the codec needs one, empty if it needs none."""
        row = pagecodecs.BY_NAME.get(self.codec)
        return tuple(row.libraries) if row else ()


def prove(entries: Iterable[Entry], claims: Claims) -> None:
    """Check the finished tree; raises KdumpInitrdError for what is missing.

    Python is run only if the root is this host's own and of its architecture. A successful trial is
    not repeated for the same entries; their digests identify it.
    """
    files = _Files(entries)
    modules = dict(_modules(files, claims))
    for each in claims.site.needs:
        if each.filesystem:
            _check_file_system(each.filesystem, modules, claims)
    key = _key(files, claims)
    if cache.fetch(key) is not None:
        return
    _check_programs(files, claims)
    _check_scripts(files)
    _check_libraries(files, claims)
    if claims.runtime.runs_here:
        trial.run_python(files.entries, claims.python)
    cache.store(key, b"")


class _Files:
    """The entries by path; links are followed as the capture kernel would."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_path = {entry.dest: entry for entry in entries}
        self.entries = tuple(self._by_path.values())

    def get(self, path: str | PurePosixPath) -> Entry | None:
        """Return the entry to which a path leads through links."""
        found = follow(path, self._link)
        return self._by_path.get(found) if found is not None else None

    def below(self, folder: PurePosixPath) -> Iterator[Entry]:
        """Yield the files of a folder."""
        return (each for each in self.entries if each.dest.parent == folder)

    def _link(self, path: str) -> str | None:
        entry = self._by_path.get(PurePosixPath(path))
        return entry.target if entry is not None and entry.kind is Kind.SYMLINK else None


def _modules(files: _Files, claims: Claims) -> Iterator[tuple[str, modulefile.ModuleFile]]:
    """Yield what each module says that is on the image's lists; all must be whole.

    Its name is that of its file, without suffix.
    """
    lists = [files.get(MODULES), *files.below(inside(ON_DEMAND))]
    paths = [line.split()[0] for each in lists if each for line in
             each.content.decode(errors="replace").splitlines() if line]  # fmt: skip
    machine = claims.site.kernel.header.machine if claims.site.kernel.header else ""
    for path in dict.fromkeys(paths):
        entry = files.get(path)
        if entry is None:
            raise KdumpInitrdError(f"{path}: a kernel module of the image's lists is not in it")
        try:
            module = modulefile.read(entry.content)
        except Damaged as error:
            raise KdumpInitrdError(f"{path}: a kernel module of the image: {error}") from error
        fault = modulefile.fault(
            module,
            release=claims.site.kernel.release,
            machine=machine,
            weak=WEAK in entry.dest.parts,
        )
        if fault:
            raise KdumpInitrdError(f"{path}: a kernel module of the image: {fault}")
        yield modulefile.canonical(entry.dest.name.partition(".ko")[0]), module


def _check_file_system(
    fstype: str, modules: dict[str, modulefile.ModuleFile], claims: Claims
) -> None:
    """Look for the file system's module, and for all modules whose symbols it uses."""
    alias = f"fs-{fstype}"
    built_in = BuiltIn(claims.site.kernel, claims.site.root)
    found = [name for name, module in modules.items() if name == fstype or alias in module.aliases]
    if not found and not built_in.has(alias):
        raise KdumpInitrdError(
            f"the image cannot mount {fstype}: it has no module {alias}, and kernel "
            f"{claims.site.kernel.release} does not have it built in",
            hint=_KEEP,
        )
    chain = dict.fromkeys(found)
    todo = [*chain]
    while todo:
        needer = todo.pop()
        for name in modules[needer].depends:
            if name in chain or (name not in modules and built_in.has(name)):
                continue
            if name not in modules:
                raise KdumpInitrdError(
                    f"the image cannot mount {fstype}: it has no module {name}, which {needer} "
                    "needs",
                    hint=_KEEP,
                )
            chain[name] = None
            todo.append(name)


def _check_scripts(files: _Files) -> None:
    """Look for /init, and for the interpreter of each script (fs/binfmt_script.c)."""
    init = files.get("init")
    if init is None or init.kind is not Kind.FILE or not init.mode & 0o111:
        raise KdumpInitrdError("/init: the image has no such program, which the kernel starts")
    for entry in files.entries:
        if entry.kind is not Kind.FILE or not entry.mode & 0o111 or _is_elf(entry):
            continue
        line = entry.content.partition(b"\n")[0]
        words = _BLANKS.split(line[2:].strip(b" \t")) if line.startswith(b"#!") else [b""]
        program = words[0].decode(errors="replace")
        if files.get(program) is None or not program.startswith("/"):
            why = f"has no {program!a}" if program else "does not begin with #! and a program"
            raise KdumpInitrdError(
                f"/{entry.dest}: a script of the image, which {why}: nothing can start it",
                hint="begin it with #!/bin/sh",
            )


def _is_elf(entry: Entry) -> bool:
    return entry.content.startswith(b"\x7fELF")


def _check_programs(files: _Files, claims: Claims) -> None:
    """Look for the shell and for each program that a script's header names."""
    names = {name for needs in claims.needs for name in needs.commands}
    linked = {each.dest.name for each in files.entries
              if each.kind is Kind.SYMLINK and str(each.dest.parent) in _PATH}  # fmt: skip
    offered: dict[PurePosixPath, frozenset[str]] = {}
    for name in sorted({"sh", *names, *linked}):
        paths = (files.get(f"{folder}/{name}") for folder in _PATH)
        entry = next((each for each in paths if each is not None), None)
        if entry is None or entry.kind is not Kind.FILE or not entry.mode & 0o111:
            raise KdumpInitrdError(
                f"{name}: a script of the image needs it, and the image has no such program",
                hint="install busybox, or the package of each",
            )
        if entry.dest.name == "busybox" and entry.dest not in offered:
            offered[entry.dest] = applets.offered(entry.content, {"sh", *names, *linked})
        if entry.dest.name == "busybox" and name not in offered[entry.dest]:
            raise KdumpInitrdError(
                f"{name}: a script of the image needs it, and busybox has no such applet",
                hint="install another busybox, or use --tools root",
            )


def _check_libraries(files: _Files, claims: Claims) -> None:
    """Look for the codec's library, and for the libraries of all programs and libraries."""
    present = {entry.dest.name for entry in files.entries if entry.kind is not Kind.DIRECTORY}
    if claims.libraries and not present & set(claims.libraries):
        raise KdumpInitrdError(
            f"{' or '.join(claims.libraries)}: the codec of the dump needs it, and the image "
            "has no such library",
            hint="use --dump-compress none, or another",
        )
    for entry in files.entries:
        if not _is_elf(entry) or _MODULES in entry.dest.parents:
            continue
        elf = elffile.parse(entry.content, str(entry.dest))
        if elf.interpreter is not None and files.get(elf.interpreter) is None:
            raise KdumpInitrdError(f"{entry.dest}: the image has no {elf.interpreter} to load it")
        for name in elf.needed:
            own = elf.is_musls and is_musls_own(name)
            if PurePosixPath(name).name not in present and not own:
                raise KdumpInitrdError(f"{entry.dest}: needs {name}, and the image has none")


def _key(files: _Files, claims: Claims) -> str:
    """Return the name under which a proof is cached: it covers all that the proof depends on."""
    facts = (_FORMAT, claims.runtime.runs_here, claims.libraries, claims.python)
    digest = hashlib.sha256(f"proof {facts}\n".encode())
    digest.update(f"{[needs.commands for needs in claims.needs]}\n".encode())
    for entry in files.entries:
        digest.update(f"{entry.dest} {entry.kind.value} {entry.mode} {entry.digest}\n".encode())
    return digest.hexdigest()
