# SPDX-License-Identifier: GPL-2.0-or-later
"""What --set has put onto the command line, kept in a file: only that is taken out again."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.publish import new_file
from ...core.root import Root
from .. import record

#: Beside the records of images, which are *.json.
_NAME = "crashkernel"
_SHORT = 1 << 16


@dataclass(frozen=True)
class Note:
    """What was put there: the words, and those that they replaced.

    ``created`` is what is in a file beside them that was not there, "" if it was.
    """

    words: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    created: str = ""


def load(root: Root) -> Note:
    """Return what was kept; an empty note where there is none that can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        table = json.loads(root.read_text(_path(root), limit=_SHORT))
        words, before = (tuple(map(str, table[key])) for key in ("words", "before"))
        return Note(words, before, str(table["created"]))
    return Note()


def save(note: Note, root: Root) -> None:
    """Keep a note, before what it tells of is done. Raises KdumpInitrdError."""
    path = _path(root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KdumpInitrdError(f"{path.parent}: {error.strerror}") from error
    with new_file(path, force=True, mode=0o644) as new:
        os.write(new.descriptor, f"{json.dumps(asdict(note))}\n".encode())


def forget(root: Root) -> None:
    """Remove the note, and its folder if nothing else is in it."""
    path = _path(root)
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def _path(root: Root) -> Path:
    return root.real_path(root.path / record.FOLDER) / _NAME
