# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine whose second node has its memory far away: a huge hole between physical addresses."""

from __future__ import annotations

from pathlib import Path

from .pagetables import Image, Range, write_core
from .vmcore import DIRECT, PAGE, Core, text

#: Where the second node's memory begins, and its pages: none is in use.
FAR, PAGES = 32 << 40, (128 << 20) // PAGE
#: The bytes of a bitmap that reaches there.
BITMAP = -(-(FAR // PAGE + PAGES) // 8)
_NEAR = 0x100000


def far_core(path: Path, content: bytes | None = None) -> Path:
    """Write a core of some pages below 2 MiB, 16 unless there is a content, and the far ones."""
    content = text(16) if content is None else content
    image = Image()
    image.write(_NEAR, content)
    ranges = [
        Range(_NEAR, _NEAR + len(content), DIRECT + _NEAR),
        Range(FAR, FAR + PAGES * PAGE, DIRECT + FAR),
    ]
    return write_core(path, ranges, Core(), image)
