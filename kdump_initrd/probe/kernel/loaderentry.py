# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot loader entries of a root: the files that boot a kernel release.

Format: The Boot Loader Specification (uapi-group.org), "Type #1 Boot Loader Specification Entries".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core.root import Root
from . import kernelimage

#: $BOOT, where loader/entries is: the places that the specification and kernel-install(8) name.
_BOOTS = ("boot", "efi", "boot/efi")
#: What boot counting adds to the name of an entry: "+3", "+2-1".
_TRIES = re.compile(r"\+\d+(-\d+)?$")


@dataclass(frozen=True)
class LoaderEntry:
    """The files of one entry, relative to the root; each may be in one of two places.

    Paths in an entry are relative to the file system that holds it. If /boot is not a file system
    of its own, some distributions write paths relative to the root.
    """

    linux: tuple[str, ...]
    initrd: tuple[str, ...]


def find(release: str, *, root: Root) -> Iterator[LoaderEntry]:
    """Yield the entries of ``root`` that boot the kernel ``release``, the last snapshot's first.

    Of several initrds the last one counts: those before it contain microcode.
    """
    for boot in _BOOTS:
        entries = root.entries(f"{boot}/loader/entries", "*.conf")
        for path in sorted(entries, key=_numbers, reverse=True):
            values = _read(path, root)
            entry = LoaderEntry(*(_places(values.get(k), boot) for k in ("linux", "initrd")))
            if _boots(values, path.stem, release) or _is_of(entry, release, root=root):
                yield entry


def _numbers(path: Path) -> list[tuple[int, str]]:
    # openSUSE's names end with the number of a snapshot: 9 is before 10.
    words = re.split(r"(\d+)", path.stem)
    return [(int(word), "") if word.isdecimal() else (0, word) for word in words]


def _read(path: Path, root: Root) -> dict[str, list[str]]:
    """Return the words of each key, without GRUB's variables; nothing if the file is unreadable."""
    try:
        text = root.read_text(path)
    except OSError:
        return {}
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, *words = line.split() or [""]
        found.setdefault(key, []).extend(word for word in words if not word.startswith("$"))
    return found


def _boots(values: dict[str, list[str]], stem: str, release: str) -> bool:
    """Tell whether an entry is the release's, by its version, else by its name."""
    if values.get("version"):
        # openSUSE's sdbootutil writes SNAPSHOT@RELEASE.
        return values["version"][-1].rpartition("@")[2] == release
    return _TRIES.sub("", stem).endswith(f"-{release}")


def _is_of(entry: LoaderEntry, release: str, *, root: Root) -> bool:
    """Tell whether an entry's kernel is the release's, whatever the entry says of itself.

    ostree numbers its entries ("version 1"), and an administrator may call one "arch". The
    kernel's path tells it, or the kernel does.
    """
    for place in entry.linux:
        path = PurePosixPath(place)
        if path.name.endswith(f"-{release}") or path.parent.name == release:
            return True
    kernel = root.first_file(entry.linux)
    return kernel is not None and kernelimage.release_in_header(kernel) == release


def _places(words: list[str] | None, boot: str) -> tuple[str, ...]:
    """Return where the last file of a key may be, relative to the root."""
    if not words:
        return ()
    name = words[-1].lstrip("/")
    return (f"{boot}/{name}", name)
