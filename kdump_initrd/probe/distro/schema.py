# SPDX-License-Identifier: GPL-2.0-or-later
"""What a profile may say: its keys, their types, and what each value has to look like."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ...core.errors import KdumpInitrdError
from ..kernel import versions
from ..programs.searchpath import MACHINES
from . import placeholder
from .profilefile import ProfileFile

#: The compressions of pages that the format of dumps knows and that we write.
CODECS = ("lzo", "snappy", "zstd", "zlib")
#: The packages that configure kdump on a distribution; "" where there is none of them.
PEERS = ("kdump-utils", "suse-kdump", "kdump-tools", "")
#: Names of profiles: those of os-release's ID (os-release(5)).
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{,63}")
#: Keys beside the sections, and whether each is a list of strings.
_TOP = {"inherits": False, "name": False, "ids": True, "files": True}
#: Sections whose keys are names that the profile chooses; those of the last are not free.
LISTS = ("hardware", "filesystems", "cmdline")
_CMDLINE = ("common", "inherit", *MACHINES)
_INITRD_WANTED = "a table of marks (a list), files and features (tables) is wanted"
_INITRD = {"marks": list, "files": dict, "features": dict}
#: A time at which no two numbers of a name are the same: 2001-02-03 16:05:06 UTC.
_EXAMPLE = time.gmtime(981216306)

#: What is wrong with a text, as a hint how to mend it; "" where nothing is.
Check = Callable[[str], str]


def check(file: ProfileFile, sections: Mapping[str, type]) -> None:
    """Refuse what the schema does not know: a misspelt key would be a silent default.

    ``sections`` maps the name of a table to the record of its keys. Raises KdumpInitrdError with
    the file, the line and the nearest name that there is.
    """
    named = {name: [each.name for each in fields(kind)] for name, kind in sections.items()}
    named["cmdline"] = [*_CMDLINE]
    _known(file, (), file.table, [*_TOP, *sections, *LISTS, "initrd"], named)
    for key, is_list in _TOP.items():
        if key in file.table:
            _value(file, (key,), file.table[key], is_list=is_list)
    for name, kind in sections.items():
        table = _table(file, name)
        _known(file, (name,), table, named[name], named)
        lists = {each.name for each in fields(kind) if each.type != "str"}
        for key, value in table.items():
            _value(file, (name, key), value, is_list=key in lists)
    for name in LISTS:
        table = _table(file, name)
        for key, value in table.items():
            _value(file, (name, key), value, is_list=True)
    _known(file, ("cmdline",), file.table.get("cmdline", {}), _CMDLINE, named)
    for key, value in _table(file, "initrd").items():
        _initrd(file, key, value)


def check_complete(distro: str, merged: Mapping[str, Any], sections: Mapping[str, type]) -> None:
    """Refuse a profile that lacks something, mostly for want of ``inherits``."""
    hint = 'inherits = "linux" has a value for every key'
    if "name" not in merged or "common" not in merged.get("cmdline", {}):
        raise KdumpInitrdError(f"{distro}.toml: name and cmdline.common are wanted", hint=hint)
    for section, kind in sections.items():
        for field in fields(kind):
            if field.name not in merged.get(section, {}):
                raise KdumpInitrdError(f"{distro}.toml: no {section}.{field.name}", hint=hint)


def _known(
    file: ProfileFile,
    above: tuple[str, ...],
    table: Mapping[str, Any],
    known: Sequence[str],
    named: Mapping[str, Sequence[str]],
) -> None:
    for key in table:
        if key in known:
            continue
        prefix = "".join(f"{name}." for name in above)
        near = difflib.get_close_matches(key, known, n=1)
        # A right key in the wrong section is more than a slip of the finger.
        elsewhere = [f"{section}.{key}" for section, keys in named.items() if key in keys]
        found = elsewhere or [f"{prefix}{name}" for name in near]
        hint = f"did you mean {found[0]}?" if found else f"known are {', '.join(known)}"
        raise _wrong(file, (*above, key), "unknown key", hint)


def _table(file: ProfileFile, name: str) -> Mapping[str, Any]:
    table = file.table.get(name, {})
    if not isinstance(table, dict):
        raise _wrong(file, (name,), "a table is wanted")
    return table


def _value(file: ProfileFile, keys: tuple[str, ...], value: object, *, is_list: bool) -> None:
    """Check a string, or a list of them."""
    words = value if isinstance(value, list) else [value]
    texts = [word for word in words if isinstance(word, str)]
    if isinstance(value, list) != is_list or texts != words:
        raise _wrong(file, keys, f"a {'list of strings' if is_list else 'string'} is wanted")
    _texts(file, keys, texts, _CHECKS.get(".".join(keys)) or _SECTION_CHECKS.get(keys[0]))
    if not texts and keys in _NOT_EMPTY:
        raise _wrong(file, keys, "none", f"one or more of {', '.join(_NOT_EMPTY[keys])} are wanted")


def _texts(
    file: ProfileFile, keys: tuple[str, ...], texts: Iterable[str], check: Check | None
) -> None:
    for text in texts:
        if not text.isprintable():
            raise _wrong(file, keys, f"{text!a}: a control character", "leave it out")
        complaint = check(text) if check else ""
        if complaint:
            raise _wrong(file, keys, repr(text), complaint)


def _initrd(file: ProfileFile, name: str, value: object) -> None:
    keys = ("initrd", name)
    if not isinstance(value, dict) or not {"marks", "files"} <= set(value):
        raise _wrong(file, keys, _INITRD_WANTED)
    _known(file, keys, value, [*_INITRD], {})
    if not all(isinstance(each, _INITRD[key]) for key, each in value.items()):
        raise _wrong(file, keys, _INITRD_WANTED)
    files, features = value["files"], value.get("features", {})
    texts = [*value["marks"], *files, *files.values(), *features.values()]
    if not all(isinstance(text, str) for text in texts):
        raise _wrong(file, keys, _INITRD_WANTED)
    _texts(file, keys, texts, _relative)
    _texts(file, keys, features, None)


def _wrong(
    file: ProfileFile, keys: tuple[str, ...], what: str, hint: str | None = None
) -> KdumpInitrdError:
    name = ".".join(key if key.isprintable() else ascii(key) for key in keys)
    return KdumpInitrdError(f"{file.where(*keys)}: {name}: {what}", hint=hint)


def _relative(text: str) -> str:
    parts = text.split("/")
    right = text and parts[0] and ".." not in parts
    return "" if right else "a path without a / in front and without .. is wanted"


def _absolute(text: str) -> str:
    right = text.startswith("/") and ".." not in text.split("/")
    return "" if right else "a path from / on, without .., is wanted"


def _file_name(text: str) -> str:
    right = text not in ("", ".", "..") and "/" not in text
    return "" if right else "the name of a file is wanted, without a /"


def _stamped(text: str) -> str:
    """Check a name with the crash time in it, as the saver will expand it."""
    try:
        return _file_name(time.strftime(text, _EXAMPLE))
    except ValueError:
        return "a pattern of strftime(3) is wanted"


def _one_of(*names: str) -> Check:
    wanted = ", ".join(name or '""' for name in names)

    def check(text: str) -> str:
        near = difflib.get_close_matches(text, names, n=1, cutoff=0.4)
        return (
            ""
            if text in names
            else f"did you mean {near[0]}?"
            if near
            else f"one of {wanted} is wanted"
        )

    return check


def _pattern(*words: str, path: Check = _relative) -> Check:
    names = ", ".join(f"{{{word}}}" for word in words)

    def check(text: str) -> str:
        if placeholder.unknown(text, words):
            return f"what is replaced is {names}"
        return path(text)

    return check


def _word(text: str) -> str:
    return "" if text and not text.isspace() else "a word is wanted"


def _module(text: str) -> str:
    return "" if re.fullmatch(r"[\w-]+", text) else "the name of a kernel module is wanted"


def _profile(text: str) -> str:
    return "" if NAME.fullmatch(text) else "the name of a profile is wanted, without .toml"


_ANY = _pattern(*placeholder.WORDS)
_CHECKS: Mapping[str, Check] = {
    "inherits": _profile,
    "name": _word,
    "ids": _profile,
    "files": _relative,
    "kernel.image": _ANY,
    "kernel.config": _ANY,
    "kernel.initrd": _ANY,
    "kernel.modules": _pattern(placeholder.RELEASE),
    "kernel.capture_image": _pattern(placeholder.RELEASE),
    "kernel.first_image": _pattern(placeholder.RELEASE, path=_file_name),
    "kernel.versions": _one_of(*versions.ORDERS),
    "dump.path": _absolute,
    "dump.directory": _stamped,
    "dump.dump": _stamped,
    "dump.dmesg": _stamped,
    "dump.capture_log": _file_name,
    "dump.readme": lambda text: _stamped(text) if text else "",
    "dump.codecs": _one_of(*CODECS),
    "config.peer": _one_of(*PEERS),
}
_SECTION_CHECKS: Mapping[str, Check] = {
    "kernel": _relative,
    "tools": _relative,
    "hardware": _module,
    "filesystems": _module,
    "cmdline": _word,
}
#: Lists that must not be empty, and what may be in them.
_NOT_EMPTY = {("dump", "codecs"): CODECS}
