# SPDX-License-Identifier: GPL-2.0-or-later
"""The Jinja environment: text from templates/, every value of a script quoted for the shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import jinja2.sandbox

from ..errors import KdumpInitrdError


def render(name: str, values: Mapping[str, object], *, search_path: Sequence[Path]) -> str:
    """Return the text of template ``name``, looked up on ``search_path``, first wins.

    Raises KdumpInitrdError, with the template's name and line, for a value that is missing and
    for a template that is wrong.
    """
    # Templates may be another root's: nothing of that is run.
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(search_path),
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
    except jinja2.TemplateSyntaxError as error:
        raise KdumpInitrdError(
            f"{error.filename or name}:{error.lineno}: {error.message}"
        ) from error
    except jinja2.TemplateError as error:
        raise KdumpInitrdError(
            f"template {name}: {error.message or type(error).__name__}"
        ) from error


def _sh(value: object) -> str:
    """Quote one word for a POSIX shell; a list becomes as many words."""
    if isinstance(value, (list, tuple)):
        return " ".join(shlex.quote(str(word)) for word in value)
    return shlex.quote(str(value))
