# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines that boot loaders read: of the system's own entries, and how to find them.

Entries for recovery are left out, since hardly anybody wants a reservation there; so are those of
other systems, and what a person has added to a generated file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..core import pesections
from ..core.files import TEXT
from ..core.root import Root

#: The largest entry, in bytes, and the largest UKI.
_SHORT, _UKI = 1 << 16, 512 << 20
#: grub-mkconfig (util/grub-mkconfig.in) marks what each of its scripts has written; 10_linux and
#: 20_linux_xen write the system's own entries, 30_os-prober those of others.
_BEGIN, _END = re.compile(r"### BEGIN \S*/(\S+) ###"), re.compile(r"### END ")
_OWN = re.compile(r"\d+_linux")
_LINUX = re.compile(r"\s*linux(?:16|efi)?\s+\S+(.*)")
_RECOVERY = re.compile(
    r"(?<!\S)(?:single|recovery|rescue|emergency|systemd\.unit=(?:rescue|emergency)\.target)(?!\S)"
)
#: A variable of GRUB's in an entry: its value is in grubenv.
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_GRUBENV = ("boot/grub2/grubenv", "boot/grub/grubenv")


@dataclass(frozen=True)
class Boot:
    """A command line that the next boot may have, and the file that the boot loader has it from."""

    place: Path
    cmdline: str


def read(patterns: Sequence[str], root: Root) -> list[Boot]:
    """Return the command lines of the first of ``patterns`` that has any; raises OSError."""
    for pattern in patterns:
        found = [
            Boot(path, cmdline)
            for path in files(pattern, root)
            for cmdline in _reader(pattern)(path, root)
        ]
        if found:
            return found
    return []


def files(pattern: str, root: Root) -> list[Path]:
    """Return the files of a pattern, of which only the last part may have wildcards."""
    place = PurePosixPath(pattern)
    found = (root.file(path) for path in root.entries(place.parent, place.name))
    return [path for path in found if path is not None]


def _reader(pattern: str) -> Callable[[Path, Root], Iterator[str]]:
    name = PurePosixPath(pattern).name
    return next((each for end, each in _READERS.items() if name.endswith(end)), _entry)


def _grub(path: Path, root: Root) -> Iterator[str]:
    text = root.read_text(path, limit=TEXT)
    generated = _BEGIN.search(text) is not None
    script = ""
    for line in text.splitlines():
        begin, match = _BEGIN.match(line), _LINUX.match(line)
        if begin or _END.match(line):
            script = begin[1] if begin else ""
        elif match and (not generated or _OWN.match(script)) and not _RECOVERY.search(match[1]):
            yield match[1]


def _entry(path: Path, root: Root) -> Iterator[str]:
    """Yield the command line of an entry (uapi-group.org, Boot Loader Specification, type 1)."""
    keys: dict[str, list[str]] = {}
    for line in root.read_text(path, limit=_SHORT).splitlines():
        key, _, value = line.strip().partition(" ")
        keys.setdefault(key, []).append(value.strip())
    machine = _line("etc/machine-id", root)
    elsewhere = machine and keys.get("machine-id", [machine]) != [machine]
    cmdline = " ".join(keys.get("options", []))
    if "linux" not in keys or elsewhere or "rescue" in path.name or _RECOVERY.search(cmdline):
        return
    if "$" in cmdline:
        known = _grubenv(root)
        cmdline = _VARIABLE.sub(lambda match: known.get(match[1], ""), cmdline)
    yield cmdline


def _grubenv(root: Root) -> Mapping[str, str]:
    path = root.first_file(_GRUBENV)
    text = root.read_text(path, limit=_SHORT) if path else ""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, sign, value in pairs if sign}


def _extlinux(path: Path, root: Root) -> Iterator[str]:
    for line in root.read_text(path, limit=TEXT).splitlines():
        key, _, value = line.strip().partition(" ")
        if key.lower() == "append" and not _RECOVERY.search(value):
            yield value


def _zipl(path: Path, root: Root) -> Iterator[str]:
    """Yield the parameters of each section (zipl.conf(5))."""
    for line in root.read_text(path, limit=TEXT).splitlines():
        key, sign, value = line.partition("=")
        if sign and key.strip() == "parameters":
            yield value.strip().strip("\"'")


def _uki(path: Path, root: Root) -> Iterator[str]:
    """Yield a UKI's own command line, with what add-ons append to it (systemd-stub(7))."""
    own = embedded(path, root)
    if own is None:
        return
    folders = (path.with_name(f"{path.name}.extra.d"), path.parents[2] / "loader/addons")
    addons = [file for folder in folders for file in root.entries(folder, "*.addon.efi")]
    yield " ".join([own, *(embedded(file, root) or "" for file in addons)])


def embedded(path: Path, root: Root) -> str | None:
    """Return the command line in an EFI program, None where there is none; raises OSError."""
    data = root.read(path, limit=_UKI)
    place, size = pesections.places(io.BytesIO(data)).get(".cmdline", (0, 0))
    text = data[place : place + size].decode(errors="replace").strip("\0 \n")
    return text if place else None


def _line(name: str, root: Root) -> str:
    path = root.file(name)
    return root.read_text(path, limit=_SHORT).strip() if path else ""


#: How a file is read, by the end of its name; all others are entries.
_READERS: Mapping[str, Callable[[Path, Root], Iterator[str]]] = {
    "grub.cfg": _grub,
    "extlinux.conf": _extlinux,
    "zipl.conf": _zipl,
    ".efi": _uki,
}
