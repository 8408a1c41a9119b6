# SPDX-License-Identifier: GPL-2.0-or-later
"""Which distribution a root holds, and its facts from distros/*.toml."""

from __future__ import annotations

import difflib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import KdumpInitrdError
from ..rooted import first_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The profile of a distribution that nobody knows.
FALLBACK = "linux"
#: The compressions of pages that the format of dumps knows and that we write.
CODECS = ("lzo", "snappy", "zstd", "zlib")


@dataclass(frozen=True)
class Kernel:
    """Where kernels, their modules and images lie; ``{release}`` stands for the kernel release.

    ``initrd`` are the candidates for the distribution's own initrd, ``first_image`` is the name
    of ours for the first kernel, beside it.
    """

    image: tuple[str, ...]
    config: tuple[str, ...]
    modules: tuple[str, ...]
    firmware: tuple[str, ...]
    initrd: tuple[str, ...]
    capture_image: str
    first_image: str


@dataclass(frozen=True)
class Dump:
    """Where dumps go and what they are called: strftime patterns of the crash time in UTC.

    ``readme`` is a text for people beside the dump, "" for none. ``codecs`` are the compressions
    of pages that the distribution's readers of dumps open, the fastest first.
    """

    path: str
    directory: str
    dump: str
    dmesg: str
    capture_log: str
    readme: str
    codecs: tuple[str, ...]


@dataclass(frozen=True)
class Tools:
    """Candidates for the shell, tools and interpreter of the image, relative to the root."""

    busybox: tuple[str, ...]
    shell: tuple[str, ...]
    python: tuple[str, ...]
    path: tuple[str, ...]


@dataclass(frozen=True)
class InitrdKind:
    """A kind of initrd that takes a hook of ours, told by its content.

    All paths of ``marks`` are in it. ``files`` maps paths in it to templates: what has to be
    added or written anew. ``features`` maps a word for people to a path that tells of it.
    """

    name: str
    marks: tuple[str, ...]
    files: Mapping[str, str]
    features: Mapping[str, str]


@dataclass(frozen=True)
class Distro:
    """A distribution's facts; the sections are those of its TOML file."""

    id: str
    name: str
    kernel: Kernel
    dump: Dump
    tools: Tools
    hardware: Mapping[str, tuple[str, ...]]
    filesystems: Mapping[str, tuple[str, ...]]
    cmdline: Mapping[str, tuple[str, ...]]
    initrds: tuple[InitrdKind, ...]

    def capture_cmdline(self, machine: str) -> tuple[str, ...]:
        """Return the words of the capture kernel's command line for ``machine`` (uname -m)."""
        return (*self.cmdline.get(machine, ()), *self.cmdline["common"])


_SECTIONS = {"kernel": Kernel, "dump": Dump, "tools": Tools}


def known(search_path: Sequence[Path]) -> list[str]:
    """Return the ids of all profiles on ``search_path``, sorted."""
    return sorted({file.stem for folder in search_path for file in folder.glob("*.toml")})


def load(distro: str, *, search_path: Sequence[Path]) -> Distro:
    """Read the profile ``distro`` and those that it inherits from.

    Raises KdumpInitrdError for an unknown id, a broken file, and a key outside the schema.
    """
    tables = _chain(distro, search_path, seen=())
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            if isinstance(value, dict):
                merged[key] = {**merged.get(key, {}), **value}
            else:
                merged[key] = value
    _check_complete(distro, merged)
    lists = {
        key: {name: tuple(words) for name, words in merged.get(key, {}).items()}
        for key in ("hardware", "filesystems", "cmdline")
    }
    return Distro(
        id=distro,
        name=merged["name"],
        kernel=Kernel(**_frozen(merged["kernel"])),
        dump=Dump(**_frozen(merged["dump"])),
        tools=Tools(**_frozen(merged["tools"])),
        initrds=tuple(
            InitrdKind(name, tuple(kind["marks"]), kind["files"], kind.get("features", {}))
            for name, kind in merged.get("initrd", {}).items()
        ),
        **lists,
    )


def detect(root: Path, *, search_path: Sequence[Path]) -> Distro:
    """Return the profile of the distribution in ``root``, by its os-release's ID, then ID_LIKE."""
    there = known(search_path)
    for name in (*os_release_ids(root), FALLBACK):
        if name in there:
            return load(name, search_path=search_path)
    raise KdumpInitrdError(f"no profile {FALLBACK}.toml in {search_path[-1]}")


