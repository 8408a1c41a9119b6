# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own configuration: /etc/kdump-initrd.toml and its drop-ins, see kdump-initrd.toml(5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.root import folders
from ..core.toml import Key, line_of, loads
from .findings import ROWS, Findings, Place, Said
from .settings import CAPTURE, Setting

#: Relative to the root.
NAME = "etc/kdump-initrd.toml"
DROP_INS = "etc/kdump-initrd.toml.d"
#: Section: the settings in it, in the order of the man page. What a command line alone can mean
#: (what to do, where to write, of which root) is not among them.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "capture": ("device", "fstype", *(row.name for row in CAPTURE if row.name != "device")),
    "first-kernel": ("append_cmdline", "standalone", "root_device"),
    "image": ("hardware", "add_modules", "omit_modules", "tools", "compress"),
    "refresh": ("images", "kernels"),
}
#: No setting is a number of that size, and Python refuses to print what is much larger.
_MANY = 10**9


def key_of(row: Setting) -> str:
    """Return the row's key in the file: its long flag without the dashes, else its name."""
    flag = row.flags[0] if row.flags else ""
    return flag[2:] if flag.startswith("--") else row.name


#: Section: its rows by their keys.
KEYS: Mapping[str, Mapping[str, Setting]] = {
    section: {key_of(ROWS[name]): ROWS[name] for name in names}
    for section, names in SECTIONS.items()
}


def read(findings: Findings, *, root: Path) -> bool:
    """Add what the file itself says; tell whether there is one."""
    return _read_file(findings, NAME, root=root)


def read_drop_ins(findings: Findings, *, root: Path) -> bool:
    """Add what the drop-ins say, in the order of their names; tell whether there are any."""
    before = len(findings.files)
    for folder in folders([DROP_INS], root=root):
        findings.mistrust(folder)
        for name in sorted(file.name for file in folder.glob("*.toml")):
            _read_file(findings, f"{DROP_INS}/{name}", root=root)
    return len(findings.files) > before


def read_text(findings: Findings, path: Path, content: bytes) -> None:
    """Add what a file of that path says that has ``content``."""
    text = ""
    try:
        # TOML takes CR LF for LF, and lines are counted as people see them.
        text = content.decode().replace("\r\n", "\n")
        table = loads(text)
    except UnicodeDecodeError as error:
        findings.fail_at(Place(path, content.count(b"\n", 0, error.start) + 1), "not UTF-8")
    except (ValueError, RecursionError) as error:  # a number of too many digits is a ValueError
        findings.fail_at(_place_of(error, path, text), f"not TOML: {_reason(error)}")
    else:
        _File(findings, path, text).take(table)


def _read_file(findings: Findings, name: str, *, root: Path) -> bool:
    before = len(findings.files)
    found = findings.open(name, root=root)
    if found is not None:
        read_text(findings, *found)
    return len(findings.files) > before


class _File:
    """One file's tables, and where their keys stand."""

    def __init__(self, findings: Findings, path: Path, text: str) -> None:
        self._findings = findings
        self._path = path
        self._text = text

    def take(self, table: Mapping[str, Any]) -> None:
        for name, section in table.items():
            if name not in SECTIONS:
                hint = _where(name) if not isinstance(section, dict) else ""
                self._fail((name,), f"unknown section, {hint or self._near(name, SECTIONS)}")
            elif not isinstance(section, dict):
                self._fail((name,), f"a section is wanted: [{name}]")
            else:
                self._take_section(name, section)

    def _take_section(self, name: str, section: Mapping[str, Any]) -> None:
        rows = KEYS[name]
        if "device" in section and "device" in rows and "fstype" not in section:
            # Another device than an earlier file's: that one's file system says nothing of it.
            self._findings.forget("fstype")
        for key, value in section.items():
            if key not in rows:
                self._fail((name, key), f"unknown key, {_where(key) or self._near(key, rows)}")
                continue
            row = rows[key]
            words = _words(row, value)
            if words is None:
                self._fail((name, key), f"{_wanted(row)} is wanted")
            else:
                said = Said(f"{name}.{key}", "", self._place(name, key))
                self._findings.take(row.name, words, said)

    def _fail(self, key: Key, text: str) -> None:
        self._findings.fail_at(self._place(*key), f"{'.'.join(key)}: {text}")

    def _near(self, key: str, known: Iterable[str]) -> str:
        near = self._findings.near(key, tuple(known))
        return f"did you mean {near}?" if near else f"known are {', '.join(known)}"

    def _place(self, *key: str) -> Place:
        # Where a key has no line of its own, that of its table's is the nearest.
        return Place(self._path, line_of(self._text, key) or 1)


def _words(row: Setting, value: object) -> str | Sequence[str] | bool | None:
    """Return a TOML value as Findings.take() wants it; None for one of another type."""
    if not row.metavar or isinstance(value, bool):
        return value if isinstance(value, bool) and not row.metavar else None
    if isinstance(value, int) and isinstance(row.default, int):
        return str(value) if abs(value) < _MANY else None
    if isinstance(value, str):
        return [value] if row.many else value
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return None
    if row.many:
        return value
    is_list = isinstance(row.default, tuple) or "[," in row.metavar
    return ",".join(value) if is_list else None


def _wanted(row: Setting) -> str:
    if not row.metavar:
        return "true or false"
    if row.many or isinstance(row.default, tuple) or "[," in row.metavar:
        return "a string or a list of strings"
    return "a number" if isinstance(row.default, int) else "a string"


def _where(key: str) -> str:
    sections = [section for section, rows in KEYS.items() if key in rows]
    return f"it belongs into [{sections[0]}]" if sections else ""


def _place_of(error: Exception, path: Path, text: str) -> Place | Path:
    """Find the line in the parser's message: "… (at line 3, column 5)", "(at end of document)"."""
    found = re.search(r"\(at (?:line (\d+)|end of document)", str(error))
    if found is None:
        return path
    return Place(path, int(found[1]) if found[1] else len(text.splitlines()))


def _reason(error: Exception) -> str:
    return re.sub(r" \(at .*\)$", "", str(error))
