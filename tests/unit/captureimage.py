# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture image of this machine, built by the command line and unpacked by other programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.image.stage import SECOND_STAGE

from .commandline import CAPTURE
from .thiskernel import RELEASE


def build(out: Path, *options: str, release: str = RELEASE) -> Path:
    """Build an image and return it."""
    assert main([*CAPTURE, "-o", str(out), *options, release]) == 0
    return out


def unpack(image: Path, folder: Path) -> Path:
    """Unpack an image by other people's programs."""
    folder.mkdir()
    packed = image.read_bytes()
    tool = {b"\x28\xb5": ["zstd", "-dc"], b"\x1f\x8b": ["gzip", "-dc"], b"07": ["cat"]}[packed[:2]]
    plain = subprocess.run(tool, input=packed, capture_output=True, check=True).stdout
    cpio = ["cpio", "-idm", "--quiet", "--no-absolute-filenames"]
    subprocess.run(cpio, input=plain, cwd=folder, check=True, timeout=60)
    if (folder / SECOND_STAGE).exists():
        argv = ["gunzip", "-c", str(SECOND_STAGE)]
        plain = subprocess.run(argv, cwd=folder, capture_output=True, check=True).stdout
        subprocess.run(cpio, input=plain, cwd=folder, check=True, timeout=60)
    return folder
