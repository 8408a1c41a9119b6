# SPDX-License-Identifier: GPL-2.0-or-later
"""Pythons: this machine's interpreters, and a standard library of empty modules."""

from __future__ import annotations

import sys
from pathlib import Path

from kdump_initrd.saver.low.stdlib import MODULES


def interpreters() -> list[Path]:
    """Return the Python that runs this, the system's, and those of pyenv, from 3.9 on."""
    found = {Path(sys.executable).resolve(): None}
    system = Path("/usr/bin/python3")
    if system.exists():
        found[system.resolve()] = None
    for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3")):
        name = path.resolve().name
        if name.startswith("python3.") and int(name[len("python3.") :]) >= 9:
            found[path.resolve()] = None
    return list(found)


def write_stdlib(stdlib: Path, *, without: tuple[str, ...] = ()) -> None:
    """Write a standard library of empty modules, but for ctypes, which wants its extension."""
    names = {"abc", "codecs", "encodings/__init__", "io", "os", "__future__", "ctypes/__init__"}
    names |= {f"encodings/{name}" for name in ("aliases", "ascii", "latin_1", "utf_8")}
    names |= {name for name in MODULES if name != "ctypes"}
    for name in names - set(without):
        file = stdlib / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("import _ctypes\n" if name == "ctypes/__init__" else "")
