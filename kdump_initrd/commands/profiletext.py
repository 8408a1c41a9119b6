# SPDX-License-Identifier: GPL-2.0-or-later
"""``--show-distro``: the effective profile of a distribution, and where each value comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.resources import search_path
from ..probe.distro import profiles
from ..probe.distro.profiles import Profile
from ..recipes.found import find_host

_WIDTH = 100
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def lines(top: Path, name: str | None) -> Iterator[str]:
    """Yield the profile ``name``, or that of the distribution in ``top``, as a TOML file.

    A comment names the file and line that each value comes from. The text inherits from nothing: it
    contains every value. Raises KdumpInitrdError if there is no such root or profile, and if the
    profile is wrong.
    """
    root, found = find_host(top, name)
    folders = search_path("distros", root=root)
    profile = profiles.read(found.id, search_path=folders, root=root)
    yield f"# The profile {found.id}, from these files, each overriding those before it:"
    yield from (f"#   {file.path}" for file in profile.files)
    sections = {key: value for key, value in profile.values.items() if isinstance(value, dict)}
    for key, value in profile.values.items():
        if key not in sections:
            yield from _assignment(key, value, profile.origin(key))
    for section, table in sections.items():
        yield ""
        if section in ("initrd", "bootloader"):
            yield from _kinds(section, table, profile)
            continue
        yield f"[{section}]"
        for key, value in table.items():
            yield from _assignment(key, value, profile.origin(section, key))


def _kinds(section: str, kinds: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    for number, (name, kind) in enumerate(kinds.items()):
        if number:
            yield ""
        yield f"[{section}.{_key(name)}]  # {profile.origin(section, name)}"
        for key, value in kind.items():
            yield from _assignment(key, value, "")


def _assignment(key: str, value: object, origin: str) -> Iterator[str]:
    """Yield one assignment; a long list is broken into lines."""
    comment = f"  # {origin}" if origin else ""
    if isinstance(value, tuple) and len(f"{_key(key)} = {_value(value)}") > _WIDTH:
        yield f"{_key(key)} = [{comment}"
        yield from _filled(_value(word) for word in value)
        yield "]"
    else:
        yield f"{_key(key)} = {_value(value)}{comment}"


def _filled(words: Iterable[str]) -> Iterator[str]:
    line = " "
    for word in words:
        if len(line) + len(word) + 2 > _WIDTH and line.strip():
            yield line
            line = " "
        line += f" {word},"
    yield line


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    # A string of printable letters is written alike in JSON and TOML.
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)
