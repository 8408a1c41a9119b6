# SPDX-License-Identifier: GPL-2.0-or-later
"""What --set has put onto the command line, kept in a file: only that is taken out again.

The texts of the files that it has changed are in it, so that they get every byte back.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...bootloaders.changes import Kept
from ...core.errors import KdumpInitrdError
from ...core.publish import new_file, sweep
from ...core.root import Root
from .. import record

#: Beside the records of images, which are *.json.
_NAME = "crashkernel"
#: The largest note, in bytes: some texts of the largest size, as JSON.
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Note:
    """What was put there: the words, those that they replaced, and the files that were changed."""

    words: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    files: Mapping[Path, Kept] = field(default_factory=dict)


def load(root: Root) -> Note:
    """Return what was kept; an empty note where there is none that can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        table = json.loads(root.read_text(_path(root), limit=_LARGEST))
        words, before = (tuple(map(str, table[key])) for key in ("words", "before"))
        return Note(words, before, dict(_files(table.get("files", {}), root)))
    return Note()


def save(note: Note, root: Root) -> None:
    """Keep a note, before what it tells of is done. Raises KdumpInitrdError."""
    path = _path(root)
    files = {
        f"{root.inside(file)}": {
            "before": kept.before,
            "wrote": kept.wrote,
            "folders": [f"{root.inside(folder)}" for folder in kept.folders],
        }
        for file, kept in note.files.items()
    }
    text = json.dumps({"words": note.words, "before": note.before, "files": files}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _mode(note)
    except OSError as error:
        raise KdumpInitrdError(f"{error.filename}: {error.strerror}") from error
    with new_file(path, force=True, mode=mode) as new:
        new.write(f"{text}\n".encode())


def forget(root: Root) -> None:
    """Remove the note, and its folder if nothing else is in it."""
    path = _path(root)
    sweep(path.parent)
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def _files(table: Any, root: Root) -> Iterator[tuple[Path, Kept]]:  # noqa: ANN401 - what JSON has
    for name, each in table.items():
        before = each["before"]
        folders = tuple(_place(folder, root) for folder in each["folders"])
        text = before if before is None else str(before)
        yield _place(name, root), Kept(text, tuple(map(str, each["wrote"])), folders)


def _place(name: object, root: Root) -> Path:
    found = root.resolve(str(name))
    if found is None:
        raise ValueError(f"{name}: a loop of links")
    return found


def _mode(note: Note) -> int:
    """Return who may read the note: everybody, if that is so for all files whose texts it has."""
    modes = [file.stat().st_mode for file in note.files if file.exists()]
    return 0o644 if all(mode & stat.S_IROTH for mode in modes) else 0o600


def _path(root: Root) -> Path:
    return root.real_path(root.path / record.FOLDER) / _NAME
