# SPDX-License-Identifier: GPL-2.0-or-later
"""What the saver may import: each module is start-up time and room in the image."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdump_initrd.saver.low.stdlib import MODULES, SHA256

from .running import ROOT, arguments
from .samples import sample

SAVER = ROOT / "kdump_initrd" / "saver"
SOURCES = sorted(SAVER.rglob("*.py"))
FORBIDDEN = (
    *("dataclasses", "logging", "argparse", "re", "json", "typing", "pathlib", "enum"),
    *("collections", "functools", "contextlib", "subprocess", "traceback", "zlib", "shutil"),
    *("tempfile", "datetime"),
)


def _imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    # Imports outside of "if TYPE_CHECKING:".
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        yield from _imports(child)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SAVER)))
def test_sources_import_the_listed_modules_only(path: Path) -> None:
    depth = len(path.relative_to(SAVER).parts)
    for node in _imports(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            root = path.relative_to(ROOT).parts[: -node.level]
            inside = root[:2] == ("kdump_initrd", "saver")
            version = root == ("kdump_initrd",) and node.names[0].name == "__version__"
            assert (inside and node.level <= depth) or version, ast.unparse(node)
            continue
        names = [node.module] if isinstance(node, ast.ImportFrom) else [x.name for x in node.names]
        for name in names:
            assert name == "__future__" or name in MODULES, f"{path}: {name}"


def test_the_list_is_used() -> None:
    used = set()
    for path in SOURCES:
        for node in _imports(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
    assert used == set(MODULES)


def test_this_python_has_one_module_for_sha256() -> None:
    assert sum(importlib.util.find_spec(name) is not None for name in SHA256) == 1


@pytest.mark.parametrize(
    "format_and_codec",
    ["kdump lzo", "kdump snappy", "kdump zstd", "kdump zlib", "elf none"],
)
def test_a_run_loads_nothing_else(tmp_path: Path, format_and_codec: str) -> None:
    """What is loaded is what the listed modules load by themselves."""
    kind, codec = format_and_codec.split()
    path = sample()[0].write(tmp_path / "in")
    words = arguments(path, tmp_path / "out", dump_format=kind, dump_compress=codec)
    show = "print('\\n'.join(sorted(sys.modules)))"
    plain = _modules(f"import sys, __future__, {', '.join(MODULES)}; {show}")
    code = f"import sys; from kdump_initrd.saver.__main__ import main; main({words!r}); {show}"
    loaded = _modules(code)
    extra = {name for name in loaded - plain if not name.startswith("kdump_initrd")}
    assert extra == set()
    assert not {name for name in loaded if name in FORBIDDEN}
    assert (tmp_path / "out/crash/vmcore").exists()


def _modules(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-B", "-c", code],
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(done.stdout.split())


def test_modules_and_functions_are_short() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                assert node.end_lineno - node.lineno < 50, f"{path}: {node.name}"
