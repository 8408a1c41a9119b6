# SPDX-License-Identifier: GPL-2.0-or-later
"""VFAT, whose names are in whichever encoding it is mounted with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .filesystem import FileSystem, Placed

if TYPE_CHECKING:
    from ..probe.host.hostfacts import HostFacts
    from .blockdevice import BlockDevice


class Vfat(FileSystem):
    """See FileSystem."""

    def place(
        self, device: BlockDevice, folder: str, options: str | None, *, host: HostFacts
    ) -> Placed:
        """See FileSystem."""
        found = super().place(device, folder, options, host=host)
        # Otherwise the encoding is the capture kernel's own.
        return found if found.folder.isascii() else replace(found, options="utf8=1")
