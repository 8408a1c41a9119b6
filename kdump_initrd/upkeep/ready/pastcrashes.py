# SPDX-License-Identifier: GPL-2.0-or-later
"""How earlier crashes ended: by their reports, where the file system with the dumps is mounted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...core.root import Root
from ...saver.store.naming import REPORT
from .dumpplaces import folder_here
from .link import NO, UNKNOWN, YES, Fact, Link
from .view import View

#: The result in a report of a crash whose dump is whole (kdump-initrd-report(5)).
_SAVED = "saved"
#: What the panic message of a crash by sysrq has in it: somebody wanted it (drivers/tty/sysrq.c).
_WANTED = "sysrq"
CRASH, TEST = "last crash", "last test"


@dataclass(frozen=True, order=True)
class _Past:
    # A crash by its report.
    when: str
    result: str
    path: Path
    panic: str


def last(seen: View) -> Iterator[Link]:
    """Yield links for the newest crash, and for the newest that was made on purpose.

    They do not decide whether the next crash is saved.
    """
    if not seen.places:
        why = "the target is not known"
    elif not any(disk and disk.mounted for disk in seen.disks.values()):
        why = "the target is not mounted here"
    else:
        found, why = _all(seen)
    for name in (CRASH, TEST):
        if why:
            yield Link(name, UNKNOWN, f"not looked at: {why}", decides=False)
            continue
        mine = [each for each in found if (_WANTED in each.panic) == (name == TEST)]
        yield _link(name, max(mine)) if mine else Link(name, YES, "none", decides=False)


def _all(seen: View) -> tuple[list[_Past], str]:
    """Return the crashes of all places, and why they may not be all."""
    found: list[_Past] = []
    for place in seen.places:
        disk = seen.disks[place.spec]
        if disk is None or disk.mounted is None:
            continue
        folder = seen.root.folder(folder_here(place, disk.mounted, seen.root))
        if folder is None:
            continue
        try:
            found += _inside(folder, seen.root)
        except PermissionError:
            return [], f"only root may look into {place.folder}"
    return found, ""


def _inside(folder: Path, root: Root) -> Iterator[_Past]:
    """Yield the crashes in a folder; raises PermissionError if it or a report cannot be read."""
    if not os.access(folder, os.R_OK):
        raise PermissionError
    for path in root.entries(folder):
        try:
            report = json.loads(root.read_text(path / REPORT))
            panic = str(report.get("panic", ""))
            yield _Past(str(report["crash_time"]), str(report["result"]), path, panic)
        except PermissionError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue


def _link(name: str, past: _Past) -> Link:
    facts: dict[str, Fact] = {
        "crash_time": past.when,
        "result": past.result,
        "panic": past.panic,
        "crash": str(past.path),
    }
    said = YES if past.result == _SAVED else NO
    hint = "" if said == YES else f"less {past.path / REPORT}"
    text = f"{past.when}: {past.result}, in {past.path}"
    return Link(name, said, text, hint, facts, decides=False)
