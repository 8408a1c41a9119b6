# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own configuration: /etc/kdump-initrd.toml and its drop-ins, see kdump-initrd.toml(5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..core import schema
from ..core.root import Root
from ..core.schema import Read, Table
from ..core.toml import Document, TomlError, parse
from .findings import ROWS, TARGET, Findings, Place, parsed
from .settings import CAPTURE, Setting
from .targetsettings import TargetSettings

#: Relative to the root.
NAME = "etc/kdump-initrd.toml"
DROP_INS = "etc/kdump-initrd.toml.d"
#: "device" in [capture] is the first target. The others are in [[target]], as are layers, and the
#: deadline that applies to all is setup-timeout.
_ELSEWHERE = ("device", "target", "deadline", "layers")
#: Section: the settings in it, in the order of the man page. Some make sense on a command line only
#: (what to do, where to write, which root), and are not among them.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "capture": ("device", "fstype", *(row.name for row in CAPTURE if row.name not in _ELSEWHERE)),
    "first-kernel": (
        *("capture_kernel", "append_cmdline", "remove_cmdline", "inherit_cmdline"),
        *("standalone", "root_device"),
    ),
    "image": ("hardware", "add_modules", "omit_modules", "tools", "compress"),
    "refresh": ("images", "kernels"),
    "reserve": ("crashkernel", "shrink", "automatic"),
}
#: No setting is a number of that size, and Python refuses to print much larger ones.
_MANY = 10**9


def key_of(row: Setting) -> str:
    """Return the row's key in the file: its long flag without the dashes, else its name."""
    flag = row.flags[0] if row.flags else ""
    return flag[2:] if flag.startswith("--") else row.name.replace("_", "-")


#: Section: its rows by their keys.
KEYS: Mapping[str, Mapping[str, Setting]] = {
    section: {key_of(ROWS[name]): ROWS[name] for name in names}
    for section, names in SECTIONS.items()
}


def read(findings: Findings, *, root: Root) -> bool:
    """Add what the file itself says; return whether there is one."""
    return _read_file(findings, NAME, root=root)


def read_drop_ins(findings: Findings, *, root: Root) -> bool:
    """Add what the drop-ins say, in the order of their names; return whether there are any."""
    before = len(findings.files)
    for folder in root.folders([DROP_INS]):
        findings.mistrust(folder)
        for path in root.entries(folder, "*.toml"):
            _read_file(findings, f"{DROP_INS}/{path.name}", root=root)
    return len(findings.files) > before


def read_text(findings: Findings, path: Path, content: bytes) -> None:
    """Add what ``content`` says, which is that of the file ``path``."""
    try:
        document = parse(path, content)
    except TomlError as error:
        findings.fail_at(Place(path, error.line) if error.line else path, str(error))
        return
    values, mistakes = schema.read(document.table, DECLARED)
    for each in mistakes:
        hint = f", {each.hint}" if each.hint else ""
        findings.fail_at(Place(path, document.line(each.key)), f"{each}{hint}")
    targets = list(_targets(path, document, values))
    if targets:
        # These replace an earlier file's targets, and so its file system does not apply to them.
        findings.aim(targets)
        findings.forget("fstype")
    for section, said in values.items():
        for key, value in said.items():
            place = Place(path, document.line((section, key)))
            findings.put(KEYS[section][key].name, value, place)


def _targets(path: Path, document: Document, values: dict[str, Any]) -> Iterator[TargetSettings]:
    """Yield the targets in a file, and remove them from its ``values``."""
    device = values.get("capture", {}).pop("device", None)
    if device is not None:
        yield TargetSettings(device, origin=document.where("capture", "device"))
    for number, said in enumerate(values.pop("target", ())):
        yield TargetSettings(**said, origin=document.where("target", number))


def _read_file(findings: Findings, name: str, *, root: Root) -> bool:
    before = len(findings.files)
    found = findings.open(name, root=root)
    if found is not None:
        read_text(findings, *found)
    return len(findings.files) > before


def _value(row: Setting, value: object) -> object:
    words = _words(row, value)
    if words is None:
        raise ValueError(f"expected {_expected(row)}")
    return parsed(row, words)


def _words(row: Setting, value: object) -> str | Sequence[str] | bool | None:
    """Return a TOML value as parsed() takes it; None if it has another type."""
    if not row.metavar or isinstance(value, bool):
        return value if isinstance(value, bool) and not row.metavar else None
    if isinstance(value, int) and row.is_number:
        return str(value) if abs(value) < _MANY else None
    if isinstance(value, str):
        return [value] if row.many else value
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return None
    if row.many:
        return value
    is_list = isinstance(row.default, tuple) or "[," in row.metavar
    return ",".join(value) if is_list else None


def _expected(row: Setting) -> str:
    if not row.metavar:
        return "true or false"
    if row.many or isinstance(row.default, tuple) or "[," in row.metavar:
        return "a string or a list of strings"
    return "a number" if row.is_number else "a string"


def _reading(rows: Mapping[str, Setting]) -> Mapping[str, Read]:
    return {key: partial(_value, row) for key, row in rows.items()}


#: What a file may contain.
DECLARED = Table(
    {
        **{section: Table(_reading(rows)) for section, rows in KEYS.items()},
        "target": Table(_reading(TARGET), array=True),
    }
)
