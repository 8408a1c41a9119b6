# SPDX-License-Identifier: GPL-2.0-or-later
"""What is cut off a module does not change what it does in the capture kernel."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterator

import pytest

from kdump_initrd.probe.python.pruning import prune
from tests import rooms

SAVER = [name for name in rooms.MODULES if name.startswith("saver")]


def code_of(tree: ast.Module) -> types.CodeType:
    code = compile(tree, "m.py", "exec", dont_inherit=True, optimize=2)
    assert isinstance(code, types.CodeType)
    return code


def run(text: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(code_of(prune(ast.parse(text))), names)
    return names


def inner(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of functions that have none in them, but that of annotations (Python 3.14)."""
    parts = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    parts = [each for each in parts if each.co_name != "__annotate__"]
    for part in parts:
        yield from inner(part)
    if not parts:
        yield code


@pytest.mark.parametrize("test", [
    "TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'", "sys.platform == 'win32'",
    "os.name in ('nt', 'ce')", "'nt' in sys.builtin_module_names", "'nt' in _names",
])  # fmt: skip
def test_branches_that_never_run_are_gone(test: str) -> None:
    tree = prune(ast.parse(f"if {test}:\n    a()\nelse:\n    b()\nif {test}:\n    a()\n"))
    assert ast.unparse(tree) == "b()\npass"


@pytest.mark.parametrize("test", ["os.name == 'posix'", "'posix' in _names"])
def test_branches_that_always_run_stand_alone(test: str) -> None:
    assert ast.unparse(prune(ast.parse(f"if {test}:\n    a()\nelse:\n    b()\n"))) == "a()"


@pytest.mark.parametrize("test", [
    "not TYPE_CHECKING", "__name__ != '__main__'", "sys.platform != 'win32'", "word == 'nt'",
    "sys.platform in ('linux', 'win32')", "sys.platform == word", "name == 'TYPE_CHECKING'",
    "os.name == 'posix' and sys.platform == 'darwin'", "sys.platform.startswith('aix')",
    "name == word == 'nt'", "sys.platform in ()",
])  # fmt: skip
def test_other_branches_stay(test: str) -> None:
    text = f"if {test}:\n    a()\nelse:\n    b()"
    assert ast.unparse(prune(ast.parse(text))) == text


def test_functions_lose_their_annotations_and_classes_do_not() -> None:
    names = run("""
from __future__ import annotations
class Record:
    level: int = 3
    def change(self, level: int, *more: str, key: bool = True, **rest: int) -> Record:
        return self
""")
    record = names["Record"]
    assert isinstance(record, type)
    assert record.__annotations__ == {"level": "int"}
    assert record.__dict__["change"].__annotations__ == {}
    assert record.__dict__["change"].__kwdefaults__ == {"key": True}


FAIL = """
def fail(zero):
    x = (1 +
         1 / zero)
"""


def test_lines_stay_and_columns_do_not() -> None:
    fail = run(FAIL)["fail"]
    assert isinstance(fail, types.FunctionType)
    with pytest.raises(ZeroDivisionError) as caught:
        fail(0)
    assert caught.traceback[-1].lineno + 1 == 4
    if sys.version_info >= (3, 11):
        found = [each[2:] for each in fail.__code__.co_positions() if each[0] != 2]
        assert set(found) == {(None, None)}


@pytest.mark.parametrize("name", SAVER)
def test_the_saver_s_functions_do_the_same(name: str) -> None:
    """Those with a function in them are made by fewer steps; the others have the same ones."""
    text = rooms.MODULES[name].read_text()
    whole, pruned = (
        list(inner(code_of(tree))) for tree in (ast.parse(text), prune(ast.parse(text)))
    )
    assert len(whole) == len(pruned)
    for before, now in zip(whole, pruned):
        if before.co_name != "<module>":
            assert (before.co_name, before.co_code) == (now.co_name, now.co_code)
            assert before.co_names == now.co_names
