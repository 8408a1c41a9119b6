# SPDX-License-Identifier: GPL-2.0-or-later
"""The Pythons of Debian's releases: each in an unpacked root, run from outside or inside of it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.root import Root
from kdump_initrd.core.run import Result, run
from kdump_initrd.probe.python.minimal import PythonRuntime, find_python
from tests.vm.kernels import fetched
from tests.vm.rootfs import GUEST
from tests.vm.sources import TRIXIE
from tests.vm.suites import Suite
from tests.vm.tools import tool

REPO = Path(__file__).resolve().parents[2]
_OVERLAY = REPO / "tests/packaging/enter-overlay"
#: What the generator's tests call, python3-libarchive-c for the library, whose package has had
#: two names.
_TOOLS = ("base-files", "bash", "busybox-static", "bzip2", "coreutils", "cpio", "dash",
          "diffutils", "e2fsprogs", "findutils", "grep", "gzip", "kexec-tools", "kmod", "libc-bin",
          "liblzo2-2", "libzstd1", "lz4", "lzop", "mount", "python3-libarchive-c", "sed", "tar",
          "util-linux", "xz-utils", "zlib1g", "zstd")  # fmt: skip
#: Of the tests' own, and what the generator needs.
_MODULES = ("hypothesis", "jinja2", "libarchive-c", "pyelftools", "pytest", "pytest-timeout")
#: Modules that recipes name (chosenmodules.py).
CHOSEN = tuple(f"kdump_initrd.saver.{name}" for name in ("arch.x86_64", "store.folder"))


@dataclass(frozen=True)
class DebianPython:
    """One of them: ``minor`` is N of python3.N."""

    suite: str
    minor: int

    def __str__(self) -> str:
        return f"python3.{self.minor}"

    @property
    def root(self) -> Path:
        """Its root, from the cache or fetched; raises NoPackages."""
        return Suite(self.suite).packages(str(self), *_TOOLS)

    def runtime(self) -> PythonRuntime:
        """Return what a saver needs of it that writes to a folder."""
        python = Path(f"/usr/bin/{self}")
        return find_python(Root(self.root), python=python, chosen=CHOSEN)

    def starter(self, path: Path) -> Path:
        """Write a script that starts it by its own loader; return its path."""
        runtime = self.runtime()
        sources = [each.source for each in runtime.libraries.libraries]
        (loader,) = (each for each in sources if each.name.startswith("ld-"))
        folders = ":".join(dict.fromkeys(str(each.parent) for each in sources))
        words = f"{loader} --library-path {folders} {runtime.interpreter.source}"
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)
        return path

    def enter(self, state: Path, *argv: str, timeout: float) -> Result:
        """Run a program in its root with the checkout as /mnt; what it changes is in ``state``."""
        self._prepare(state / "upper")
        words = [str(tool("unshare")), "--mount", "--pid", "--fork", "--kill-child"]
        words += map(str, (_OVERLAY, GUEST / "enter", self.root, state, REPO))
        words += ["/usr/bin/env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        words += ["PYTHONPATH=/mnt:/opt/modules", "PYTHONDONTWRITEBYTECODE=1"]
        # Not as the first process, to which others' children fall.
        script = 'ldconfig; cd /mnt; "$@"; exit $?'
        return run([*words, "sh", "-c", script, "sh", *argv], timeout=timeout, check=False)

    def install(self, folder: Path) -> Path:
        """Install in a folder what the generator and its tests import; return that."""
        names = (*_MODULES, *(("tomli", "exceptiongroup") if self.minor < 11 else ()))
        kind = ["--python-version", f"3.{self.minor}", "--only-binary=:all:"]
        pip = [sys.executable, "-m", "pip", "-q"]
        with tempfile.TemporaryDirectory() as wheels:
            # Only this looks at what a release of theirs requires of the other Python.
            run([*pip, "download", *kind, "-d", wheels, *names], timeout=300)
            files = map(str, Path(wheels).iterdir())
            words = ["--no-index", "--no-deps", "--target", str(folder), *kind]
            run([*pip, "install", *words, *files], timeout=300)
        return folder

    def _prepare(self, upper: Path) -> None:
        """Do what the packages' scripts would have done; its kernel is Debian 13's."""
        self.install(upper / "opt/modules")
        kernel = fetched(TRIXIE)
        shutil.copytree(kernel.root / "boot", upper / "boot")
        modules = upper / f"usr/lib/modules/{kernel.release}"
        shutil.copytree(kernel.modules, modules, symlinks=True)
        for name in ("dev", "etc", "mnt", "proc", "root", "sys", "tmp"):
            (upper / name).mkdir()
        (upper / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (upper / "etc/group").write_text("root:x:0:\n")
        folder = "usr/bin" if (self.root / "bin").is_symlink() else "bin"
        if not (self.root / folder / "sh").exists():
            (upper / folder).mkdir(parents=True, exist_ok=True)
            (upper / folder / "sh").symlink_to("dash")


#: The oldest and the newest that the saver runs on, and what lies between.
PYTHONS = (
    DebianPython("bullseye", 9),
    DebianPython("bookworm", 11),
    DebianPython("trixie", 13),
    DebianPython("forky", 14),
    DebianPython("forky", 15),
)
