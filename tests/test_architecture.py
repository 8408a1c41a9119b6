# SPDX-License-Identifier: GPL-2.0-or-later
"""The house rules that a linter does not know: who may import whom, how long things may be."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from kdump_initrd.commands.verbs import VERBS
from tests.rooms import FLOOR, MODULES, ROOMS, SOURCES, arrows, imports

#: Library: the only modules that may import it.
FENCES = {
    "jinja2": {"image.render"},
    "libarchive": {"image.archive.filters"},
    "elftools": {"probe.programs.elffile"},
    "subprocess": {"core.run"},
    "argparse": {"commands.options"},
}
#: What the generator may know of the saver, by the generator's rooms: the contract, which modules
#: of the standard library the saver stands on, and the folders of which it takes one file. The
#: command vmcore-save is the saver itself.
OF_THE_SAVER = {
    "config": {"saver.params", "saver.codec.rows"},
    "image": {"saver.imagepaths"},
    "probe": {"saver.low.stdlib", "saver.codec.rows"},
    "targets": {"saver.params", "saver.imagepaths", "saver.store.naming", "saver.low.failure"},
    "upkeep": {
        *("saver.params", "saver.imagepaths", "saver.store.naming", "saver.store.folder"),
        *("saver.codec.opening", "saver.codec.rows"),
    },
    "recipes": {
        *("saver.params", "saver.codec.rows", "saver.imagepaths", "saver.arch", "saver.store"),
        *("saver.low.kernelline", "saver.save"),
    },
    "commands": {name for name in MODULES if name.startswith("saver")},
}
#: Folder of the saver: what its modules may import. What lies at the saver's top may use all.
SAVER = {
    "low": set(),
    "memory": {"low"},
    "codec": {"low"},
    "store": {"low", "imagepaths"},
    "arch": {"memory", "low"},
    "formats": {"store", "codec", "arch", "memory", "low"},
    "filter": {"formats", "arch", "memory", "low"},
    "crash": {"formats", "arch", "memory", "low"},
    "dump": {"crash", "filter", "formats", "store", "codec", "arch", "memory", "low"},
}
#: Words become requests: nothing is looked at, and nothing is imported that --help could miss.
WORDS_ONLY = {
    *("commands.grammar", "commands.options", "commands.verb", "commands.verbs"),
    *(f"config.{name}settings" for name in ("", "capture", "first", "target")),
    "",
    *("core.errors", "core.exits", "core.log", "core.publish"),
}
#: vmcore-save needs no library, and so nothing of the generator.
WITHOUT_GENERATOR = (
    *("commands.vmcoresave", "commands.conversion", "commands.output"),
    "commands.verbs.convert",
)
NEEDED_BY_THOSE = {*WITHOUT_GENERATOR, "commands.interrupts", "commands.options", "commands.verb"}
#: What the saver must not import: each costs start-up time in the capture kernel.
SLOW = {"dataclasses", "logging", "argparse", "re", "json", "typing", "pathlib", "enum",
        "collections", "functools", "contextlib", "subprocess", "traceback", "inspect"}  # fmt: skip

TESTS = sorted(Path(__file__).parent.rglob("*.py"))


def below(start: str) -> list[str]:
    """Return the modules whose names begin so."""
    return [name for name in MODULES if name.startswith(start)]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def own_imports(name: str) -> list[str]:
    return [each for each in imports(name) if not each.startswith("/")]


def test_libraries_stay_behind_their_fences() -> None:
    for name in MODULES:
        for each in imports(name):
            fence = FENCES.get(each.lstrip("/")) if each.startswith("/") else None
            assert fence is None or name in fence, f"{name} imports {each[1:]}"


def test_dependency_direction() -> None:
    for name in MODULES:
        room = name.split(".")[0]
        if room in ("", "__main__"):
            assert set(own_imports(name)) <= {"commands.start"}, name
            continue
        for each in own_imports(name):
            there = each.split(".")[0]
            if there in ("", room):  # "": the version
                continue
            assert FLOOR[there] > FLOOR[room], f"{name} imports {each}"
            if there == "saver":
                assert each in OF_THE_SAVER.get(room, ()), f"{name} imports {each}"


def test_direction_in_the_saver() -> None:
    for name in below("saver."):
        folder = name.split(".")[1]
        if folder not in SAVER:
            assert name.count(".") == 1, f"{name}: its folder has no rule"
            continue
        for each in own_imports(name):
            there = each.split(".")[1:2]
            allowed = there[0] in SAVER[folder] | {folder} if there else each == ""
            assert allowed, f"{name} imports {each}"


def test_a_grammar_looks_at_nothing() -> None:
    for name in below("commands.grammar."):
        for each in own_imports(name):
            assert each in WORDS_ONLY or each.rpartition(".")[0] in WORDS_ONLY, f"{name}: {each}"


def test_a_verb_looks_at_nothing_until_it_runs() -> None:
    for name in below("commands.verb"):
        for each in imports(name, later=False):
            known = each in WORDS_ONLY or each.rpartition(".")[0] in WORDS_ONLY
            assert known or each[1:] in sys.stdlib_module_names, f"{name}: {each}"


def test_every_verb_is_in_a_file_of_its_own_and_in_the_list() -> None:
    files = Counter(verb.__module__.rpartition(".")[2] for each in VERBS.values() for verb in each)
    folder = {name.rpartition(".")[2] for name in MODULES if name.startswith("commands.verbs.")}
    # How an image is asked for is what each grammar says.
    assert files == Counter(folder - {"build"})


def test_vmcore_save_needs_no_library() -> None:
    for name in WITHOUT_GENERATOR:
        for each in own_imports(name):
            allowed = {*NEEDED_BY_THOSE, "commands.verbs"}
            allowed |= {"config.settings", "config.targetsettings", "core.errors", "core.exits"}
            allowed |= {"core.shown", ""}
            assert each in allowed or each.split(".")[0] == "saver", f"{name} imports {each}"


def test_the_house_is_small_and_its_stairs_lead_down() -> None:
    assert FLOOR.keys() == ROOMS
    assert len(ROOMS) <= 12
    assert len(arrows()) <= 30
    assert all(FLOOR[here] < FLOOR[there] for here, there in arrows())


def test_the_package_has_folders_and_nothing_else() -> None:
    top = SOURCES[0].parents[0]
    assert {path.name for path in top.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_no_two_modules_have_the_same_name() -> None:
    names = Counter(name.rpartition(".")[2] for name in MODULES if not name.endswith("__main__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_saver_is_standard_library_and_quick_to_start() -> None:
    for name in below("saver."):
        used = {each[1:] for each in imports(name) if each.startswith("/")}
        assert not used & SLOW, name
        assert used <= sys.stdlib_module_names, name


def test_only_the_command_line_leaves() -> None:
    for name in MODULES:
        text = MODULES[name].read_text(encoding="utf-8")
        if name not in ("__main__", "saver.__main__", "commands.vmcoresave"):
            assert "sys.exit(" not in text, name
        for word in ("shell=True", "os.system", "eval(", "exec(", "chdir("):
            assert word not in text, f"{name}: {word}"


def test_nothing_is_too_long() -> None:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 300, f"{path.name} wants splitting"
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 50, f"{path.name}: {node.name} has {length} lines"


def test_public_things_have_docstrings() -> None:
    for path in SOURCES:
        tree = tree_of(path)
        assert ast.get_docstring(tree), f"{path.name} has no docstring"
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def test_no_distribution_is_named_in_code() -> None:
    for name, path in MODULES.items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Compare):
                words = {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}
                assert not words & {"debian", "fedora", "rhel", "sles", "suse"}, name


def test_no_test_imports_from_a_test() -> None:
    for path in TESTS:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            parts = [part for name in names for part in name.split(".")]
            named = [part for part in parts if part.startswith("test_")]
            assert not named, f"{path}:{node.lineno}"


@pytest.mark.parametrize("name", ["architecture.md", "hacking.md"])
def test_a_module_that_a_document_names_is_there(name: str) -> None:
    checkout = SOURCES[0].parents[1]
    text = (checkout / "docs" / name).read_text(encoding="utf-8")
    there = {
        path.as_posix()
        for folder in ("kdump_initrd", "tests", "docs")
        for path in (checkout / folder).rglob("*.py")
    }
    named = {each for each in re.findall(r"`([\w/]+\.py)`", text) if not _is_example(each)}
    assert named
    for each in sorted(named):
        assert any(path.endswith(f"/{each}") for path in there), f"{name}: {each}"


def _is_example(path: str) -> bool:
    return any(part.isupper() for part in path.removesuffix(".py").split("/"))
