# SPDX-License-Identifier: GPL-2.0-or-later
"""The Jinja environment: text from templates/, every value of a script quoted for the shell.

A template may come from an administrator, or from another root, whose owner must not be able to do
anything here but to define a text. It gets plain values only, since paths in it are the host's; and
a template that is not this program's own is rendered in a separate process, with limits.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2
import jinja2.runtime
import jinja2.sandbox

from ..core.errors import KdumpInitrdError
from ..core.files import TEXT
from ..core.root import Root
from .confinement import MEMORY, SECONDS, Outcome, Overdue, confine

#: The largest product of two numbers, in bits, and of a text with a number, in characters.
_MOST = 1 << 22


def render(
    name: str,
    values: Mapping[str, object],
    *,
    search_path: Sequence[Path],
    root: Root,
) -> str:
    """Return the text of template ``name``, looked up on ``search_path``, first wins.

    The last folder is this program's own; the others lie in ``root``, and links in them are
    followed within it. ``values`` are str, int, float, bool, None, and lists, tuples and dicts of
    these, whose keys are names; anything else is a TypeError.

    Raises KdumpInitrdError, with the template's name and line, for a value that is missing and
    for a template that is wrong, or takes too long or too much memory.
    """
    _check_plain(values, name)
    try:
        return _render(name, values, _Loader(search_path, root, trusted=True))
    except _ForeignError:
        done = confine(lambda: _outcome(name, values, search_path, root), name=f"template {name}")
    # Otherwise what the other process has asked the root would be forgotten with it.
    root.asked.looked.update(done.looked)
    return done.text


def _check_plain(value: object, where: str) -> None:
    """Raise TypeError for an object that is more than a value.

    That includes objects of classes that are derived from plain ones.
    """
    kind = type(value)
    if kind is dict:
        for key, each in value.items():  # type: ignore[attr-defined]
            if type(key) is not str:
                raise TypeError(f"{where}: {key!r} is not a name")
            _check_plain(each, f"{where}: {key}")
    elif kind in (list, tuple):
        for each in value:  # type: ignore[attr-defined]
            _check_plain(each, where)
    elif kind not in (str, int, float, bool, type(None)):
        raise TypeError(f"{where}: a {kind.__name__} is not a plain value")


class _ForeignError(Exception):
    """A template that is not of this program."""


class _Loader(jinja2.BaseLoader):
    """Reads templates; a ``trusted`` one gives up at the first that is not this program's own."""

    def __init__(self, search_path: Sequence[Path], root: Root, *, trusted: bool) -> None:
        self._folders = search_path
        self._root = root
        self._trusted = trusted
        self.files: dict[str, None] = {}

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str, Callable[[], bool] | None]:
        """Return text and path; raises TemplateNotFound, and KdumpInitrdError for a non-file."""
        parts = template.split("/")
        if {"", ".", ".."} & {*parts} or "\0" in template:
            raise jinja2.TemplateNotFound(
                template, f"{_one_line(template)}: not a name below templates/"
            )
        for folder in self._folders:
            path = self._root.real_path(folder / template)
            try:
                data = self._root.read(path, limit=TEXT)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise KdumpInitrdError(f"{path}: {error.strerror}") from error
            if self._trusted and folder != self._folders[-1]:
                raise _ForeignError
            self.files[str(path)] = None
            try:
                return data.decode(), str(path), None
            except UnicodeDecodeError as error:
                line = data.count(b"\n", 0, error.start) + 1
                raise KdumpInitrdError(f"{path}:{line}: not UTF-8") from error
        raise jinja2.TemplateNotFound(template, f"{template}: no such template")


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """A sandbox in which numbers and texts do not grow without end."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(
        self,
        context: jinja2.runtime.Context,
        operator: str,
        left: Any,  # noqa: ANN401 - whatever a template has
        right: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Refuse a product that takes long, or much memory, before it is made."""
        if _size(left, right, operator) > _MOST:
            raise OverflowError(f"the result of {operator} is too large")
        return super().call_binop(context, operator, left, right)


def _size(left: object, right: object, operator: str) -> int:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        return bits * abs(right) if operator == "**" else bits + right.bit_length()
    if isinstance(right, (str, bytes, list, tuple)):
        left, right = right, left
    if isinstance(left, (str, bytes, list, tuple)) and isinstance(right, int):
        return len(left) * max(right, 0)
    return 0


def _outcome(
    name: str, values: Mapping[str, object], search_path: Sequence[Path], root: Root
) -> Outcome:
    anew = Root(root.path)
    loader = _Loader(search_path, anew, trusted=False)
    try:
        return Outcome(_render(name, values, loader), tuple(sorted(anew.asked.looked)))
    except KdumpInitrdError as error:
        return Outcome(error=error.message, hint=error.hint)


def _render(name: str, values: Mapping[str, object], loader: _Loader) -> str:
    environment = _Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # shell scripts: the `sh` filter quotes
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # The shell's ${#variable} would start a comment.
        comment_start_string="{##",
        comment_end_string="##}",
    )
    environment.filters["sh"] = _sh
    try:
        return environment.get_template(name).render(values)
    except (KdumpInitrdError, _ForeignError):
        raise
    except jinja2.TemplateSyntaxError as error:
        text = f"{error.filename or name}:{error.lineno}: {_one_line(error.message or '')}"
        raise KdumpInitrdError(text) from error
    except (Exception, Overdue) as error:
        where = _line(error.__traceback__, loader.files) or next(reversed(loader.files), name)
        text = f"template {name}: {_explain(error)}, in {where}"
        raise KdumpInitrdError(text) from error


def _explain(error: BaseException) -> str:
    if isinstance(error, Overdue):
        return f"takes longer than {SECONDS} s"
    if isinstance(error, MemoryError):
        return f"takes more memory than {MEMORY >> 20} MB"
    if isinstance(error, RecursionError):
        return "calls itself endlessly, or is nested too deeply"
    text = error.message if isinstance(error, jinja2.TemplateError) else str(error)
    return _one_line(text or type(error).__name__)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)[:300]


def _line(trace: TracebackType | None, files: Mapping[str, None]) -> str:
    """Return "FILE:LINE" of the innermost template in a traceback, "" if there is none."""
    found = ""
    while trace is not None:
        frame = trace.tb_frame
        file, line = frame.f_code.co_filename, trace.tb_lineno
        # For an Exception, jinja2 has put the template's lines there already.
        template = frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            file, line = template.filename or file, template.get_corresponding_lineno(line)
        if file in files:
            found = f"{file}:{line}"
        trace = trace.tb_next
    return found


def _sh(value: object) -> str:
    """Quote one word for a POSIX shell; a list becomes as many words."""
    if isinstance(value, (list, tuple)):
        return " ".join(shlex.quote(str(word)) for word in value)
    return shlex.quote(str(value))
