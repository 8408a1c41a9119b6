# SPDX-License-Identifier: GPL-2.0-or-later
"""Words in braces that the paths of a profile may have, and what they stand for in a root."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from ...core.root import Root
from ..kernel import loaderentry
from . import osrelease

RELEASE = "release"
_WORD = re.compile(r"\{([^{}]*)\}")
#: machine-id(5): 32 hexadecimal digits in lower case; before the first boot, "uninitialized".
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")


def expand(pattern: str, *, root: Root, release: str) -> Iterator[str]:
    """Yield the paths that ``pattern`` may stand for, the likeliest first.

    There are none if the root has no value for one of its words.
    """
    words = list(dict.fromkeys(_WORD.findall(pattern)))
    for values in itertools.product(*(_VALUES[word](root, release) for word in words)):
        table = dict(zip(words, values))
        yield _WORD.sub(lambda match: table[match[1]], pattern)  # noqa: B023


def unknown(text: str, allowed: Iterable[str]) -> bool:
    """Tell whether ``text`` has braces that are not around one of the ``allowed`` words."""
    rest = _WORD.sub(lambda match: "" if match[1] in allowed else match[0], text)
    return "{" in rest or "}" in rest


def _entry_tokens(root: Root, _release: str) -> Iterable[str]:
    """Return what kernel-install(8) names a folder by, with --entry-token=auto."""
    system = osrelease.read(root)
    machine = _line("etc/machine-id", root=root)
    values = (
        _line("etc/kernel/entry-token", root=root),
        machine if _MACHINE_ID.fullmatch(machine) else "",
        system.get("IMAGE_ID", ""),
        system.get("ID", ""),
    )
    return list(dict.fromkeys(filter(_is_name, values)))


def _package_names(root: Root, release: str) -> Iterable[str]:
    """Return what mkinitcpio's presets name images by: pkgbase; Manjaro's by kernelbase."""
    files = ("pkgbase", "kernelbase")
    values = (_line(f"usr/lib/modules/{release}/{name}", root=root) for name in files)
    return list(dict.fromkeys(filter(_is_name, values)))


def _loader_linux(root: Root, release: str) -> Iterable[str]:
    return [path for entry in loaderentry.find(release, root=root) for path in entry.linux]


def _loader_initrd(root: Root, release: str) -> Iterable[str]:
    return [path for entry in loaderentry.find(release, root=root) for path in entry.initrd]


def _line(name: str, *, root: Root) -> str:
    """Return the first line of a file of the root, "" where there is none."""
    path = root.file(name)
    try:
        text = root.read_text(path) if path else ""
    except OSError:
        return ""
    return text.strip().partition("\n")[0].strip()


def _is_name(value: str) -> bool:
    return bool(value) and value.isprintable() and "/" not in value and value not in (".", "..")


_VALUES: Mapping[str, Callable[[Root, str], Iterable[str]]] = {
    RELEASE: lambda _root, release: (release,),
    "entry_token": _entry_tokens,
    "pkgbase": _package_names,
    "loader_linux": _loader_linux,
    "loader_initrd": _loader_initrd,
}
#: All words that are known, for schema and documentation.
WORDS = tuple(_VALUES)
