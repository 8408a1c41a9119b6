# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of built-in modules: against real interpreters, and on ELF files made by code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.probe.python.inittab import ALWAYS, built_in

from .elfwriter import AARCH64, I386, PPC64, S390, X86_64, write_elf
from .inittabwriter import write_python
from .pythons import interpreters

NAMES = ("_abc", "_struct", "time")


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: str(path).replace("/", "_"))
def test_same_as_the_interpreter_says(python: Path) -> None:
    code = "import json, sys; print(json.dumps(sys.builtin_module_names))"
    done = subprocess.run([python, "-c", code], capture_output=True, check=True, timeout=30)
    beside = (python.parent.parent / "lib").glob(f"lib{python.name}.so*")
    libraries = sorted({path.resolve() for path in beside})
    found = built_in([python.resolve(), *libraries])
    assert found == set(json.loads(done.stdout))
    assert found >= ALWAYS


@pytest.mark.parametrize("moves", ["place", "rela", "rel", "symbol"])
@pytest.mark.parametrize(
    ("machine", "bits", "order"),
    [(X86_64, 64, "<"), (I386, 32, "<"), (S390, 64, ">"), (PPC64, 64, ">"), (20, 32, ">"),
     (AARCH64, 64, "<"), (258, 64, "<")],
)  # fmt: skip
def test_every_size_and_byte_order(
    tmp_path: Path, moves: str, machine: int, bits: int, order: str
) -> None:
    python = write_python(
        tmp_path / "python", NAMES, moves=moves, machine=machine, bits=bits, order=order,
        strings=("_ctypes", "x_ctypes"),
    )  # fmt: skip
    assert built_in([python]) == set(NAMES)


@pytest.mark.parametrize("moves", ["copy", "none"])
def test_table_of_the_library(tmp_path: Path, moves: str) -> None:
    python = write_python(tmp_path / "python", ("_ctypes",), moves=moves)
    library = write_python(tmp_path / "libpython.so", NAMES, moves="rela")
    assert built_in([python, library]) == set(NAMES)


def test_without_a_table_what_every_python_has(tmp_path: Path) -> None:
    python = write_elf(tmp_path / "python")
    python.write_bytes(python.read_bytes() + b"\0_ctypes\0PyImport_Inittab\0")
    assert built_in([python]) == ALWAYS
    assert "_ctypes" not in ALWAYS


def test_damage_is_never_an_endless_or_wrong_table(tmp_path: Path) -> None:
    whole = write_python(tmp_path / "python", NAMES, moves="rela").read_bytes()
    path = tmp_path / "cut"
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert built_in([path]) <= ALWAYS | set(NAMES)


def test_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(KdumpInitrdError, match="gone: No such file or directory"):
        built_in([tmp_path / "gone"])
