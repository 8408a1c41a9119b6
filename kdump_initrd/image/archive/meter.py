# SPDX-License-Identifier: GPL-2.0-or-later
"""How much a segment may unpack to: a few bytes can be crafted to unpack endlessly."""

from __future__ import annotations

from .newc import CorruptError


class Meter:
    """Counts what is unpacked, and stops what a few bytes would make endless."""

    #: A real initrd unpacks to a few times its size. Allowed for each stored byte, and in any case.
    _TIMES, _ANY = 50, 1 << 28

    def __init__(self, stored: int) -> None:
        self._most = self._left = self._ANY + self._TIMES * stored

    def count(self, unpacked: int) -> None:
        """Count some bytes; raises CorruptError where they are too many."""
        self._left -= unpacked
        if self._left < 0:
            raise CorruptError(f"unpacks to more than {self._most >> 20} MB")
