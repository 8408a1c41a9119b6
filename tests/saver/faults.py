# SPDX-License-Identifier: GPL-2.0-or-later
"""Windows with faults, for what no healthy machine shows."""

from __future__ import annotations

import errno
import os

from kdump_initrd.saver.memory.window import Window

from .vmcore import PAGE


class FaultyWindow(Window):
    """Mapping fails (everywhere, or where a bad page is), and reading bad pages gives EIO."""

    def __init__(
        self, path: str, *, map_fails: bool = False, bad_pages: tuple[int, ...] = ()
    ) -> None:
        super().__init__(path)
        self._map_fails = map_fails
        self._bad_pages = bad_pages

    def _hurts(self, offset: int, length: int) -> bool:
        return any(
            offset < (page + 1) * PAGE and page * PAGE < offset + length for page in self._bad_pages
        )

    def _map(self, offset: int, length: int) -> int:
        return 0 if self._map_fails else super()._map(offset, length)

    def _is_readable(self, offset: int, address: int, length: int) -> bool:
        return not self._hurts(offset, length) and super()._is_readable(offset, address, length)

    def _fill(self, buffer: memoryview, offset: int) -> int:
        if self._hurts(offset, len(buffer)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super()._fill(buffer, offset)

    def read(self, offset: int, length: int) -> bytes:
        if self._hurts(offset, length):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(offset, length)
