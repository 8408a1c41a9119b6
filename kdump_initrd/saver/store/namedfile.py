# SPDX-License-Identifier: GPL-2.0-or-later
"""Files at paths that a user has chosen: each is NAME-incomplete until it is complete."""

from __future__ import annotations

import os

from . import Lines, Part, Store
from .diskfile import write_all
from .folder import FilePart


class NamedFiles(Store):
    """See Store: names are paths. What is there already is replaced. No target uses this."""

    def __init__(self, keep_free: int) -> None:
        """Take keep_free, as in TargetParams."""
        self._keep_free = keep_free

    def lines(self, name: str, last: str) -> Lines:
        """See Store."""
        return _FileLines(self.dump(name, last))

    def dump(self, name: str, last: str) -> Part:
        """See Store."""
        return _NamedPart("", name, keep_free=self._keep_free)


class _NamedPart(FilePart):
    def create(self) -> int:
        self.discard()
        return super().create()


class _FileLines(Lines):
    def __init__(self, part: Part) -> None:
        self._part = part
        self._fd = part.create()
        self._empty = True

    def write(self, data: bytes) -> None:
        self._empty = self._empty and not data
        write_all(self._fd, data)

    def end(self, data: bytes, *, whole: bool) -> None:
        try:
            self.write(data)
            os.fsync(self._fd)
        finally:
            self._part.close()
            if self._empty:
                self._part.discard()
        if whole and not self._empty:
            self._part.commit()
