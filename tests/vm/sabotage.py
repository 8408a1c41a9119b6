# SPDX-License-Identifier: GPL-2.0-or-later
"""Sabotage of an image: files of it replaced by others."""

from __future__ import annotations

from pathlib import Path

from .archive import Archive

#: Where an image has them, by stages.
HOOKS_PATH = "/usr/lib/kdump-initrd/hooks"


def sabotage(image: Path, **files: bytes) -> None:
    """Append a segment that replaces files of the image: the kernel unpacks one after the other."""
    archive = Archive()
    for name, data in files.items():
        archive.content(name, data)
    part = image.with_name("sabotage.cpio")
    archive.write(part)
    whole = image.read_bytes()
    image.write_bytes(whole + bytes(-len(whole) % 4) + part.read_bytes())
