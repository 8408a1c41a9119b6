# SPDX-License-Identifier: GPL-2.0-or-later
"""A small text in the crash's folder: whole at every moment, with room kept for its last words."""

from __future__ import annotations

import os

from . import Text
from .diskfile import sync_folder, write_all
from .naming import BESIDE

#: Bytes that are kept for the next text while the dump fills the file system.
_RESERVE = 16 << 10


class KeptFile(Text):
    """See Text: one file, replaced as a whole."""

    def __init__(self, folder: str, name: str, note: str = "") -> None:
        """Nothing is written yet."""
        self.name, self.note = name, note
        self._folder = folder
        self._path = os.path.join(folder, name)
        self._beside = self._path + BESIDE

    def write(self, text: str, *, last: bool = False) -> None:
        """See Text."""
        data = text.encode()
        try:
            self._replace(data)
        except OSError:
            self._overwrite(data)
        if not last:
            try:
                _fill(self._beside, b" " * _RESERVE)
            except OSError:
                return  # full already: the next text takes its chances

    def _replace(self, data: bytes) -> None:
        # Beside, into blocks that are reserved already; then the new name, at once.
        _fill(self._beside, data)
        os.rename(self._beside, self._path)
        sync_folder(self._folder)

    def _overwrite(self, data: bytes) -> None:
        # A file system that wants new blocks for old places: give it the reserved ones back.
        self._release()
        try:
            self._replace(data)
        except OSError:
            self._release()
            _fill(self._path, data)

    def _release(self) -> None:
        try:
            os.unlink(self._beside)
            sync_folder(self._folder)
        except OSError:
            return


def _fill(path: str, data: bytes) -> None:
    # Over the old content, not after truncation: its blocks are there.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        write_all(fd, data)
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)
