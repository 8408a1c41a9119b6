# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of the types of file systems that need something of their own: a new one is a row."""

from __future__ import annotations

from collections.abc import Mapping

from .btrfs import Btrfs
from .fat import Vfat
from .filesystem import FileSystem
from .xfs import Xfs

_TYPES: Mapping[str, FileSystem] = {"btrfs": Btrfs(), "vfat": Vfat(), "xfs": Xfs()}
_ANY = FileSystem()


def of(fstype: str) -> FileSystem:
    """Return what is known of a type of file system."""
    return _TYPES.get(fstype, _ANY)
