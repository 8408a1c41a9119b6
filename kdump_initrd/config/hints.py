# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipes' hints, reworded for the configuration: options become keys."""

from __future__ import annotations

import re

from .native import NAME, SECTIONS, key_of
from .settings import COMMON, SETTINGS, Setting

_FILE = f"/{NAME}"
#: An option, and the word that follows it.
_OPTION = re.compile(r"(?<![\w-])(--?[a-z][\w-]*)(?: (\w+))?")
#: Options with their values, followed by what can be configured instead.
_OR = re.compile(r"(?:(?<![\w-])--?[a-z][\w-]*(?: [A-Z]+)? ?)+, or (?=.*/etc/)")
_FLAGS = {flag: setting for setting in SETTINGS for flag in setting.flags}
_KEYS = {name for names in SECTIONS.values() for name in names}
#: Options that can be used together with the configured settings.
_SAID = {flag for row in COMMON if row.name not in (*_KEYS, "output") for flag in row.flags}


def configured(hint: str | None) -> str | None:
    """Return a hint for something that is configured: its options become keys of our file.

    None if an option in it cannot be configured. A hint that is a command is returned as it is.
    """
    if hint is None or "mkinitrd-kdump " in hint:
        return hint
    hint = _OR.sub("", hint)
    flags = [match[1] for match in _OPTION.finditer(hint)]
    ours = [_FLAGS[flag] for flag in flags if flag in _FLAGS and flag not in _SAID]
    if any(row.name not in _KEYS for row in ours):
        return None
    if not ours:
        return hint
    text = _OPTION.sub(_as_key, hint)
    return text if _FILE in text else f"{text}, in {_FILE}"


def _as_key(match: re.Match[str]) -> str:
    row = _FLAGS.get(match[1])
    if row is None or match[1] in _SAID:
        return match[0]
    value, rest = _value(row, match[2] or "")
    return f"{key_of(row)}{value}{rest}"


def _value(row: Setting, word: str) -> tuple[str, str]:
    behind = f" {word}" if word else ""
    if not row.metavar:
        return " = true", behind
    return (f' = "{word}"', "") if word in row.choices else ("", behind)