def os_release_ids(root: Path) -> tuple[str, ...]:
    """Return ID and the words of ID_LIKE from ``root``'s os-release(5), most specific first."""
    values: dict[str, str] = {}
    path = first_file(("etc/os-release", "usr/lib/os-release"), root=root)
    text = path.read_text(encoding="utf-8", errors="replace") if path else ""
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and key in ("ID", "ID_LIKE"):
            values[key] = _unquote(value)
    return tuple(f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".split())


def _unquote(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return ""


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}


def _chain(distro: str, search_path: Sequence[Path], *, seen: tuple[str, ...]) -> list[Any]:
    """Return the tables from the eldest ancestor to ``distro`` itself."""
    if distro in seen:
        raise KdumpInitrdError(f"{distro}.toml: inherits from itself ({' → '.join(seen)})")
    file = next(
        (f / f"{distro}.toml" for f in search_path if (f / f"{distro}.toml").exists()), None
    )
    if file is None:
        raise KdumpInitrdError(
            f"{distro}: unknown distribution", hint=f"known are {', '.join(known(search_path))}"
        )
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise KdumpInitrdError(f"{file}: {error}") from error
    _check_schema(file, table)
    parent = table.pop("inherits", None)
    above = _chain(parent, search_path, seen=(*seen, distro)) if parent else []
    return [*above, table]


def _check_schema(file: Path, table: Mapping[str, Any]) -> None:
    """Refuse what the schema does not know: a misspelt key would be a silent default."""
    lists = ("hardware", "filesystems", "cmdline")
    _known_keys(file, "", table, ("inherits", "name", "initrd", *_SECTIONS, *lists))
    for name, kind in _SECTIONS.items():
        section = table.get(name, {})
        if not isinstance(section, dict):
            raise KdumpInitrdError(f"{file}: {name}: a table is wanted")
        annotations = {field.name: str(field.type) for field in fields(kind)}
        _known_keys(file, f"{name}.", section, tuple(annotations))
        for key, value in section.items():
            is_list = annotations[key] != "str"
            if not (_is_list_of_words(value) if is_list else isinstance(value, str)):
                wanted = "a list of strings" if is_list else "a string"
                raise KdumpInitrdError(f"{file}: {name}.{key}: {wanted} is wanted")
    codecs = table.get("dump", {}).get("codecs", CODECS)
    if not codecs or not set(codecs) <= set(CODECS):
        raise KdumpInitrdError(
            f"{file}: dump.codecs: {', '.join(codecs) or 'none'}",
            hint=f"one or more of {', '.join(CODECS)} are wanted",
        )
    for name in lists:
        section = table.get(name, {})
        if not isinstance(section, dict) or not all(map(_is_list_of_words, section.values())):
            raise KdumpInitrdError(f"{file}: {name}: lists of strings are wanted")
    kinds = table.get("initrd", {})
    if not isinstance(kinds, dict) or not all(map(_is_initrd_kind, kinds.values())):
        raise KdumpInitrdError(
            f"{file}: initrd: tables with marks (a list), files and features (tables) are wanted"
        )


def _check_complete(distro: str, merged: Mapping[str, Any]) -> None:
    """Refuse a profile that lacks something, mostly for want of ``inherits``."""
    hint = f'inherits = "{FALLBACK}" has a value for every key'
    if "name" not in merged or "common" not in merged.get("cmdline", {}):
        raise KdumpInitrdError(f"{distro}.toml: name and cmdline.common are wanted", hint=hint)
    for section, kind in _SECTIONS.items():
        for field in fields(kind):
            if field.name not in merged.get(section, {}):
                raise KdumpInitrdError(f"{distro}.toml: no {section}.{field.name}", hint=hint)
    for key, value in merged["kernel"].items():
        for pattern in [value] if isinstance(value, str) else value:
            rest = pattern.replace("{release}", "")
            if "{" in rest or "}" in rest:
                raise KdumpInitrdError(
                    f"{distro}.toml: kernel.{key}: {pattern!r}", hint="only {release} is replaced"
                )


def _known_keys(file: Path, prefix: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known are {', '.join(known)}"
            raise KdumpInitrdError(f"{file}: {prefix}{key}: unknown key", hint=hint)


def _is_list_of_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _is_initrd_kind(value: object) -> bool:
    if not isinstance(value, dict) or not {"marks", "files"} <= set(value):
        return False
    tables = [value["files"], value.get("features", {})]
    words = [each for table in tables if isinstance(table, dict) for each in table.values()]
    return (
        set(value) <= {"marks", "files", "features"}
        and all(isinstance(table, dict) for table in tables)
        and _is_list_of_words([*words])
        and _is_list_of_words(value["marks"])
    )
