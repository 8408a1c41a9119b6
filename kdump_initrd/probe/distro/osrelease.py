# SPDX-License-Identifier: GPL-2.0-or-later
"""os-release(5) of a root: what its distribution calls itself."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from ...core.root import Root

#: No value is longer than this, and unquoting a longer one would take long.
_LONGEST = 4096


def read(root: Root) -> Mapping[str, str]:
    """Return the assignments of ``root``'s os-release, unquoted; empty if it has none.

    A value that cannot be unquoted is "".
    """
    path = root.first_file(("etc/os-release", "usr/lib/os-release"))
    text = root.read_text(path) if path else ""
    pairs = (line.partition("=") for line in text.splitlines())
    return {key: _unquote(value) for key, equals, value in pairs if equals}


def names(values: Mapping[str, str]) -> tuple[str, ...]:
    """Return ID and the words of ID_LIKE, the most specific first."""
    return tuple(f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".split())


def _unquote(value: str) -> str:
    if len(value) > _LONGEST:
        return ""
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return ""
