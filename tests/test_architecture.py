# SPDX-License-Identifier: GPL-2.0-or-later
"""The house rules that a linter does not know: who may import whom, how long things may be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "kdump_initrd"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in SOURCES}
#: Library: the only modules that may import it.
FENCES = {
    "jinja2": {"image.render"},
    "libarchive": {"image.cpio", "image.segments"},
    "elftools": {"probe.elffile"},
    "subprocess": {"run"},
    "argparse": {
        *(f"grammar.{name}" for name in ("native", "redhat", "suse")),
        *(f"grammar.{name}" for name in ("reading", "retired", "vocabulary")),
        *("options", "vmcoresave"),
    },
}
#: Folder: the parts of the package that its modules may import.
ALLOWED = {
    "config": {"config", "errors", "log", "resources", "rooted", "tomllines", "trust"},
    "probe": {"probe", "errors", "log", "run", "rooted", "cache", "saver.stdlib", "tomllines"},
    "image": {"image", "errors", "log", "run", "rooted", "cache"},
    "saver": {"saver", ""},
    # Words become requests: nothing is looked at, and nothing is imported that --help could miss.
    "grammar": {"grammar", "options", "config.settings", "errors", ""},
}
#: A command beside mkinitrd-kdump, and the parts that it may import: it needs no library.
ALLOWED["vmcoresave"] = {
    *("conversion", "interrupts", "options", "talk", "config.settings", "errors", "saver", ""),
}
ALLOWED["conversion"] = {"talk", "errors", "saver", ""}
ALLOWED["options"] = {"config.settings", "errors"}
ALLOWED["talk"] = {"saver"}
#: What the saver must not import: each costs start-up time in the capture kernel.
SLOW = {"dataclasses", "logging", "argparse", "re", "json", "typing", "pathlib", "enum",
        "collections", "functools", "contextlib", "subprocess", "traceback", "inspect"}  # fmt: skip


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that are more than annotations for a type checker."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield node
            yield from walk(node)


def imports(name: str) -> Iterator[str]:
    """Yield what a module imports: own modules as "a.b", others as "/name"."""
    path = MODULES[name]
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    if path.stem == "__init__":
        package = package[:-1]
    for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (f"/{alias.name.split('.')[0]}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield f"/{str(node.module).split('.')[0]}"
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield whole if whole in MODULES else ".".join(base)


@pytest.mark.parametrize("name", MODULES)
def test_libraries_stay_behind_their_fences(name: str) -> None:
    for each in imports(name):
        fence = FENCES.get(each.lstrip("/")) if each.startswith("/") else None
        assert fence is None or name in fence, f"{name} imports {each[1:]}"


@pytest.mark.parametrize("name", [name for name in MODULES if "." in name or name in ALLOWED])
def test_dependency_direction(name: str) -> None:
    folder = name.split(".")[0]
    for each in imports(name):
        if each.startswith("/"):
            continue
        allowed = ALLOWED[folder]
        assert each in allowed or each.split(".")[0] in allowed, f"{name} imports {each}"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("saver.")])
def test_saver_is_standard_library_and_quick_to_start(name: str) -> None:
    used = {each[1:] for each in imports(name) if each.startswith("/")}
    assert not used & SLOW
    assert used <= sys.stdlib_module_names


@pytest.mark.parametrize("name", MODULES)
def test_only_the_command_line_leaves(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    if name not in ("__main__", "saver.__main__", "vmcoresave"):
        assert "sys.exit(" not in text, name
    for word in ("shell=True", "os.system", "eval(", "exec(", "chdir("):
        assert word not in text, f"{name}: {word}"


@pytest.mark.parametrize("path", SOURCES, ids=MODULES)
def test_nothing_is_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300, f"{path.name} wants splitting"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 50, f"{path.name}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=MODULES)
def test_public_things_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def test_no_distribution_is_named_in_code() -> None:
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                words = {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}
                assert not words & {"debian", "fedora", "rhel", "sles", "suse"}, name
