# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings as the text of our own configuration file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from . import native
from .findings import TARGET
from .targetsettings import WHERE, TargetSettings

#: The least width of key and value; a blank and a comment follow.
_COLUMN = 39


def lines(
    values: Mapping[str, Any], origins: Mapping[str, str], *, defaults: bool
) -> Iterator[str]:
    """Yield the sections with ``values``, each with its origin as a comment.

    With ``defaults``, settings that are not set are added as comments, with their default if it is
    a value; otherwise sections without values are left out. target_lines() prints the targets.
    """
    for section, rows in native.KEYS.items():
        found = []
        for key, row in rows.items():
            if row.name in values:
                value = row.written(values[row.name])
                found.append(_line(key, value, origins.get(row.name, "")))
            elif row.name in (*WHERE, "fstype"):
                continue
            elif defaults and row.default is not None:
                found.append(f"{f'# {key} = {_text(row.default)}':{_COLUMN}} # default")
            elif defaults:
                found.append(f"{f'# {key}':{_COLUMN}} # chosen when an image is built")
        if found:
            yield f"[{section}]"
            yield from found
            yield ""


def target_lines(target: TargetSettings, origins: Mapping[str, str]) -> Iterator[str]:
    """Yield a target as a [[target]]; ``origins`` are those of its keys, as far as known."""
    yield "[[target]]"
    for key in TARGET:
        value = getattr(target, key)
        if value is not None:
            yield _line(key, value, origins.get(key, ""))
    yield ""


def _line(key: str, value: object, origin: str) -> str:
    line = f"{key} = {_text(value)}"
    return f"{line:{_COLUMN}} # {origin}" if origin else line


def _text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    # Strings of printable characters are written the same in TOML and JSON.
    return json.dumps(value, ensure_ascii=False)
