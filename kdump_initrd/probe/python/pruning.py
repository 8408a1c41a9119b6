# SPDX-License-Identifier: GPL-2.0-or-later
"""What is of no use in the capture kernel is removed from a module before it is compiled."""

from __future__ import annotations

import ast
from typing import cast

#: What tells systems apart: sys.platform, os.name, sys.builtin_module_names and what os.py has of
#: that; and what they are elsewhere.
_TELLING = frozenset({"platform", "name", "names", "builtin_module_names"})
_ELSEWHERE = frozenset({"win32", "nt", "ce", "cygwin", "darwin", "ios", "wasi", "emscripten",
                        "vxworks"})  # fmt: skip


def prune(tree: ast.Module) -> ast.Module:
    """Return the tree, which is changed, without three things.

    They are branches for other systems, for type checkers and for the module as a program; the
    annotations of functions, but not those of classes, which are the fields of the saver's records;
    and columns, which only tracebacks print. Line numbers stay: the report names the line of a bug.
    """
    _Pruner().visit(tree)
    for node in ast.walk(tree):
        if "lineno" in node._attributes:
            place = cast(ast.stmt, node)  # or anything else that has a place
            # The compiler's own numbers where there are no columns (Python/compile.c, NO_LOCATION).
            place.end_lineno, place.col_offset, place.end_col_offset = place.lineno, -1, -1
    return tree


class _Pruner(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        verdict = _verdict(node.test)
        if verdict is None:
            return node
        return (node.body if verdict else node.orelse) or ast.copy_location(ast.Pass(), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node


def _verdict(test: ast.expr) -> bool | None:
    """Return what a condition is in the capture kernel, or None if only running it can tell."""
    if _word(test) == "TYPE_CHECKING":
        return False
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], (ast.Eq, ast.In)):
        return None
    # sys.platform == "win32", "nt" in sys.builtin_module_names, os.name in ("nt", "ce").
    words = {_word(each).lstrip("_") for each in (test.left, *test.comparators)} - {""}
    constants = {each.value for each in ast.walk(test) if isinstance(each, ast.Constant)}
    if words == {"name__"} and constants == {"__main__"}:
        return False
    if len(words) != 1 or not words <= _TELLING or not constants:
        return None
    return False if constants <= _ELSEWHERE else True if constants == {"posix"} else None


def _word(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
