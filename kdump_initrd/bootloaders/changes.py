# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are changed, and brought back to what they were before."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from ..core import files, publish
from ..core.errors import KdumpInitrdError
from . import editing

#: Who may read a file that was not there.
_MODE = 0o644


@dataclass(frozen=True)
class Edit:
    """A file to be written, or to be removed where ``content`` is None."""

    path: Path
    content: bytes | None

    @classmethod
    def of(cls, path: Path, text: str | None) -> Edit:
        """Return the edit that writes a text."""
        return cls(path, None if text is None else editing.bytes_of(text))

    @property
    def text(self) -> str | None:
        """What is written, as editing.text_of() has it."""
        return None if self.content is None else editing.text_of(self.content)

    def apply(self) -> None:
        """Write or remove the file, if it is not that already. Raises KdumpInitrdError."""
        publish.sweep(self.path.parent)
        try:
            before = files.read(self.path) if self.path.exists() else None
            if before == self.content:
                return
            if self.content is None:
                publish.remove(self.path)
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            mode = stat.S_IMODE(self.path.stat().st_mode) if before is not None else _MODE
            stamp = publish.stamp(self.path) if before is not None else None
        except OSError as error:
            raise KdumpInitrdError(f"{self.path}: {error.strerror}") from error
        with publish.new_file(self.path, force=True, mode=mode, instead=stamp) as new:
            new.write(self.content)
            if before is not None:
                _dress(new.descriptor, self.path)


@dataclass(frozen=True)
class Kept:
    """A text as it was before it was changed, None for no file, and what was written instead.

    There are several such texts while the change is under way. ``folders`` were made for the file,
    the innermost first.
    """

    before: str | None
    wrote: tuple[str, ...]
    folders: tuple[Path, ...] = ()

    def undone(self, now: str | None, words: Sequence[str], *, sourced: bool) -> str | None:
        """Return what to have in the place of ``now``, so that the change is undone.

        That is the text before it. If somebody has changed the file since, what they wrote stays:
        lines that are as they were written get their old text, and from others ``words`` are taken
        out (``sourced`` is for editing.without). A file that was removed stays removed.
        """
        if now is None:
            return None
        if now in (self.before, *self.wrote):
            return self.before
        for text in self.wrote:
            now = _with_old_lines(now, text, self.before or "")
        now = editing.without(now, words, sourced=sourced)
        return now if now.strip() or self.before is not None else None


def _with_old_lines(now: str, wrote: str, before: str) -> str:
    """Return a text in which the lines that ``wrote`` has instead of ``before`` are as before."""
    new, old = editing.lines_of(wrote), editing.lines_of(before)
    # Whether the last line ends with a line feed makes no difference.
    after, earlier = ([line.rstrip("\n") for line in lines] for lines in (new, old))
    matcher = SequenceMatcher(None, after, earlier, autojunk=False)
    for tag, start, end, old_start, old_end in matcher.get_opcodes():
        ours, theirs = "".join(new[start:end]), "".join(old[old_start:old_end])
        last = "" if ours.endswith("\n") else r"(?=\n|\Z)"
        there = [*re.finditer(rf"^{re.escape(ours)}{last}", now, re.MULTILINE)]
        if tag == "equal" or not ours or len(there) != 1:
            continue
        head, tail = now[: there[0].start()], now[there[0].end() :]
        # What somebody has added behind the last line stays a line of its own.
        glued = tail and ours.endswith("\n") and theirs and not theirs.endswith("\n")
        now = f"{head}{theirs}\n{tail}" if glued else f"{head}{theirs}{tail}"
    return now


def _dress(descriptor: int, path: Path) -> None:
    """Give a new file the owner of the old one, its access list, and its label."""
    old, new = path.stat(), os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    # Not every file system has attributes, or takes each of them from anybody.
    with suppress(OSError):
        for name in os.listxattr(path):
            with suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(path, name))
