# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings of a first kernel's image: a segment has fewer of them than a whole initrd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .settings import COMMON, FIRST_KERNEL, FirstKernelSettings

_ROWS = (*COMMON, *FIRST_KERNEL)
_OF_WHOLE = {"fstype", "hardware", "add_modules", "omit_modules", "compress", "root_device"}
#: Settings of whole images only: an appended segment follows its base.
OF_WHOLE = tuple(row for row in _ROWS if row.name in _OF_WHOLE)


def first_settings(configured: Mapping[str, Any], said: Mapping[str, Any]) -> FirstKernelSettings:
    """Return the settings of an image: what was ``said``, and otherwise what is ``configured``.

    Both are values by name. The configuration serves other images, too, so only what fits is taken
    from it: the configured file system is that of the place for dumps, never the root's; and if a
    base was said, the image is not a whole one.
    """
    names = {row.name for row in _ROWS} - {"fstype"}
    if {"base", "in_place"} & said.keys():
        names.remove("standalone")
    if not {"standalone": False, **_only(names, configured), **said}["standalone"]:
        names -= _OF_WHOLE
    return FirstKernelSettings(**{**_only(names, configured), **said})


def _only(names: set[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}
